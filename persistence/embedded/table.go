package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// table is what can be read of one file of sorted rows, block by block. Pebble finds
// rows by what stands behind them in the file, the index above all, and reads nothing
// when that is damaged. But the rows come first, block after block, each with its
// checksum, so they are found without.
type table struct {
	rows    []version // in their order, as far as their blocks are good
	deletes []deletion
	holes   []stretch       // of blocks that pebble cannot read
	lost    []stretch       // of those of them whose rows are not known
	only    pebble.KeyRange // of other rows only the first and the last of each block are kept; of no keys: all are kept
	indexed bool            // everything behind the rows is good: pebble reads all but the holes
	filter  []byte          // tells of nearly all keys that are not in the table that they are not; nil: not known
}

// version is one version of a row.
type version struct {
	key, value []byte
	number     uint64 // pebble's sequence number: of two versions the higher is newer
	gone       bool   // the row was deleted
}

// stretch is what lies between two keys of a table that can be read.
type stretch struct {
	from []byte // the last key before it; nil: it begins with the table
	to   []byte // the first key behind it; nil: it ends with the table
}

// deletion deletes the older versions of a range of rows.
type deletion struct {
	from, to []byte
	number   uint64
}

// errNoRows says of a block that it is none of rows, or not any more.
var errNoRows = errors.New("no good block of rows")

// tableOptions are how all tables are made.
func tableOptions() *pebble.Options {
	o := filtered(new(pebble.Options))
	o.EnsureDefaults()
	return o
}

// readTable reads a file of sorted rows whose last key is known to be that or a later
// one; of the rows outside of only, if that is a range, no more than is needed to tell what
// is lost. The error is that of a file that cannot be read at all.
func readTable(fs vfs.FS, path string, last []byte, only pebble.KeyRange) (*table, error) {
	file, err := readFile(fs, path)
	if err != nil {
		return nil, fmt.Errorf("read the damaged table %s: %w", path, err)
	}
	t := &table{only: only}
	var blocks []block.Handle
	err = t.behind(fs, path, file, &blocks)
	t.indexed = err == nil
	if blocks != nil {
		t.take(file, blocks)
		return t, nil
	}
	t.guess(file)
	if bytes.Compare(t.lastKey(), last) < 0 {
		t.lost = append(t.lost, stretch{from: t.lastKey()})
	}
	return t, nil
}

// guess reads the rows block after block, and passes by what it cannot read.
func (t *table) guess(file []byte) {
	for at := 0; at < len(file); {
		count, last := len(t.rows), t.lastKey()
		size, ok := t.nextBlock(file, at)
		if !ok {
			if size = t.passBy(file, at); size == 0 {
				return // the rows are at their end
			}
			t.lost = append(t.lost, stretch{from: last, to: t.rows[count].key})
		}
		at += size
	}
}

// passBy reads the next block of rows that begins soon, and returns how far behind a place
// it ends; zero when there is none.
func (t *table) passBy(file []byte, from int) int {
	for at := from + 1; at < min(from+maxPassedBytes, len(file)); at++ {
		if size, ok := t.nextBlock(file[:min(at+maxPassedBytes, len(file))], at); ok {
			return at + size - from
		}
	}
	return 0
}

// nextBlock reads the block of rows that begins at a place, if one does.
func (t *table) nextBlock(file []byte, at int) (size int, ok bool) {
	n := blockSize(file[at:])
	b := block.Handle{Offset: uint64(at), Length: uint64(n)}
	return n + block.TrailerLen, n > 0 && t.add(file, b)
}

// behind reads what stands behind the rows: where their blocks are, and which ranges
// the table deletes. The error says that some of it is damaged.
func (t *table) behind(fs vfs.FS, path string, file []byte, blocks *[]block.Handle) (err error) {
	defer broken(&err)
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, tableOptions().MakeReaderOptions())
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer r.Close()
	layout, err := r.Layout()
	if err != nil {
		return err
	}
	for _, b := range layout.Data {
		*blocks = append(*blocks, b.Handle)
	}
	others := append(layout.Index, layout.TopIndex, layout.RangeDel, layout.RangeKey, layout.Properties, layout.MetaIndex)
	for _, b := range layout.Filter {
		if others = append(others, b.Handle); whole(file, b.Handle) {
			if t.filter, err = unpacked(file, b.Handle); err != nil {
				return err
			}
		}
	}
	for _, b := range others {
		if b.Length > 0 && !whole(file, b) {
			return fmt.Errorf("the block at byte %d is damaged", b.Offset)
		}
	}
	return t.takeDeletes(r)
}

func (t *table) takeDeletes(r *sstable.Reader) error {
	it, err := r.NewRawRangeDelIter(context.Background(), sstable.FragmentIterTransforms{}, sstable.NoReadEnv)
	if it == nil {
		return err
	}
	defer it.Close()
	span, err := it.First()
	for ; span != nil && err == nil; span, err = it.Next() {
		for _, k := range span.Keys {
			t.deletes = append(t.deletes, deletion{bytes.Clone(span.Start), bytes.Clone(span.End), uint64(k.SeqNum())})
		}
	}
	return err
}

