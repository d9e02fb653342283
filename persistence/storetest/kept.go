package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// keptEvent is an event for an order that is kept for ten seconds.
func keptEvent(id, order string, n int) workflow.Event {
	ev := eventOf(id)
	ev.Payload = workflow.Value(fmt.Sprintf(`{"order_id":%q,"line":{"n":%d}}`, order, n))
	ev.ReceivedAt += workflow.Instant(n)
	ev.ExpiresAt = ev.ReceivedAt + 10_000
	return ev
}

// withFate is the receipt of an event with that fate.
func withFate(ev workflow.Event, fate workflow.Fate) *workflow.EventReceipt {
	r := persistence.Accepted(ev)
	r.Fate = fate
	r.Steps = append(r.Steps, workflow.Step{At: ev.ReceivedAt + 1, What: string(fate)})
	return r
}

// keepEvent accepts an event and keeps it.
func (f *fixture) keepEvent(ev workflow.Event) *workflow.EventReceipt {
	f.Helper()
	_, _, err := f.accept(ev)
	f.is("accept", err, nil)
	r := withFate(ev, workflow.FateBuffered)
	f.settle(r)
	return r
}

// release replaces the receipt of a kept event.
func (f *fixture) release(r *workflow.EventReceipt) error {
	f.Helper()
	answer := make(chan error, 1)
	f.ReleaseEvent(r, func(err error) { answer <- err })
	return wait(f.T, answer)
}

// keptIDs lists the kept events of a query in pages of a size.
func (f *fixture) keptIDs(q workflow.KeptQuery, size int) []string {
	f.Helper()
	var ids []string
	for q.Limit = size; ; {
		page, err := f.Kept(f.ctx, q)
		f.is("kept", err, nil)
		if len(page.Items) > size {
			f.Fatalf("asked for %d events, got %d", size, len(page.Items))
		}
		for _, r := range page.Items {
			ids = append(ids, r.Event.ID)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return ids
		}
	}
}

func (f *fixture) expiring(until workflow.Instant, after *workflow.EventReceipt, limit int) []string {
	f.Helper()
	events, err := f.Expiring(f.ctx, until, after, limit)
	f.is("expiring", err, nil)
	var ids []string
	for _, r := range events {
		ids = append(ids, r.Event.ID)
	}
	return ids
}

// keptEvents: found by name and by any part of their payload, in the order in
// which they came, and no open events any more.
func keptEvents(f *fixture) {
	var receipts []*workflow.EventReceipt
	for i := range 6 {
		receipts = append(receipts, f.keepEvent(keptEvent(fmt.Sprint("ev", 9-i), []string{"A", "B"}[i%2], i)))
	}
	other := keptEvent("other", "A", 3)
	other.Name = "order"
	f.keepEvent(other)
	large := keptEvent("large", "A", 7) // with more parts than are indexed
	large.CorrelationID = "c-1"
	large.Payload = workflow.Value(`{` + strings.Repeat(`"a":1,`, 3))
	for i := range 3 * workflow.MaxKeptPaths {
		large.Payload = fmt.Appendf(large.Payload, `"k%03d":1,`, i)
	}
	large.Payload = append(large.Payload, `"order_id":"A"}`...)
	f.keepEvent(large)
	for range 2 {
		for _, size := range []int{1, 2, 20} {
			same(f, "of the name", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, size), []string{"ev9", "ev8", "ev7", "ev6", "ev5", "ev4", "large"})
			same(f, "by a text", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: orderPath, Key: "A"}, size), []string{"ev9", "ev7", "ev5", "large"})
			same(f, "by a number", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: "/payload/line/n", Key: "3"}, size), []string{"ev6"})
			same(f, "by the correlation id", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: workflow.CorrelationPath, Key: "c-1"}, size), []string{"large"})
			same(f, "by what none has", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: orderPath, Key: "C"}, size), nil)
		}
		open, err := f.OpenEvents(f.ctx, "", 10)
		f.is("open events", err, nil)
		same(f, "open events", open, nil)
		same(f, "counted", f.Stats().Kept, 8)
		same(f, "expiring soon", f.expiring(begin+10_002, nil, 10), []string{"ev9", "ev8", "ev7"})
		same(f, "expiring, one by one", f.expiring(begin+20_000, receipts[0], 2), []string{"ev8", "ev7"})
		same(f, "expiring before", f.expiring(begin+9_999, nil, 10), nil)
		got, err := f.Event(f.ctx, "ev9")
		f.is("event", err, nil)
		same(f, "receipt", got, receipts[0])
		f.reopen()
	}
	f.balance("books", tallied("order", 1, 0, 1, 0, 0), tallied("order.paid", 7, 0, 7, 0, 0))
	for _, cursor := range []string{"x", "AAAA", "!"} {
		if _, err := f.Kept(f.ctx, workflow.KeptQuery{Name: "order.paid", Cursor: cursor}); err == nil {
			f.Errorf("the cursor %q is taken", cursor)
		}
	}
}

