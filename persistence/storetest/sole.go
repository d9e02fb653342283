package storetest

import (
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// eventsAndStarts: a commit brings the event that it begins for, settled, and is
// refused when that is known.
func eventsAndStarts(f *fixture) {
	if _, sole := f.Store.(persistence.Sole); !sole {
		return
	}
	settled := persistence.Accepted(eventOf("ev1"))
	settled.Fate = workflow.FateConsumed
	settled.Steps = append(settled.Steps, workflow.Step{At: begin, What: "consumed"})
	settled.Deliveries = []workflow.Delivery{{Kind: "trigger", WorkflowID: "orders", ExecID: "e1", Outcome: "started", At: begin}}
	c := first(sample("e1"))
	c.Event = settled
	s := f.must(c)
	again := first(sample("e2"))
	again.Event = persistence.Accepted(eventOf("ev1"))
	again.Event.Fate = workflow.FateDead
	for range 2 {
		f.is("commit with an event that is known", f.commit(again), persistence.ErrKnown)
		_, err := f.Load(f.ctx, "e2")
		f.is("execution of that commit", err, persistence.ErrNotFound)
		same(f, "state", f.load("e1").State, s)
		got, err := f.Event(f.ctx, "ev1")
		f.is("event", err, nil)
		same(f, "event", got, settled)
		r, known, err := f.accept(eventOf("ev1"))
		f.is("accept", err, nil)
		same(f, "known", known, true)
		same(f, "event that was there", r, settled)
		open, err := f.OpenEvents(f.ctx, "", 10)
		f.is("open events", err, nil)
		same(f, "open events", open, nil)
		books, err := f.Books(f.ctx)
		f.is("books", err, nil)
		same(f, "books", books, []workflow.BookRow{{Name: "order.paid", Tally: workflow.Tally{Accepted: 1, Consumed: 1}}})
		f.reopen()
	}
	n, err := f.Sweep(f.ctx, begin+1, 10)
	f.is("sweep", err, nil)
	same(f, "swept events", n, 1)
	_, err = f.Event(f.ctx, "ev1")
	f.is("event after the sweep", err, persistence.ErrNotFound)
}

// unawaited: a store says that nobody waits once it was looked at, and no longer
// than until a commit that opens a wait is answered.
func unawaited(f *fixture) {
	if _, sole := f.Store.(persistence.Sole); !sole {
		return
	}
	look := func(name string) {
		_, err := f.KeyPaths(f.ctx, name)
		f.is("key paths", err, nil)
		_, err = f.Waits(f.ctx, workflow.WaitQuery{Name: name, Unkeyed: true, Limit: 1})
		f.is("waits", err, nil)
	}
	says := func(when string, want bool) {
		f.Helper()
		same(f, "unawaited "+when, f.Store.(persistence.Sole).Unawaited("approve"), want)
	}
	says("before anybody has looked", false)
	look("approve")
	says("after that", true)
	f.must(next(f.must(first(sample("other"))), 1, waiting("reject")))
	says("while others wait", true)
	s := f.must(next(f.must(first(sample("plain"))), 1, waiting("approve")))
	says("when a wait is open", false)
	look("approve")
	says("when it was seen", false)
	f.reopen()
	look("approve")
	says("when it was seen after a restart", false)
	s = f.must(next(s, 1, func(now *workflow.State) { now.Waits = nil }))
	look("approve")
	says("when it has closed", true)
	f.must(next(s, 1, func(now *workflow.State) {
		waiting("approve")(now)
		now.Waits[0].Path, now.Waits[0].Key = "/payload/order", "A-17"
	}))
	look("approve")
	says("when one with a key is open", false)
}
