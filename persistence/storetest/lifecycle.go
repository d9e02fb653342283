package storetest

import (
	"context"
	"fmt"
	"sync"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// sweepExecutions: what finished long ago is forgotten with all that belongs to it.
func sweepExecutions(f *fixture) {
	last := map[string]*workflow.State{}
	for i := range 8 {
		id := fmt.Sprintf("e%d", i)
		c := first(sample(id))
		c.Receipts = []workflow.Receipt{receiptOf("s1", id, workflow.FateConsumed)}
		s := f.must(c)
		if i < 6 {
			s = f.must(next(f.must(next(s, 1, waiting("approve"))), 2, ended(begin+workflow.Instant(i))))
		}
		last[id] = s
	}
	byEnd := []string{"e5", "e4", "e3", "e2", "e1", "e0"} // not the two that live
	f.finished(3, byEnd[:3])
	f.finished(10, byEnd)
	sweep := func(before workflow.Instant, limit, want int) {
		f.Helper()
		n, err := f.Sweep(f.ctx, before, limit)
		f.is("sweep", err, nil)
		same(f, "forgotten", n, want)
	}
	sweep(begin, 10, 0)
	sweep(begin+4, 3, 3)
	sweep(begin+4, 3, 1)
	sweep(begin+4, 3, 0)
	for range 2 {
		f.finished(10, byEnd[:2])
		for i, id := range []string{"e0", "e1", "e2", "e3"} {
			_, err := f.Load(f.ctx, id)
			f.is(fmt.Sprintf("load of swept %d", i), err, persistence.ErrNotFound)
			rs, err := f.Records(f.ctx, id, 0, 10)
			f.is("records", err, nil)
			same(f, "records of a swept one", rs, nil)
			_, err = f.Receipt(f.ctx, "s1", id)
			f.is("receipt of a swept one", err, persistence.ErrNotFound)
		}
		same(f, "executions that are left", sorted(f.pages(workflow.Query{}, 10)), []string{"e4", "e5", "e6", "e7"})
		same(f, "finished ones that are left", sorted(f.pages(workflow.Query{Status: workflow.Success}, 10)), []string{"e4", "e5"})
		rs, err := f.Receipts(f.ctx, "s1", "", 10)
		f.is("receipts", err, nil)
		same(f, "receipts that are left", len(rs), 4)
		rec, err := f.Records(f.ctx, "e4", 0, 10)
		f.is("records", err, nil)
		same(f, "records of one that is left", rec, history(0, 4))
		f.reopen()
	}
	f.is("commit to a swept one", f.commit(next(last["e0"], 1, nil)), persistence.ErrConflict)
	same(f, "a new execution of a swept id", f.must(first(sample("e0"))), f.load("e0").State)
}

// finished checks which executions finished last.
func (f *fixture) finished(limit int, want []string) {
	f.Helper()
	states, err := f.LastFinished(f.ctx, limit)
	f.is("last finished", err, nil)
	var got []string
	for _, s := range states {
		same(f, "one that finished", s, f.load(s.ExecID).State)
		got = append(got, s.ExecID)
	}
	same(f, "the last that finished", got, want)
}

// sweepEvents: settled events are forgotten, open ones are not.
func sweepEvents(f *fixture) {
	for i := range 6 {
		ev := eventOf(fmt.Sprintf("ev%d", i))
		ev.ReceivedAt = begin + workflow.Instant(i)
		_, _, err := f.accept(ev)
		f.is("accept", err, nil)
		if i != 1 {
			r := persistence.Accepted(ev)
			r.Fate = workflow.FateDead
			f.settle(r)
		}
	}
	for _, want := range []int{2, 1, 0} {
		n, err := f.Sweep(f.ctx, begin+4, 2)
		f.is("sweep", err, nil)
		same(f, "forgotten", n, want)
	}
	f.reopen()
	for i := range 6 {
		_, err := f.Event(f.ctx, fmt.Sprintf("ev%d", i))
		want := persistence.ErrNotFound
		if i == 1 || i >= 4 {
			want = nil
		}
		f.is(fmt.Sprintf("event %d", i), err, want)
	}
	_, known, err := f.accept(eventOf("ev0"))
	f.is("accept of a forgotten id", err, nil)
	same(f, "known", known, false)
}

// closing: what was queued is answered, what comes later is refused.
func closing(f *fixture) {
	var answers []<-chan error
	s := sample("e1")
	answers = append(answers, f.submit(first(s)))
	for range 50 {
		c := next(s, 1, nil)
		answers = append(answers, f.submit(c))
		s = c.Now
	}
	f.is("close", f.Store.Close(), nil)
	for i, answer := range answers {
		if err := wait(f.T, answer); err != nil {
			f.Fatalf("commit %d that was queued before Close: %v", i, err)
		}
	}
	f.is("close again", f.Store.Close(), nil)
	f.is("commit after Close", f.commit(next(s, 1, nil)), persistence.ErrClosed)
	_, err := f.Load(f.ctx, "e1")
	f.is("load after Close", err, persistence.ErrClosed)
	_, err = f.Executions(f.ctx, workflow.Query{})
	f.is("executions after Close", err, persistence.ErrClosed)
	_, err = f.LastFinished(f.ctx, 1)
	f.is("last finished after Close", err, persistence.ErrClosed)
	_, err = f.Due(f.ctx, begin, nil, 1)
	f.is("due after Close", err, persistence.ErrClosed)
	f.is("put after Close", f.PutDocument(f.ctx, "k", "i", nil), persistence.ErrClosed)
	f.is("replacement after Close", f.ReplaceDocument(f.ctx, "k", "i", nil, []byte("x")), persistence.ErrClosed)
	_, _, err = f.accept(eventOf("ev1"))
	f.is("accept after Close", err, persistence.ErrClosed)
	_, err = f.Sweep(f.ctx, begin, 1)
	f.is("sweep after Close", err, persistence.ErrClosed)
	f.start()
	same(f, "state", f.load("e1").State, s)
}

// givingUp: a caller whose context ended gets its error.
func givingUp(f *fixture) {
	f.must(first(sample("e1")))
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	_, err := f.Load(ctx, "e1")
	f.is("load", err, context.Canceled)
	_, err = f.Executions(ctx, workflow.Query{})
	f.is("executions", err, context.Canceled)
	_, err = f.Waits(ctx, workflow.WaitQuery{})
	f.is("waits", err, context.Canceled)
	_, err = f.Sweep(ctx, begin, 1)
	f.is("sweep", err, context.Canceled)
	f.is("health", f.Health(), nil)
}

// openingAgain: every opening has a higher epoch, and the level is said.
func openingAgain(f *fixture) {
	var last uint64
	s := f.must(first(sample("e1")))
	for range 4 {
		if f.Epoch() <= last {
			f.Fatalf("epoch %d does not follow %d", f.Epoch(), last)
		}
		last = f.Epoch()
		f.is("health", f.Health(), nil)
		switch f.Durability() {
		case workflow.Replicated, workflow.Fsync, workflow.OneSecond, workflow.Memory:
		default:
			f.Fatalf("durability is %q", f.Durability())
		}
		s = f.must(next(s, 1, nil))
		f.reopen()
		same(f, "state", f.load("e1").State, s)
	}
}

// ownersInARace: of several who believe that they own an execution, one wins each version.
func ownersInARace(f *fixture) {
	const owners, rounds = 8, 40
	s := f.must(first(sample("e1")))
	for round := range rounds {
		var wins []*workflow.State
		var mu sync.Mutex
		var wg sync.WaitGroup
		for owner := range owners {
			wg.Go(func() {
				c := next(s, 1, func(now *workflow.State) { now.Last = fmt.Sprintf("owner %d", owner) })
				c.Records[0].Reason = c.Now.Last
				if err := <-f.submit(c); err == nil {
					mu.Lock()
					defer mu.Unlock()
					wins = append(wins, c.Now)
				}
			})
		}
		wg.Wait()
		if len(wins) != 1 {
			f.Fatalf("round %d: %d owners committed version %d", round, len(wins), s.Version+1)
		}
		s = wins[0]
		same(f, "state", f.load("e1").State, s)
		rs, err := f.Records(f.ctx, "e1", s.Seq-1, 10)
		f.is("records", err, nil)
		if len(rs) != 1 || rs[0].Reason != s.Last {
			f.Fatalf("the record of version %d is %+v, but %s won", s.Version, rs, s.Last)
		}
	}
}

// manyAtOnce: many owners, each with its own executions, readers beside them:
// nobody loses anything and no reader sees a half.
func manyAtOnce(f *fixture) {
	const writers, each, steps = 8, 4, 25
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() { readAlong(f, stop) })
	}
	var wg sync.WaitGroup
	final := make([][]*workflow.State, writers)
	for w := range writers {
		wg.Go(func() {
			for e := range each {
				final[w] = append(final[w], f.live(fmt.Sprintf("w%d-%d", w, e), steps))
			}
		})
	}
	wg.Wait()
	close(stop)
	readers.Wait()
	f.reopen()
	for _, states := range final {
		for _, s := range states {
			same(f, "state", f.load(s.ExecID).State, s)
			rs, err := f.Records(f.ctx, s.ExecID, 0, 1000)
			f.is("records", err, nil)
			same(f, "records", rs, history(0, s.Seq))
		}
	}
	if got := len(f.pages(workflow.Query{}, 7)); got != writers*each {
		f.Fatalf("%d executions are listed, want %d", got, writers*each)
	}
}