// keptTaken: one commit takes an event, atomically; whoever comes later is told
// that it is gone.
func keptTaken(f *fixture) {
	ev := keptEvent("ev1", "A", 1)
	f.keepEvent(ev)
	f.keepEvent(keptEvent("ev2", "A", 2))
	s, o := f.must(first(sample("e1"))), f.must(first(sample("e2")))
	stale := next(s, 1, nil)
	stale.Epoch = 0
	stale.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateConsumed)}
	f.is("refused commit", f.commit(stale), persistence.ErrConflict)
	same(f, "kept after a refused commit", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, 10), []string{"ev1", "ev2"})

	c := next(s, 1, nil)
	c.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateConsumed)}
	s = f.must(c)
	for range 2 {
		same(f, "kept after it was taken", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, 10), []string{"ev2"})
		same(f, "by its key", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: orderPath, Key: "A"}, 10), []string{"ev2"})
		same(f, "expiring", f.expiring(begin+90_000, nil, 10), []string{"ev2"})
		got, err := f.Event(f.ctx, "ev1")
		f.is("event", err, nil)
		same(f, "receipt", got, c.Taken[0])
		c := next(o, 1, nil)
		c.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateConsumed)}
		f.is("taking it again", f.commit(c), persistence.ErrConflict)
		same(f, "the loser's state", f.load("e2").State, o)
		f.is("releasing it", f.release(withFate(ev, workflow.FateExpired)), persistence.ErrConflict)
		f.reopen()
	}
	f.balance("books", tallied("order.paid", 2, 1, 1, 0, 0))
	missing := next(s, 1, nil)
	missing.Taken = []*workflow.EventReceipt{withFate(eventOf("nobody"), workflow.FateConsumed)}
	f.is("taking one that is not there", f.commit(missing), persistence.ErrConflict)
	n, err := f.Sweep(f.ctx, begin+90_000, 10)
	f.is("sweep", err, nil)
	same(f, "swept: the one that was taken", n, 1)
}

// keptUndecided: a commit takes an event about which its wait has yet to decide, so
// that it is open again, and it may be kept once more.
func keptUndecided(f *fixture) {
	ev := keptEvent("ev1", "A", 1)
	f.keepEvent(ev)
	s := f.must(first(sample("e1")))
	for range 2 {
		c := next(s, 1, nil)
		c.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateAccepted)}
		s = f.must(c)
		for range 2 {
			same(f, "kept", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, 10), nil)
			same(f, "expiring", f.expiring(begin+90_000, nil, 10), nil)
			open, err := f.OpenEvents(f.ctx, "", 10)
			f.is("open", err, nil)
			same(f, "open", open, c.Taken)
			f.reopen()
		}
		f.balance("books", tallied("order.paid", 1, 0, 1, 0, 0))
		f.settle(withFate(ev, workflow.FateBuffered))
		same(f, "kept again", f.keptIDs(workflow.KeptQuery{Name: "order.paid", Path: orderPath, Key: "A"}, 10), []string{"ev1"})
		open, err := f.OpenEvents(f.ctx, "", 10)
		f.is("open", err, nil)
		same(f, "open while it is kept", len(open), 0)
	}
}

