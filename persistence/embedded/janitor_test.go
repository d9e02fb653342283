package embedded

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Full segments wait for the newest rows to be sorted, unless they are many: then
// those are sorted for them, and their files are given up or used again.
func TestFullSegmentsWaitForTheNextSorting(t *testing.T) {
	s := openOn(t, vfs.NewMem())
	defer s.Close()
	flushes := func() int64 { return s.db.pebble.Metrics().Flush.Count }
	before := flushes()
	var version uint64
	fill := func(segments uint64) {
		t.Helper()
		for until := s.journal.cur.number + segments; s.journal.cur.number < until; {
			version++
			if err := commitOne(t, s, lived("e", version)); err != nil {
				t.Fatal(err)
			}
		}
	}
	first := s.journal.cur.number
	fill(lateSegments - 1)
	if n := flushes() - before; n != 0 {
		t.Errorf("rows were synced %d times for %d full segments, want none before there are %d", n, lateSegments-1, lateSegments)
	}
	fill(1)
	given := func() bool {
		_, err := s.fs.Stat(s.fs.PathJoin("data", "journal", segmentName(first)))
		return err != nil
	}
	for end := time.Now().Add(answerLimit); !given(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d full segments are kept although nothing else sorts their rows", lateSegments)
		}
	}
	fill(1)
	s.janitor.wantDrain()
	for end := time.Now().Add(answerLimit); !s.janitor.idle(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the rows were sorted, and a full segment is kept")
		}
	}
	checkLife(t, s, "e", version)
}

// idle reports whether no full segment waits.
func (n *janitor) idle() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sealed) == 0
}