// live takes an execution through some steps, waiting and running in turn.
func (f *fixture) live(id string, steps int) *workflow.State {
	s := sample(id)
	if err := <-f.submit(first(s)); err != nil {
		f.Errorf("start %q: %v", id, err)
	}
	for i := range steps {
		c := next(s, 2, func(now *workflow.State) {
			if i%2 == 0 {
				waiting("approve")(now)
			} else {
				now.Status, now.Waits = workflow.Running, nil
			}
		})
		if err := <-f.submit(c); err != nil {
			f.Errorf("commit %q: %v", id, err)
		}
		s = c.Now
	}
	return s
}

// readAlong reads until it is told to stop: a state and its records are of one
// commit, and whoever is listed as waiting waits.
func readAlong(f *fixture, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		page, err := f.Executions(f.ctx, workflow.Query{Limit: 50, Status: workflow.Waiting})
		if err != nil {
			f.Errorf("executions: %v", err)
			return
		}
		for _, s := range page.Items {
			if s.Status != workflow.Waiting || len(s.Waits) != 1 {
				f.Errorf("execution %q is listed as waiting and is %s with %d waits", s.ExecID, s.Status, len(s.Waits))
				return
			}
			rs, err := f.Records(f.ctx, s.ExecID, s.Seq-1, 1)
			if err != nil || len(rs) != 1 || rs[0].Seq != s.Seq {
				f.Errorf("execution %q has %d records by its state, but the last one reads %v, %v", s.ExecID, s.Seq, rs, err)
				return
			}
		}
	}
}

// stats: the store counts what it did.
func stats(f *fixture) {
	before := f.Stats()
	s := f.must(next(f.must(first(sample("e1"))), 1, waiting("approve", "pay")))
	f.is("conflict", f.commit(first(sample("e1"))), persistence.ErrConflict)
	after := f.Stats()
	same(f, "commits", after.Commits-before.Commits, 2)
	same(f, "conflicts", after.Conflicts-before.Conflicts, 1)
	if after.Groups <= before.Groups || after.Grouped-before.Grouped < after.Groups-before.Groups {
		f.Fatalf("%d groups with %d writes", after.Groups-before.Groups, after.Grouped-before.Grouped)
	}
	if after.Waits != -1 {
		same(f, "open waits", after.Waits, 2)
		f.reopen()
		same(f, "open waits after opening again", f.Stats().Waits, 2)
	}
	f.must(next(s, 1, ended(begin)))
	if w := f.Stats().Waits; w != -1 && w != 0 {
		f.Fatalf("open waits after the end: %d", w)
	}
}