// keptInARace: of many that take the same event at once, one does.
func keptInARace(f *fixture) {
	const takers, rounds = 8, 10
	for round := range rounds {
		ev := keptEvent(fmt.Sprint("ev", round), "A", round)
		f.keepEvent(ev)
		var wins atomic.Int32
		var wg sync.WaitGroup
		for taker := range takers {
			s := f.must(first(sample(fmt.Sprintf("e%d-%d", round, taker))))
			wg.Go(func() {
				if taker == 0 {
					answer := make(chan error, 1)
					f.ReleaseEvent(withFate(ev, workflow.FateExpired), func(err error) { answer <- err })
					if err := <-answer; err == nil {
						wins.Add(1)
					}
					return
				}
				c := next(s, 1, nil)
				c.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateConsumed)}
				if err := <-f.submit(c); err == nil {
					wins.Add(1)
				} else if !errors.Is(err, persistence.ErrConflict) {
					f.Errorf("take: %v", err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			f.Fatalf("round %d: %d took the event", round, wins.Load())
		}
	}
	same(f, "kept", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, 10), nil)
}

// keptReleased: the end of its time makes an event expired, with a dead letter.
func keptReleased(f *fixture) {
	ev := keptEvent("ev1", "A", 1)
	f.keepEvent(ev)
	r := withFate(ev, workflow.FateExpired)
	r.Cause, r.Reason = workflow.CauseExpired, "nobody came"
	f.is("release", f.release(r), nil)
	for range 2 {
		got, err := f.Event(f.ctx, "ev1")
		f.is("event", err, nil)
		same(f, "receipt", got, r)
		same(f, "kept", f.keptIDs(workflow.KeptQuery{Name: "order.paid"}, 10), nil)
		same(f, "expiring", f.expiring(begin+90_000, nil, 10), nil)
		same(f, "counted", f.Stats().Kept, 0)
		want := workflow.LetterOfEvent(r)
		letter, err := f.Letter(f.ctx, want.ID)
		f.is("letter", err, nil)
		same(f, "letter", letter, &want)
		f.reopen()
	}
	f.balance("books", tallied("order.paid", 1, 0, 0, 1, 0))
	f.is("release of what was never there", f.release(withFate(eventOf("nobody"), workflow.FateExpired)), persistence.ErrConflict)
}

// keptForWaits: a commit that opens a wait is told when events of its name are kept.
func keptForWaits(f *fixture) {
	told := func(c *persistence.Commit) (told bool) {
		f.Helper()
		c.Kept = func() { told = true }
		f.must(c)
		return told
	}
	s := f.must(first(sample("e1")))
	open := next(s, 1, waiting("order.paid"))
	same(f, "before it is kept", told(open), false)
	ev := keptEvent("ev1", "A", 1)
	f.keepEvent(ev)
	f.reopen()
	run := next(open.Now, 1, func(now *workflow.State) { now.Waits = nil })
	same(f, "a commit that opens nothing", told(run), false)
	again := next(run.Now, 1, waiting("other", "order.paid"))
	same(f, "a commit that opens the wait", told(again), true)
	taken := next(again.Now, 1, waiting("order.paid"))
	taken.Now.Waits[0].ID = "hold/3"
	taken.Taken = []*workflow.EventReceipt{withFate(ev, workflow.FateConsumed)}
	same(f, "a commit that takes the last one", told(taken), false)
	f.must(next(taken.Now, 1, ended(begin)))
}

// compareKept compares what is kept.
func (m *model) compareKept(ctx context.Context, rt *rapid.T) {
	var all []*workflow.EventReceipt
	for _, id := range slices.Sorted(maps.Keys(m.events)) {
		if m.events[id].Fate == workflow.FateBuffered {
			all = append(all, m.events[id])
		}
	}
	same(rt, "count of kept events", m.store.Stats().Kept, int64(len(all)))
	slices.SortStableFunc(all, func(a, b *workflow.EventReceipt) int { return cmp.Compare(a.Event.ReceivedAt, b.Event.ReceivedAt) })
	for _, name := range []string{"approve", "approve2", "pay", "order.paid"} {
		for _, q := range []workflow.KeptQuery{{Name: name}, {Name: name, Path: orderPath, Key: "A"}, {Name: name, Path: orderPath, Key: "1"}, {Name: name, Path: customerPath, Key: "A"}} {
			var want []*workflow.EventReceipt
			for _, r := range all {
				if r.Event.Name == name && (q.Path == "" || workflow.KeysOf(&r.Event).At(q.Path) == q.Key) {
					want = append(want, r)
				}
			}
			same(rt, "kept", good[workflow.Page[*workflow.EventReceipt]](rt, "kept")(m.store.Kept(ctx, q)).Items, want)
		}
	}
	slices.SortStableFunc(all, func(a, b *workflow.EventReceipt) int {
		return cmp.Or(cmp.Compare(a.Event.ExpiresAt, b.Event.ExpiresAt), cmp.Compare(a.Event.ID, b.Event.ID))
	})
	same(rt, "expiring", good[[]*workflow.EventReceipt](rt, "expiring")(m.store.Expiring(ctx, begin+1000, nil, 100)), all)
}

// someEvent draws a kept event, or any; nil when there is none.
func (m *model) someEvent(rt *rapid.T) *workflow.EventReceipt {
	ids := slices.Sorted(maps.Keys(m.events))
	if len(ids) == 0 {
		return nil
	}
	return m.events[rapid.SampledFrom(ids).Draw(rt, "event")]
}

// release ends the keeping of an event, if it is kept.
func (m *model) release(rt *rapid.T) {
	known := m.someEvent(rt)
	if known == nil {
		rt.Skip("no event")
	}
	r := *known
	r.Fate = workflow.FateExpired
	answer := make(chan error, 1)
	m.store.ReleaseEvent(&r, func(err error) { answer <- err })
	err := wait(rt, answer)
	if known.Fate != workflow.FateBuffered {
		if !errors.Is(err, persistence.ErrConflict) {
			rt.Fatalf("release of an event that is %s: %v", known.Fate, err)
		}
		return
	}
	if err != nil {
		rt.Fatalf("release: %v", err)
	}
	m.moveEvent(&r)
	l := workflow.LetterOfEvent(&r)
	m.letters[l.ID] = l
}

// take lets a commit take an event that is kept; false when the commit must be refused.
func (m *model) take(rt *rapid.T, c *persistence.Commit) bool {
	if rapid.IntRange(0, 3).Draw(rt, "take") > 0 {
		return true
	}
	known := m.someEvent(rt)
	if known == nil {
		return true
	}
	r := *known
	r.Fate = rapid.SampledFrom([]workflow.Fate{workflow.FateConsumed, workflow.FateAccepted}).Draw(rt, "taken")
	c.Taken = append(c.Taken, &r)
	return known.Fate == workflow.FateBuffered
}

func (m *model) moveEvent(r *workflow.EventReceipt) {
	m.count(r.Event.Name, m.events[r.Event.ID].Fate, r.Fate)
	m.events[r.Event.ID] = r
}
