package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/storetest"
	"github.com/signalbox/signalbox/workflow"
	"go.uber.org/goleak"
)

// TestMain finds goroutines that nobody ended. The one that it forgives is
// pebble's: an opening of pebble that fails leaves it behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/cockroachdb/pebble/v2.(*ConcurrencyLimitScheduler).periodicGranter"))
}

// TestOneOwner: a folder belongs to one store, and who has it is said.
func TestOneOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	s := openDir(t, dir)
	_, err := Open(dir, Options{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Fatalf("got error %v, want one that names this process", err)
	}
	if err := commitOne(t, s, storetest.Begun(storetest.Sample("e1", 1), 1)); err != nil {
		t.Fatalf("commit after somebody else tried the folder: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openDir(t, dir)
	if s.Durability() != workflow.Fsync {
		t.Errorf("durability is %s", s.Durability())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestMemory: a store in memory says that nothing survives.
func TestMemory(t *testing.T) {
	s, err := Open("data", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Durability() != workflow.Memory {
		t.Errorf("durability is %s", s.Durability())
	}
}

// TestOpenFails: an opening that fails at any operation of ours releases
// everything, and the next one succeeds. The files of the sorted rows are left
// out: pebble may panic in a goroutine of its own when those fail while it
// opens, which ends the process before it has served anybody.
func TestOpenFails(t *testing.T) {
	disk := vfs.NewMem()
	s := openOn(t, disk)
	for v := range uint64(20) {
		if err := commitOne(t, s, lived("life", v+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	failures := 0
	for at := 1; ; at++ {
		fs := storetest.NewFaultyFS(disk)
		var done atomic.Int64
		boom := errors.New("boom")
		fs.Fail(at%2 == 0, func(_ storetest.Op, name string) error {
			if !strings.Contains(name, "rows") && done.Add(1) == int64(at) {
				return boom
			}
			return nil
		})
		s, err := Open("data", Options{FS: fs, SegmentBytes: smallSegment})
		if err == nil {
			reached := done.Load() >= int64(at)
			fs.Fail(false, nil)
			if !reached { // it does not do so much
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				break
			}
			// It got by without what failed.
			if err := s.Close(); err != nil {
				t.Logf("operation %d failed: close: %v", at, err)
			}
		} else {
			failures++
		}
		s = openOn(t, disk)
		checkLife(t, s, "life", 20)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if failures < 10 {
		t.Errorf("%d openings failed: this test tests nothing", failures)
	}
}

// TestFullQueue: when too much waits for the disk, more is refused at once.
func TestFullQueue(t *testing.T) {
	q := persistence.NewQueue[*write](maxQueued, maxQueuedBytes, errFull)
	for range maxQueued {
		if err := q.Push(&write{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Push(&write{}); !errors.Is(err, persistence.ErrUnavailable) || !errors.Is(err, errFull) {
		t.Fatalf("got error %v, want ErrUnavailable because the queue is full", err)
	}
	items, _ := q.Take(nil)
	if err := q.Push(&write{}); !errors.Is(err, errFull) {
		t.Fatalf("got error %v although nothing was answered", err)
	}
	var room persistence.Room
	for _, w := range items {
		room.Add(q.Room(w))
	}
	q.Answered(room)
	if err := q.Push(&write{}); err != nil {
		t.Fatalf("push after all were answered: %v", err)
	}
	q.Close()
	if err := q.Push(&write{}); !errors.Is(err, persistence.ErrClosed) {
		t.Fatalf("got error %v, want ErrClosed", err)
	}
}

// weighing is a write of so many bytes.
type weighing int

func (w weighing) Weight() int { return int(w) }

// TestLargeWritesLeaveRoomForOthers: nobody is refused because somebody else writes
// much, and what waits is bounded all the same.
func TestLargeWritesLeaveRoomForOthers(t *testing.T) {
	const most, small, large = 1 << 20, 1 << 10, 1 << 16
	queue := func() *persistence.Queue[weighing] { return persistence.NewQueue[weighing](maxQueued, most, errFull) }
	fill := func(q *persistence.Queue[weighing], w weighing) (n int) {
		for q.Push(w) == nil {
			n++
		}
		return n
	}
	q := queue()
	if n := fill(q, 2*most); n != 1 {
		t.Errorf("%d writes that are larger than the queue were taken, want one", n)
	}
	if n := fill(q, small); n != most/2/small {
		t.Errorf("beside a huge write %d small ones were taken, want half a queue of them, %d", n, most/2/small)
	}
	q = queue()
	if n := fill(q, large); n != most/2/large {
		t.Errorf("%d large writes were taken, want half a queue of them, %d", n, most/2/large)
	}
	if n := fill(q, small); n != most/2/small {
		t.Errorf("beside large writes %d small ones were taken, want half a queue of them, %d", n, most/2/small)
	}
	q = queue()
	if n := fill(q, small); n != most/small {
		t.Errorf("%d small writes were taken, want %d", n, most/small)
	}
	items, _ := q.Take(nil)
	for _, w := range items[:len(items)/2] {
		q.Answered(q.Room(w))
	}
	if n := fill(q, 2*most); n != 1 {
		t.Errorf("beside half a queue of small writes %d huge ones were taken, want one", n)
	}
}

// TestAllocations: what one commit allocates, all of it, on the way to the disk.
func TestAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which the short run is for, allocates too")
	}
	s, err := Open("data", Options{FS: vfs.NewMem(), SegmentBytes: segmentBytes})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const count = 2000
	commits := make([]*persistence.Commit, count)
	answers := make(chan error, 1)
	was := storetest.Sample("e1", 1000)
	if err := commitOne(t, s, storetest.Begun(was, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range commits {
		commits[i] = storetest.Toggled(was, 1)
		commits[i].Done = func(err error) { answers <- err }
		was = commits[i].Now
	}
	next := 0
	perCommit := testing.AllocsPerRun(count-1, func() {
		s.Submit(commits[next])
		if err := <-answers; err != nil {
			t.Fatal(err)
		}
		next++
	})
	t.Logf("%.1f allocations per commit, each in a group of its own", perCommit)
	if perCommit > 12 {
		t.Errorf("a commit allocates %.1f times, want at most 12", perCommit)
	}
}
