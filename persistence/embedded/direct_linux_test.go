//go:build linux && (amd64 || arm64)

package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// onDisk is a journal on the disk, whose segments are written past the page cache.
func onDisk(t *testing.T) *journal {
	t.Helper()
	dir := t.TempDir()
	handle, err := vfs.Default.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{fs: vfs.Default, dir: dir, handle: handle, capacity: 1 << 20, next: 1, direct: newDirect(vfs.Default)}
	t.Cleanup(func() {
		if err := j.close(false); err != nil {
			t.Error(err)
		}
	})
	if err := j.rotate(0); err != nil {
		t.Fatal(err)
	}
	if !j.past {
		t.Skip("neither this kernel nor this file system writes past the page cache")
	}
	return j
}

// replayedFrom is what a restart reads.
func replayedFrom(t *testing.T, j *journal) [][]byte {
	t.Helper()
	var got [][]byte
	r, err := replay(j.fs, slog.New(slog.DiscardHandler), j.dir, 0, func(p []byte) error { got = append(got, bytes.Clone(p)); return nil })
	if err != nil || r.next != j.next {
		t.Fatalf("replayed up to frame %d, the next is %d: %v", r.next, j.next, err)
	}
	return got
}

// TestPastTheCache: frames of any size, that begin and end anywhere in a block and some
// of which are larger than what is written at once, are read back as they are after each.
func TestPastTheCache(t *testing.T) {
	j := onDisk(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var want [][]byte
	for i := range 200 {
		size := 1 + rng.IntN(3*directBlock)
		if i%50 == 49 {
			size = directBytes + rng.IntN(directBlock)
		}
		p := make([]byte, size)
		for k := range p {
			p[k] = byte(rng.Uint32())
		}
		frame := append(make([]byte, frameHeader), p...)
		if !j.fits(len(frame)) {
			if err := j.rotate(len(frame)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.append(frame); err != nil || !j.past {
			t.Fatalf("frame %d of %d bytes: %v", i, size, err)
		}
		want = append(want, p)
		if i%20 == 19 {
			got := replayedFrom(t, j)
			if len(got) != len(want) {
				t.Fatalf("%d frames are read back of %d", len(got), len(want))
			}
			for k := range want {
				if !bytes.Equal(got[k], want[k]) {
					t.Fatalf("frame %d is read back as another one", k)
				}
			}
		}
	}
}

// TestAnOperatorSees: the log tells, to whoever asks for it, which way the journal goes.
func TestAnOperatorSees(t *testing.T) {
	past := onDisk(t).past
	var log bytes.Buffer
	s, err := Open(t.TempDir(), Options{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("past_the_page_cache=%v", past); !strings.Contains(log.String(), want) {
		t.Errorf("the log says %q, want %s", log.String(), want)
	}
}

// TestDiskRefuses: what the disk does not take is an error that names the place and
// the cause, the next segment goes on, and nothing of it comes back.
func TestDiskRefuses(t *testing.T) {
	j := onDisk(t)
	if err := j.append(payload("kept")); err != nil {
		t.Fatal(err)
	}
	reading, err := os.Open(filepath.Join(j.dir, segmentName(1))) // for reading alone
	if err != nil {
		t.Fatal(err)
	}
	defer reading.Close()
	j.direct.file = reading.Fd()
	err = j.append(payload("refused"))
	if !errors.Is(err, syscall.EBADF) || !strings.Contains(fmt.Sprint(err), segmentName(1)) {
		t.Fatalf("the disk refuses: %v", err)
	}
	if err := errors.Join(j.rotate(0), j.append(payload("after"))); err != nil || !j.past {
		t.Fatal(err)
	}
	if got := replayedFrom(t, j); len(got) != 2 || string(got[1]) != "after" {
		t.Fatalf("%q is read back", got)
	}
}

// TestNeverAnswered: when it is not known whether the disk has answered, the write has
// failed, nothing of it is under way any more, and what follows goes through the page cache.
func TestNeverAnswered(t *testing.T) {
	j := onDisk(t)
	if err := j.direct.done.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := j.append(payload("lost")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("nobody answers: %v", err)
	}
	if !j.direct.closed {
		t.Error("the next write would use the room of one that may be under way")
	}
	if err := errors.Join(j.rotate(0), j.append(payload("after"))); err != nil || j.past {
		t.Fatalf("after an answer that never came: past the cache %v, %v", j.past, err)
	}
	if got := replayedFrom(t, j); len(got) != 1 || string(got[0]) != "after" {
		t.Fatalf("%q is read back", got)
	}
}

// TestThroughTheCache: a file that cannot be written past the page cache is left as it
// was, for others to write, and files that are not on the disk are not tried.
func TestThroughTheCache(t *testing.T) {
	if newDirect(vfs.NewMem()) != nil {
		t.Error("files in memory are written past the page cache of the disk")
	}
	j := onDisk(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 2*directBlock), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Default.Open(path) // for reading alone
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if j.direct.begin(f, make([]byte, directBlock)) {
		t.Error("a file is written that was opened for reading")
	}
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_DIRECT != 0 {
		t.Errorf("the file is left with flags %#x, %v", flags, errno)
	}
	var none *direct
	if none.begin(f, nil) || none.close() != nil {
		t.Error("where it is not offered, somebody writes")
	}
}
