package redis_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/redis"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/persistence/storetest"
)

// TestSuiteOnNodes is the suite on a Redis Cluster of three masters.
func TestSuiteOnNodes(t *testing.T) {
	slow(t)
	nodes := redistest.StartNodes(t, 3)
	storetest.Run(t, func(t *testing.T) storetest.Opener { return onServer(t, "redis+cluster://"+nodes.Addresses()) })
}

// workers each bring an execution from version to version. What was acknowledged
// must be there at the end, and once.
type workers struct {
	t     *testing.T
	store *redis.Store
	gate  sync.RWMutex // held to let none begin a commit
	stop  atomic.Bool
	ended sync.WaitGroup

	acked   atomic.Int64
	unknown atomic.Int64 // answers that said that the outcome is not known, or that nothing was written
	at      []uint64
}

func startWorkers(t *testing.T, s *redis.Store, n int) *workers {
	w := &workers{t: t, store: s, at: make([]uint64, n)}
	for i := range n {
		w.ended.Go(func() { w.work(i) })
	}
	return w
}

func (w *workers) exec(i int) string { return fmt.Sprintf("worker-%d", i) }

func (w *workers) work(i int) {
	for !w.stop.Load() {
		w.gate.RLock()
		answer := submit(w.store, lived(w.exec(i), w.at[i]+1, w.store.Epoch()))
		err := <-answer
		w.gate.RUnlock()
		switch {
		case err == nil:
			w.at[i]++
			w.acked.Add(1)
		case errors.Is(err, persistence.ErrUnavailable):
			w.unknown.Add(1)
			healthy(w.t, w.store) // and then the same again: it may be there
		default:
			w.t.Errorf("commit of %s to version %d: %v", w.exec(i), w.at[i]+1, err)
			return
		}
	}
}

// more waits until so many commits more were acknowledged.
func (w *workers) more(n int64) {
	w.t.Helper()
	from := w.acked.Load()
	await(w.t, "commits", func() bool { return w.acked.Load() >= from+n || w.t.Failed() })
}

// finish ends the work and looks whether all of it is there, once.
func (w *workers) finish() {
	w.t.Helper()
	w.stop.Store(true)
	w.ended.Wait()
	for i, version := range w.at {
		at(w.t, w.store, w.exec(i), version, false)
	}
	w.t.Logf("%d commits, %d answers that were no acknowledgement", w.acked.Load(), w.unknown.Load())
}

// TestNodesFailOver: one master hands over to its replica under load, and another is
// killed after its replica has caught up.
func TestNodesFailOver(t *testing.T) {
	slow(t)
	nodes := redistest.StartNodes(t, 3)
	s := openAt(t, "redis+cluster://"+nodes.Addresses(), redis.Options{})
	w := startWorkers(t, s, 24)
	w.more(200)
	nodes.Swap(0)
	w.more(200)
	w.gate.Lock()
	nodes.CaughtUp(1)
	nodes.Masters[1].Kill()
	w.gate.Unlock()
	nodes.Lose(1)
	w.more(200)
	w.finish()
}

// TestSlotsMove: the slots of partitions move from one master to another under load,
// and back. Writes to a partition wait while its slot is between two masters.
func TestSlotsMove(t *testing.T) {
	slow(t)
	nodes := redistest.StartNodes(t, 3)
	s := openAt(t, "redis+cluster://"+nodes.Addresses()+"?partitions=6", redis.Options{})
	w := startWorkers(t, s, 24)
	w.more(200)
	for _, p := range redis.SlotsOf(s)[:2] {
		nodes.MoveSlot(p, 0, 2, func() {})
		w.more(100)
	}
	first := redis.SlotsOf(s)[0]
	nodes.MoveSlot(first, 2, 1, func() { await(t, "a refused write", func() bool { return s.Health() != nil }) })
	healthy(t, s)
	w.more(200)
	w.finish()
	if w.unknown.Load() == 0 {
		t.Error("no write met a slot between two masters")
	}
}
