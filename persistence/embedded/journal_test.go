package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// segmentOf is the bytes of a segment with those payloads, followed by zeros.
func segmentOf(h header, payloads ...string) []byte {
	b := append(h.encode(), make([]byte, framesAt-headerBytes)...)
	for i, p := range payloads {
		frame := append(make([]byte, frameHeader), p...)
		b = append(b, sealFrame(frame, h.first+uint64(i), h.salt)...)
	}
	return append(b, make([]byte, 512)...)
}

func read(b []byte, h header, want uint64) ([]string, uint64, error) {
	var got []string
	end, _, err := frames("segment", b, h, want, func(_ uint64, payload []byte) error {
		got = append(got, string(payload))
		return nil
	}, func(uint64) {})
	return got, end, err
}

func TestFrames(t *testing.T) {
	h := header{number: 3, salt: 0xfeed, first: 10, prev: 2, prevSalt: 7, prevEnd: 4096}
	b := segmentOf(h, "one", "two", "", "four")
	decoded, err := decodeHeader(b)
	if err != nil || decoded != h {
		t.Fatalf("the header reads %+v, %v, want %+v", decoded, err, h)
	}
	got, end, err := read(b, h, 0)
	if err != nil || !slices.Equal(got, []string{"one", "two", "", "four"}) {
		t.Fatalf("read %q, %v", got, err)
	}
	if got, _, err = read(b, h, end); err != nil || len(got) != 4 {
		t.Fatalf("read up to its end: %q, %v", got, err)
	}
	// Frames behind the end that the next segment names were answered as failed.
	third := uint64(framesAt + 2*roundUp(frameHeader+3, frameAlign))
	if got, _, err = read(b, h, third); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("read up to the third frame: %q, %v", got, err)
	}
	var damage *Damage
	for _, want := range []uint64{1, end + 8, uint64(len(b)) + 1, third + 8} {
		if got, _, err = read(b, h, want); !errors.As(err, &damage) {
			t.Errorf("read up to %d: %q, %v, want *Damage", want, got, err)
		}
	}
	// A frame of an earlier use of the file is none.
	old := segmentOf(header{number: 1, salt: 0xdead, first: 10}, "xxx", "yyy", "zzz", "old")
	copy(old, segmentOf(h, "one")[:framesAt+roundUp(frameHeader+3, frameAlign)])
	if got, _, err = read(old, h, 0); err != nil || !slices.Equal(got, []string{"one"}) {
		t.Fatalf("read a file that was used before: %q, %v", got, err)
	}
}

// TestSegmentNames: only the names that we give are segments.
func TestSegmentNames(t *testing.T) {
	for _, n := range []uint64{1, 42, 1 << 50} {
		if got, ok := segmentNumber(segmentName(n)); !ok || got != n {
			t.Errorf("%s is segment %d, %v", segmentName(n), got, ok)
		}
	}
	for _, name := range []string{"", "1.journal", "000000000001.journal.damaged", "00000000000x.journal", "1.spare", "+00000000001.journal"} {
		if n, ok := segmentNumber(name); ok {
			t.Errorf("%q is taken for segment %d", name, n)
		}
	}
}

// TestAbandonedFrame: what a failed sync left in a segment does not come back,
// although it is whole, and the next segment goes on with its number.
func TestAbandonedFrame(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("j", 0o700); err != nil {
		t.Fatal(err)
	}
	handle, err := fs.OpenDir("j")
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{fs: fs, dir: "j", handle: handle, capacity: smallSegment, next: 1}
	if err := errors.Join(j.rotate(0), j.append(payload("kept"))); err != nil {
		t.Fatal(err)
	}
	// The frame is written, and then its sync is said to have failed.
	if _, err := j.file.WriteAt(sealFrame(payload("failed"), j.next, j.cur.salt), j.offset); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.abandon(), j.rotate(0), j.append(payload("after"))); err != nil {
		t.Fatal(err)
	}
	var got []string
	r, err := replay(fs, slog.New(slog.DiscardHandler), "j", 0, func(p []byte) error { got = append(got, string(p)); return nil })
	if err != nil || !slices.Equal(got, []string{"kept", "after"}) || r.next != 3 {
		t.Fatalf("replayed %q, next %d, %v", got, r.next, err)
	}
	if err := j.close(true); err != nil {
		t.Fatal(err)
	}
	if names, err := fs.List("j"); err != nil || !slices.Equal(names, []string{segmentName(3)}) {
		t.Fatalf("a clean end leaves %v, %v, want the header of a segment", names, err)
	}
	nothing := func([]byte) error { return errors.New("a frame is left") }
	if r, err := replay(fs, slog.New(slog.DiscardHandler), "j", 2, nothing); err != nil || r.next != 3 {
		t.Errorf("the next frame is %d, %v, want 3", r.next, err)
	}
	var damage *Damage
	if _, err := replay(fs, slog.New(slog.DiscardHandler), "j", 1, nothing); !errors.As(err, &damage) {
		t.Errorf("rows that are behind the journal that ended are taken: %v", err)
	}
}

func payload(s string) []byte { return append(make([]byte, frameHeader), s...) }

// TestReplaySkips: frames that the synced rows have are not applied again, and
// segments that only hold such frames are not even read.
func TestReplaySkips(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("j", 0o700); err != nil {
		t.Fatal(err)
	}
	handle, err := fs.OpenDir("j")
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{fs: fs, dir: "j", handle: handle, capacity: smallSegment, next: 1}
	for i := range 9 {
		if i%3 == 0 {
			if err := j.rotate(0); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.append(payload(fmt.Sprint(i + 1))); err != nil {
			t.Fatal(err)
		}
	}
	change(t, fs, "j/"+segmentName(1), func(b []byte) { clear(b[framesAt:]) }) // nobody looks there
	for applied, want := range map[uint64][]string{3: {"4", "5", "6", "7", "8", "9"}, 5: {"6", "7", "8", "9"}, 9: nil} {
		var got []string
		r, err := replay(fs, slog.New(slog.DiscardHandler), "j", applied, func(p []byte) error { got = append(got, string(p)); return nil })
		if err != nil || !slices.Equal(got, want) || r.next != 10 || len(r.numbers) != 3 {
			t.Errorf("after frame %d: replayed %q, next %d, %d segments, %v", applied, got, r.next, len(r.numbers), err)
		}
	}
	if err := j.close(false); err != nil {
		t.Fatal(err)
	}
}

// FuzzJournal: no bytes as a segment make the replay panic, and every frame that
// it yields has the checksum, the number and the salt of that segment.
func FuzzJournal(f *testing.F) {
	h := header{number: 1, salt: 5, first: 1}
	f.Add(segmentOf(h, "one", "two"))
	f.Add(segmentOf(h))
	f.Add([]byte(segmentMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("j", 0o700); err != nil {
			t.Fatal(err)
		}
		file, err := fs.Create("j/"+segmentName(1), category)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(bytes.Clone(b)); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		count := uint64(0)
		r, err := replay(fs, slog.New(slog.DiscardHandler), "j", 0, func(p []byte) error {
			count++
			if !bytes.Contains(b, p) {
				t.Fatalf("frame %d is not in the file", count)
			}
			return nil
		})
		if err == nil && r.next != 1+count {
			t.Fatalf("%d frames, next is %d", count, r.next)
		}
		// The frames alone, behind a header that is right.
		whole := append(h.encode(), make([]byte, framesAt-headerBytes)...)
		if _, _, err := read(append(whole, b...), h, 0); err != nil {
			var damage *Damage
			if !errors.As(err, &damage) {
				t.Fatal(err)
			}
		}
	})
}