// take reads the blocks of rows, and notes which of them pebble cannot read. One in
// which a single bit has flipped is put right in memory.
func (t *table) take(file []byte, blocks []block.Handle) {
	var hole, lost *stretch // that have begun
	for _, b := range blocks {
		count, last := len(t.rows), t.lastKey()
		good := t.add(file, b)
		known := good || flipBack(file, b) && t.add(file, b)
		switch {
		case known && lost != nil:
			lost.to = t.rows[count].key
			t.lost, lost = append(t.lost, *lost), nil
		case !known && lost == nil:
			lost = &stretch{from: last}
		}
		switch {
		case good && hole != nil:
			hole.to = t.rows[count].key
			t.holes, hole = append(t.holes, *hole), nil
		case !good && hole == nil:
			hole = &stretch{from: last}
		}
	}
	if lost != nil {
		t.lost = append(t.lost, *lost)
	}
	if hole != nil {
		t.holes = append(t.holes, *hole)
	}
}

// loses reports whether the row of a key was in the table and is not known. Of one key
// in a hundred it says so in vain.
func (t *table) loses(key []byte) bool {
	lost := slices.ContainsFunc(t.lost, func(s stretch) bool {
		return (s.from == nil || bytes.Compare(s.from, key) < 0) && (s.to == nil || bytes.Compare(key, s.to) < 0)
	})
	return lost && (t.filter == nil || tableFilter.MayContain(pebble.TableFilter, t.filter, key))
}

// lastKey is the last key that was read so far.
func (t *table) lastKey() []byte {
	if len(t.rows) == 0 {
		return nil
	}
	return t.rows[len(t.rows)-1].key
}

// add reads the rows of a block, and reports whether it is a good one.
func (t *table) add(file []byte, b block.Handle) bool {
	count, last := len(t.rows), t.lastKey()
	err := t.decode(file, b)
	if err == nil && len(t.rows) > count && bytes.Compare(last, t.rows[count].key) <= 0 {
		t.thin(count)
		return true
	}
	t.rows = t.rows[:count]
	return false
}

// thin drops the rows of the last block, which begin at first, that nobody asked for.
func (t *table) thin(first int) {
	if !t.only.Valid() {
		return
	}
	kept := t.rows[:first+1]
	for i := first + 1; i < len(t.rows); i++ {
		key := t.rows[i].key
		if i == len(t.rows)-1 || bytes.Compare(t.only.Start, key) <= 0 && bytes.Compare(key, t.only.End) < 0 {
			kept = append(kept, t.rows[i])
		}
	}
	clear(t.rows[len(kept):])
	t.rows = kept
}

// decode takes a block of rows apart. Its checksum is looked at first, so one that
// breaks the decoder is none of rows.
func (t *table) decode(file []byte, b block.Handle) (err error) {
	defer broken(&err)
	if !whole(file, b) {
		return errNoRows
	}
	data, err := unpacked(file, b)
	if err != nil {
		return err
	}
	const header, columns = 4, 7 // of a block of rows in columns, see colblk.DataBlockEncoder
	if len(data) < header+3 || data[header] != byte(colblk.Version1) || binary.LittleEndian.Uint16(data[header+1:]) != columns {
		return errNoRows
	}
	options := tableOptions()
	var rows colblk.DataBlockDecoder
	rows.Init(options.KeySchemas[options.KeySchema], data)
	var it colblk.DataBlockIter
	it.InitOnce(options.KeySchemas[options.KeySchema], options.Comparer, nil)
	if err := it.Init(&rows, block.NoTransforms); err != nil {
		return err
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		v := version{key: bytes.Clone(kv.K.UserKey), number: uint64(kv.SeqNum())}
		switch kv.Kind() {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
			v.value = append([]byte{}, kv.InPlaceValue()...)
		case pebble.InternalKeyKindDelete, pebble.InternalKeyKindSingleDelete, pebble.InternalKeyKindDeleteSized:
			v.gone = true
		default:
			return fmt.Errorf("a row of kind %d, which this store does not write", kv.Kind())
		}
		t.rows = append(t.rows, v)
	}
	return nil
}

// broken makes an error of a panic: pebble's decoders panic when they are given what
// its encoders never make.
func broken(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("%w: %v", errNoRows, cause)
	}
}

// unpacked returns what is in a block. The decoder wants it to be aligned, as what is
// made is.
func unpacked(file []byte, b block.Handle) ([]byte, error) {
	packed, how := file[b.Offset:b.Offset+b.Length], block.CompressionIndicator(file[b.Offset+b.Length])
	size, err := block.DecompressedLen(how, packed)
	if err != nil {
		return nil, err
	}
	if size > maxBlockBytes {
		return nil, errNoRows
	}
	data := make([]byte, size)
	return data, block.DecompressInto(how, packed, data)
}

// whole reports whether a block is as it was written: behind it stand one byte, which
// says how it is packed, and the checksum of both.
func whole(file []byte, b block.Handle) bool {
	end := b.Offset + b.Length
	if end+block.TrailerLen > uint64(len(file)) || end < b.Offset {
		return false
	}
	return checksum(crc32.Update(0, castagnoli, file[b.Offset:end+1])) == binary.LittleEndian.Uint32(file[end+1:])
}

// blockSize finds the end of the block that something begins with by its checksum; zero
// when there is none.
func blockSize(b []byte) int {
	crc := ^uint32(0)
	for size := 0; size+block.TrailerLen <= len(b); size++ {
		crc = castagnoli[byte(crc)^b[size]] ^ crc>>8
		if checksum(^crc) == binary.LittleEndian.Uint32(b[size+1:]) {
			return size
		}
	}
	return 0
}

// flipBack puts a block right in which one bit has flipped, and reports whether it
// could.
func flipBack(file []byte, b block.Handle) bool {
	end := b.Offset + b.Length
	if b.Length > maxFlipBytes || end+block.TrailerLen > uint64(len(file)) {
		return false
	}
	return putMaskedRight(file[b.Offset:end+1], file[end+1:])
}
