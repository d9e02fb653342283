package storetest

import (
	"fmt"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// standings are receipts of an event that has a time to live, one for each way in which
// it can stand.
func standings(ev workflow.Event) map[workflow.Standing]*workflow.EventReceipt {
	undecided := withFate(ev, workflow.FateAccepted)
	undecided.Counts.Buffered = 2
	return map[workflow.Standing]*workflow.EventReceipt{
		workflow.StandsAsking:    withFate(ev, workflow.FateAccepted),
		workflow.StandsUndecided: undecided,
		workflow.StandsKept:      withFate(ev, workflow.FateBuffered),
		workflow.StandsConsumed:  withFate(ev, workflow.FateConsumed),
		workflow.StandsBuried:    withFate(ev, workflow.FateDead),
	}
}

// eventsDecided: who decides about an event is refused, and changes nothing, when it does
// not stand any more as he believes. To ask and to be undecided are told apart one way
// only: folders and databases of a release before do not.
func eventsDecided(f *fixture) {
	believed := []workflow.Standing{workflow.StandsNowhere, workflow.StandsAsking, workflow.StandsUndecided, workflow.StandsKept, workflow.StandsConsumed, workflow.StandsBuried}
	n := 0
	for _, stands := range believed[1:] {
		for _, was := range believed {
			n++
			ev := keptEvent(fmt.Sprint("ev", n), "A", n)
			_, _, err := f.accept(ev)
			f.is("accept", err, nil)
			before, after := standings(ev)[stands], standings(ev)[workflow.StandsConsumed]
			f.settle(before)
			after.Reason = "decided by a test"
			what := fmt.Sprintf("it is %q and was believed to be %q", stands, was)
			if was == stands || was == workflow.StandsUndecided && stands == workflow.StandsAsking {
				f.is(what, f.decide(was, after), nil)
				before = after
			} else {
				f.is(what, f.decide(was, after), persistence.ErrConflict)
			}
			got, err := f.Event(f.ctx, ev.ID)
			f.is("event", err, nil)
			same(f, what, got, before)
		}
	}
	unknown := standings(keptEvent("unknown", "A", n))[workflow.StandsBuried]
	for _, was := range slices.Backward(believed) {
		want := persistence.ErrConflict
		if was == workflow.StandsNowhere {
			want = nil
		}
		f.is(fmt.Sprintf("it is unknown and was believed to be %q", was), f.decide(was, unknown), want)
	}
}

// eventsFanned: a commit takes an event from its fan-out while that asks, and is refused
// afterwards together with what was made on it.
func eventsFanned(f *fixture) {
	n := 0
	fanned := func(s *workflow.State, id string) *persistence.Commit {
		c := next(s, 1, nil)
		c.Fanned = []string{id}
		return c
	}
	for stands, receipt := range standings(keptEvent("", "A", 1)) {
		for range 3 { // on a store of several partitions they lie in different ones
			n++
			ev := keptEvent(fmt.Sprint("ev", n), "A", n)
			_, _, err := f.accept(ev)
			f.is("accept", err, nil)
			s := f.must(first(sample(fmt.Sprint("e", n))))
			s = f.must(fanned(s, ev.ID))
			r := *receipt
			r.Event = ev
			f.settle(&r)
			if stands == workflow.StandsAsking {
				s = f.must(fanned(s, ev.ID))
			}
			if stands != workflow.StandsAsking {
				c := fanned(s, ev.ID)
				behind := next(c.Now, 1, nil)
				behind.Parent = c.ID
				answer, another := f.submit(c), f.submit(behind)
				f.is("taking one that is "+string(stands), wait(f.T, answer), persistence.ErrConflict)
				f.is("what was made on it", wait(f.T, another), persistence.ErrConflict)
				same(f, "the state", f.load(s.ExecID).State, s)
			}
			f.reopen()
			f.must(next(s, 1, nil))
		}
	}
	c := fanned(f.must(first(sample("last"))), "nobody")
	f.is("taking one that is not there", f.commit(c), persistence.ErrConflict)
}
