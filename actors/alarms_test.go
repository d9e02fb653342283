package actors_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// crowd is a store with timers of many executions beside those that it has. One that
// fires loads its execution, which is gone, and its timer with it; the rows of the
// sick are damaged, and their timers stay.
type crowd struct {
	persistence.Store
	sick bool

	mu     sync.Mutex
	timers []persistence.Due // in order
	gone   map[string]bool
	loads  int
}

// join adds n timers, due at a moment.
func (c *crowd) join(n int, at time.Time) {
	for range n {
		c.timers = append(c.timers, persistence.Due{At: workflow.InstantOf(at), ExecID: fmt.Sprintf("%06d", len(c.timers)), Timer: "t"})
	}
}

func (c *crowd) Due(ctx context.Context, until workflow.Instant, after *persistence.Due, limit int) ([]persistence.Due, error) {
	page, err := c.Store.Due(ctx, until, after, limit)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.timers {
		if d.At > until || len(page) >= 2*limit {
			break
		}
		if !c.gone[d.ExecID] && (after == nil || inOrder(*after, d) < 0) {
			page = append(page, d)
		}
	}
	slices.SortFunc(page, inOrder)
	return page[:min(limit, len(page))], err
}

func inOrder(a, b persistence.Due) int {
	return cmp.Or(cmp.Compare(a.At, b.At), strings.Compare(a.ExecID, b.ExecID), strings.Compare(a.Timer, b.Timer))
}

func (c *crowd) Load(ctx context.Context, id string) (*persistence.Snapshot, error) {
	i, found := c.comes(id)
	if !found {
		return c.Store.Load(ctx, id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sick {
		return nil, &persistence.Corrupt{ExecID: id, Cause: "a defect of the test"}
	}
	c.gone[c.timers[i].ExecID] = true
	return nil, persistence.ErrNotFound
}

func (c *crowd) comes(id string) (i int, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := fmt.Sscanf(id, "%06d", &i); err != nil {
		return 0, false
	}
	c.loads++
	return i, true
}

// crowded is the world of a crowd.
func crowded(t *testing.T, defs ...*workflow.Definition) (*world, *crowd) {
	w := newWorld(t, defs...)
	return w, &crowd{Store: w.store, gone: map[string]bool{}}
}

// TestTimersThatCannotFireHoldUpNobody: a page of the timers of damaged executions is
// overdue, and stays so. Timers behind them fire, whether they were stored before or are
// armed by a commit, and those of the damaged ones are not tried again every few seconds.
func TestTimersThatCannotFireHoldUpNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("deadline", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("1m") })
		w, store := crowded(t, def)
		defer w.store.Close()
		s, stop := w.start(w.store)
		if err := w.begin(s, def, "before"); err != nil {
			t.Fatal(err)
		}
		stop()
		const n = actors.AlarmBatch + 100
		store.sick = true
		store.join(n, time.Now())
		s, stop = w.start(store)
		time.Sleep(10 * time.Second)
		if err := w.begin(s, def, "after"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, id := range []string{"before", "after"} {
			if got := w.status(id); got != workflow.TimedOut {
				t.Errorf("the execution of %s is %s when its deadline has come", id, got)
			}
		}
		if store.loads != n {
			t.Errorf("%d executions that cannot act were loaded %d times within a minute", n, store.loads)
		}
		store.sick = false
		time.Sleep(actors.AlarmSick)
		synctest.Wait()
		if len(store.gone) != n {
			t.Errorf("%d timers of %d fired when their executions could be read again", len(store.gone), n)
		}
		stop()
	})
}

// turns counts what executions are given to do.
type turns struct {
	silent
	n atomic.Int64
}

func (t *turns) Turn(int, time.Duration) { t.n.Add(1) }

// startWatched starts a system that somebody looks at.
func (w *world) startWatched(store persistence.Store, o actors.Observer) *actors.System {
	w.t.Helper()
	s := actors.NewSystem(actors.Options{Store: store, Catalog: w, Hands: w, Observer: o, Logger: slog.New(slog.DiscardHandler)})
	if err := s.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// TestTimersOfTheQuarantinedStaySilent: the timer of an execution breaks it, is not fired
// again, nor by the next node.
func TestTimersOfTheQuarantinedStaySilent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		def := waiting("broken", func(d *workflow.Definition) {
			d.Tasks[0].Timeout, d.Tasks[0].OnTimeout = literal("1m"), "next"
			d.Tasks = append(d.Tasks, &workflow.Task{ID: "next", Kind: workflow.Basic, Work: &workflow.Work{Executor: "tool", Request: defect{}}})
		})
		w, o := newWorld(t, def), new(turns)
		defer w.store.Close()
		s := w.startWatched(w.store, o)
		if err := w.begin(s, def, "b"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if _, ill := s.Quarantined("b"); !ill {
			t.Fatal("its deadline has not broken it")
		}
		stops(t, s)
		s = w.startWatched(w.store, o)
		time.Sleep(time.Hour)
		stops(t, s)
		if n := o.n.Load(); n != 2 {
			t.Errorf("it had %d turns, want two: its start, and its deadline", n)
		}
	})
}
