package persistence

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"sync"
)

// Fill imports items into an empty store and returns their sum. It ends with the
// first error; the store is then filled in part and of no use.
func Fill(ctx context.Context, to Importer, items iter.Seq2[Item, error]) (*Sum, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sum := new(Sum)
	window := make(chan struct{}, importWindow)
	var all sync.WaitGroup
	put := func(it Item) {
		window <- struct{}{}
		all.Add(1)
		to.Import(it, func(err error) {
			if err != nil {
				cancel(fmt.Errorf("import the item %s: %w", it, err))
			}
			<-window
			all.Done()
		})
	}
	var rest []Item // of the books, behind the other rows
	err := func() error {
		for it, err := range items {
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			sum.Add(it)
			if it.Kind == ItemBook && it.B == theRest {
				rest = append(rest, it)
				continue
			}
			put(it)
		}
		return nil
	}()
	all.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return sum, err
	}
	for _, it := range rest {
		put(it)
	}
	all.Wait()
	return sum, context.Cause(ctx)
}

// SumOf reads everything that a store remembers.
func SumOf(ctx context.Context, from Exporter) (*Sum, error) {
	sum := new(Sum)
	for it, err := range from.Export(ctx) {
		if err != nil {
			return sum, err
		}
		sum.Add(it)
	}
	return sum, nil
}

// A backup is a line that names it and the version of its format, then each item with
// its length as a varint in front, then the length 0, the number of items in 8 bytes
// and the SHA-256 of everything before. An older format is read for ever.
const (
	backupMagic  = "signalbox backup "
	backupFormat = "1\n"
)

// WriteBackup writes items as a backup and returns their sum.
func WriteBackup(w io.Writer, items iter.Seq2[Item, error]) (*Sum, error) {
	digest := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, digest), backupPiece)
	sum := new(Sum)
	if _, err := out.WriteString(backupMagic + backupFormat); err != nil {
		return sum, err
	}
	var room []byte
	for it, err := range items {
		if err != nil {
			return sum, err
		}
		sum.Add(it)
		room = it.append(room[:0])
		if _, err := out.Write(binary.AppendUvarint(nil, uint64(len(room)))); err != nil {
			return sum, err
		}
		if _, err := out.Write(room); err != nil {
			return sum, err
		}
	}
	if _, err := out.Write(binary.BigEndian.AppendUint64([]byte{0}, uint64(sum.Items()))); err != nil {
		return sum, err
	}
	if err := out.Flush(); err != nil {
		return sum, err
	}
	_, err := w.Write(digest.Sum(nil))
	return sum, err
}

// ReadBackup reads the items of a backup. Only when it ends without an error is it
// certain that they are all there and undamaged: read it once to be sure, and then
// to restore it.
func ReadBackup(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		b := &backup{in: bufio.NewReaderSize(r, backupPiece), digest: sha256.New()}
		if err := b.begin(); err != nil {
			yield(Item{}, err)
			return
		}
		for {
			it, more, err := b.next()
			if err != nil {
				yield(Item{}, fmt.Errorf("the backup is damaged at byte %d: %w", b.at, err))
				return
			}
			if !more || !yield(it, nil) {
				return
			}
		}
	}
}

// backup is one that is being read.
type backup struct {
	in     *bufio.Reader
	digest hash.Hash
	at     int64
	items  uint64
}

// read reads so many bytes, and all of them.
func (b *backup) read(n int) ([]byte, error) {
	room := make([]byte, 0, min(n, backupPiece))
	for len(room) < n {
		part := make([]byte, min(n-len(room), backupPiece))
		got, err := io.ReadFull(b.in, part)
		b.at += int64(got)
		if err != nil {
			return nil, fmt.Errorf("it ends too early: %w", err)
		}
		room = append(room, part...)
	}
	return room, nil
}

func (b *backup) begin() error {
	head, err := b.read(len(backupMagic) + len(backupFormat))
	if err != nil || string(head[:len(backupMagic)]) != backupMagic {
		return errors.New("this is no backup of Signalbox")
	}
	if format := string(head[len(backupMagic):]); format != backupFormat {
		return fmt.Errorf("the backup is of format %q, and this release knows %q; a newer one wrote it", format, backupFormat)
	}
	b.digest.Write(head)
	return nil
}

// next is the next item; more is false behind the last one, when all was well.
func (b *backup) next() (it Item, more bool, err error) {
	n, err := binary.ReadUvarint(byteReader{b})
	if err != nil {
		return it, false, fmt.Errorf("it ends too early: %w", err)
	}
	if n > maxItem {
		return it, false, fmt.Errorf("an item of %d bytes is larger than any", n)
	}
	if n == 0 {
		return it, false, b.end()
	}
	body, err := b.read(int(n))
	if err != nil {
		return it, false, err
	}
	b.digest.Write(body)
	b.items++
	it, err = decodeItem(body)
	return it, true, err
}

// end compares what stands behind the items with what was read.
func (b *backup) end() error {
	count, err := b.read(8)
	if err != nil {
		return err
	}
	b.digest.Write(count)
	want, err := b.read(sha256.Size)
	if err != nil {
		return err
	}
	if n := binary.BigEndian.Uint64(count); n != b.items || string(want) != string(b.digest.Sum(nil)) {
		return fmt.Errorf("its checksum is another one than that of the %d items in it", b.items)
	}
	if _, err := b.in.ReadByte(); err != io.EOF {
		return errors.New("something follows its end")
	}
	return nil
}

// byteReader reads what is part of the checksum byte by byte.
type byteReader struct{ *backup }

// ReadByte reads one byte.
func (r byteReader) ReadByte() (byte, error) {
	c, err := r.in.ReadByte()
	if err == nil {
		r.at++
		r.digest.Write([]byte{c})
	}
	return c, err
}
