package embedded

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// forgetful is a disk file after whose failed sync the bytes are gone, although
// the next sync succeeds: what Linux does to pages that it could not write.
type forgetful struct {
	vfs.File
	kept  []byte // on the disk
	dirty map[int64][]byte
	end   int64
	fail  int // syncs still to fail
	short int // writes still to stop half-way
}

func (f *forgetful) Write(b []byte) (int, error) {
	n := len(b)
	var err error
	if f.short > 0 {
		f.short--
		n, err = n/2, syscall.ENOSPC
	}
	f.dirty[f.end] = bytes.Clone(b[:n])
	f.end += int64(n)
	clear(b) // a file may change what it is given
	return n, err
}

func (f *forgetful) WriteAt(b []byte, at int64) (int, error) {
	f.dirty[at] = bytes.Clone(b)
	clear(b)
	return len(b), nil
}

func (f *forgetful) Sync() error {
	defer clear(f.dirty)
	if f.fail > 0 {
		f.fail--
		return syscall.EIO
	}
	for at, b := range f.dirty {
		if grow := at + int64(len(b)) - int64(len(f.kept)); grow > 0 {
			f.kept = append(f.kept, make([]byte, grow)...)
		}
		copy(f.kept[at:], b)
	}
	return nil
}

// TestVitalFile: after failed writes and syncs, of which the disk forgets the
// bytes, a vital file has all of them.
func TestVitalFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(vfs.NewMem())
		p.opened()
		disk := &forgetful{dirty: map[int64][]byte{}}
		f := &vital{File: disk, patience: p}
		var want []byte
		for i := range 6 {
			b := bytes.Repeat([]byte{byte('a' + i)}, 100+i)
			want = append(want, b...)
			disk.short, disk.fail = i%3, i%4
			begin := time.Now()
			if n, err := f.Write(b); n != 100+i || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); (took > 0) != (i%3+i%4 > 0) {
				t.Errorf("round %d held for %v", i, took)
			}
			if !bytes.Equal(disk.kept, want) {
				t.Fatalf("round %d: the disk has %q, want %q", i, disk.kept, want)
			}
		}
	})
}

// TestPatienceEnds: when the store closes, and when an opening took too long,
// the error comes out.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failing := func() error { return syscall.EIO }
		p := newPatience(vfs.NewMem())
		begin := time.Now()
		if err := p.insist(failing); !errors.Is(err, syscall.EIO) {
			t.Fatalf("got error %v", err)
		}
		if took := time.Since(begin); took < openLimit || took > openLimit+2*probeLast {
			t.Errorf("an opening tried for %v, want about %v", took, openLimit)
		}
		p.opened()
		done := make(chan error, 1)
		go func() { done <- p.insist(failing) }()
		time.Sleep(time.Hour)
		select {
		case err := <-done:
			t.Fatalf("an open store stopped trying: %v", err)
		default:
		}
		close(p.closing)
		if err := <-done; !errors.Is(err, syscall.EIO) {
			t.Fatalf("got error %v", err)
		}
		if err := p.lastCause(); !errors.Is(err, syscall.EIO) {
			t.Fatalf("the cause is %v", err)
		}
	})
}
