package embedded

import (
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// Full segments wait for the newest rows to be sorted, unless they are many: then
// those are sorted for them, and their files are given up or used again.
func TestFullSegmentsWaitForTheNextSorting(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	flushes := func() int64 { return s.db.pebble.Metrics().Flush.Count }
	before := flushes()
	first := s.journal.cur.number
	version := fillSegments(t, s, 0, lateSegments-1)
	if n := flushes() - before; n != 0 {
		t.Errorf("rows were synced %d times for %d full segments, want none before there are %d", n, lateSegments-1, lateSegments)
	}
	version = fillSegments(t, s, version, 1)
	given := func() bool {
		_, err := s.fs.Stat(s.fs.PathJoin("data", "journal", segmentName(first)))
		return err != nil
	}
	for end := time.Now().Add(answerLimit); !given(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d full segments are kept although nothing else sorts their rows", lateSegments)
		}
	}
	version = fillSegments(t, s, version, 1)
	s.janitor.wantDrain()
	awaitIdle(t, s, "the rows were sorted, and a full segment is kept")
	checkLife(t, s, "e", version)
}

// A disk that refuses a write may be full: what full segments hold of it is given up
// at once, however few they are.
func TestFullSegmentsDoNotWaitForADiskThatRefusesWrites(t *testing.T) {
	fs := storetest.NewFaultyFS(vfs.NewMem())
	s := openOn(t, fs)
	defer s.Close()
	version := fillSegments(t, s, 0, 1)
	if s.janitor.idle() {
		t.Fatal("no full segment waits: this test tests nothing")
	}
	fs.Fail(false, failing(storetest.OpWrite, "journal"))
	if err := commitOne(t, s, lived("e", version+1)); !errors.Is(err, persistence.ErrUnavailable) {
		t.Fatalf("a commit that the disk refused: %v", err)
	}
	awaitIdle(t, s, "the disk refuses writes, and a full segment is kept")
	checkLife(t, s, "e", version)
}

// fillSegments goes on with a life until so many more segments are full, and returns
// its version.
func fillSegments(t *testing.T, s *Store, version, segments uint64) uint64 {
	t.Helper()
	for until := s.journal.cur.number + segments; s.journal.cur.number < until; {
		version++
		if err := commitOne(t, s, lived("e", version)); err != nil {
			t.Fatal(err)
		}
	}
	return version
}

// awaitIdle waits until no full segment waits.
func awaitIdle(t *testing.T, s *Store, otherwise string) {
	t.Helper()
	for end := time.Now().Add(answerLimit); !s.janitor.idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(otherwise)
		}
	}
}

// idle reports whether no full segment waits.
func (n *janitor) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sealed) == 0
}
