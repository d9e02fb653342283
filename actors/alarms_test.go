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
	sick  bool
	fails string        // the id of one that cannot be read, once
	takes time.Duration // for an execution to be loaded

	mu     sync.Mutex
	timers []persistence.Due // in order
	gone   map[string]bool
	loads  int
	late   time.Duration // the most that one came after it was due
	now    int           // are being loaded
	most   int           // were at once
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
	time.Sleep(c.takes) // virtual
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
	if c.fails == id {
		c.fails = ""
		return nil, persistence.ErrUnavailable
	}
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
	c.now++
	c.most = max(c.most, c.now)
	c.late = max(c.late, time.Since(c.timers[i].At.Time()))
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

// TestOverdueTimersFireWithoutAPause: many came due while no node was there. They are
// fired one page after the other, and so many at a time.
func TestOverdueTimersFireWithoutAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 3*actors.AlarmBatch + 1
		w, store := crowded(t)
		defer w.store.Close()
		store.join(n, time.Now())
		store.takes = 10 * time.Millisecond
		time.Sleep(time.Hour)
		_, stop := w.start(store)
		time.Sleep(time.Second)
		stop()
		if store.loads != n {
			t.Errorf("%d timers of %d were fired in the first second", store.loads, n)
		}
		if store.most != actors.AlarmsAtOnce {
			t.Errorf("%d were fired at once", store.most)
		}
	})
}

// TestManyTimersFireInTime: thousands a second come due for longer than the clock holds
// timers in memory.
func TestManyTimersFireInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rate, seconds := 4_000, 15
		if testing.Short() {
			seconds = 5
		}
		w, store := crowded(t)
		defer w.store.Close()
		for i := range seconds {
			store.join(rate, time.Now().Add(time.Minute+time.Duration(i)*time.Second))
		}
		store.takes = 10 * time.Millisecond
		_, stop := w.start(store)
		time.Sleep(2 * time.Minute)
		stop()
		if store.loads != rate*seconds {
			t.Errorf("%d timers were fired, want %d", store.loads, rate*seconds)
		}
		if store.late > time.Second {
			t.Errorf("one was fired %s after it was due", store.late)
		}
	})
}

// TestATimerThatFailedIsFiredAgainAmongMany: the window is fuller than memory all the time.
func TestATimerThatFailedIsFiredAgainAmongMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const rate, seconds = 1_000, 40
		w, store := crowded(t)
		defer w.store.Close()
		for i := range seconds {
			store.join(rate, time.Now().Add(time.Duration(i)*time.Second))
		}
		store.fails = store.timers[0].ExecID
		_, stop := w.start(store)
		time.Sleep(2 * actors.AlarmAgain)
		synctest.Wait()
		if !store.gone[store.timers[0].ExecID] {
			t.Error("it is not fired again")
		}
		stop()
	})
}

// TestAnEarlyTimerComesIntoAFullClock: memory is full of timers that are far ahead when
// a commit arms one that is near.
func TestAnEarlyTimerComesIntoAFullClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		far := waiting("far", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("25s") })
		near := waiting("near", func(d *workflow.Definition) { d.Tasks[0].Timeout = literal("2s") })
		w := newWorld(t, far, near)
		defer w.store.Close()
		s, stop := w.start(w.store)
		defer stop()
		for i := range 2*actors.AlarmBatch + 1 {
			if err := w.begin(s, far, fmt.Sprint("far", i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.begin(s, near, "near"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if got := w.status("near"); got != workflow.TimedOut {
			t.Errorf("after its deadline it is %s", got)
		}
		time.Sleep(23 * time.Second)
		synctest.Wait()
		for i := range 2*actors.AlarmBatch + 1 {
			if got := w.status(fmt.Sprint("far", i)); got != workflow.TimedOut {
				t.Fatalf("after its deadline far%d is %s", i, got)
			}
		}
	})
}
