package actors

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// A wait whose processor works on an event has yet to decide, and so has one of an
// execution that is paused. Until all have, the event stays accepted, and its
// receipt counts them. Every commit of an execution that says more of an event has
// the owner of the event look again. It reads what the executions have written
// down, so to look once more, in vain or after a crash, does no harm.

// lookAfter has the owner of an event look at what became of it.
func (s *System) lookAfter(eventID string) {
	if !s.here(eventID) {
		s.Peers.Fan(eventID)
		return
	}
	s.FanOut(eventID)
}

// look finds out what the waits that had yet to decide have made of the event.
func (f *fanout) look(ctx actor.Context) {
	news, err := f.decided()
	switch {
	case err != nil:
		f.system.Logger.Warn("what became of an event cannot be read; it is looked at again", "event_id", f.receipt.Event.ID, "err", err)
		f.again(ctx)
	case !news:
		f.leave(ctx)
	default:
		f.settling = true
		f.conclude()
		f.write(ctx)
	}
}

// decided brings the receipt up to date; false when it is.
func (f *fanout) decided() (news bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	r := f.receipt
	open := make(map[string]bool)
	for i := range r.Deliveries {
		if d := &r.Deliveries[i]; d.Outcome == "buffered" {
			open[d.ExecID] = true
		}
	}
	for _, execID := range slices.Sorted(maps.Keys(open)) {
		told, s, err := f.stands(ctx, execID)
		if err != nil {
			return false, err
		}
		news = f.follow(execID, told, s) || news
	}
	listed := slices.ContainsFunc(r.Deliveries, func(d workflow.Delivery) bool { return d.Outcome == "buffered" })
	if !listed && r.Counts.Buffered > 0 {
		rest, err := f.unlisted(ctx)
		return news || rest, err
	}
	return news, nil
}

// stands reads how the event stands at an execution: its receipt there, nil when that
// is gone, and while some wait has yet to decide the state, which says which one.
func (f *fanout) stands(ctx context.Context, execID string) (*workflow.Receipt, *workflow.State, error) {
	told, err := f.system.Store.Receipt(ctx, f.receipt.Event.ID, execID)
	if err != nil || told.Fate.Final() {
		return told, nil, known(err)
	}
	snapshot, err := f.system.Store.Load(ctx, execID)
	if err != nil {
		return told, nil, known(err)
	}
	return told, snapshot.State, nil
}

// known is an error after which nothing is known; what is gone or damaged is known.
func known(err error) error {
	var corrupt *persistence.Corrupt
	if errors.Is(err, persistence.ErrNotFound) || errors.As(err, &corrupt) {
		return nil
	}
	return err
}

// follow brings the deliveries to an execution to how the event stands there; false
// when they are.
func (f *fanout) follow(execID string, told *workflow.Receipt, s *workflow.State) (news bool) {
	var said []workflow.Reached
	d, last := workflow.Delivery{}, workflow.Step{Reason: "what it decided is forgotten, as its execution is"}
	final := told == nil || told.Fate.Final()
	if told != nil {
		said, last = told.Reached(s), told.Steps[len(told.Steps)-1]
	}
	if !final && !slices.ContainsFunc(said, func(w workflow.Reached) bool { return w.Open }) {
		return false // it has just been decided: that commit has the event looked at once more
	}
	listed := make(map[string]bool)
	for i := range f.receipt.Deliveries {
		one := &f.receipt.Deliveries[i]
		if one.Kind != "wait" || one.ExecID != execID {
			continue
		}
		d, listed[one.WaitID] = *one, true
		if one.Outcome == "buffered" && f.decide(one, said, final, last) {
			news = true
		}
	}
	for _, w := range said {
		if !listed[w.Wait] { // it was asked when one before it had refused the event
			d.At = last.At
			f.note(eachOf(d, []workflow.Reached{w})[0])
			news = true
		}
	}
	if final && (told == nil || told.Fate != workflow.FateConsumed) {
		f.receipt.Counts.Passed++
	}
	return news
}

// decide notes in a delivery what the wait has decided; false when it has not yet.
func (f *fanout) decide(d *workflow.Delivery, said []workflow.Reached, final bool, last workflow.Step) bool {
	i := slices.IndexFunc(said, func(w workflow.Reached) bool { return w.Wait == d.WaitID })
	switch {
	case i >= 0 && said[i].Open, i < 0 && !final:
		return false
	case i >= 0:
		*d = eachOf(*d, said[i:i+1])[0]
	default:
		d.Outcome, d.Reason = "passed", last.Reason
	}
	d.At = last.At
	f.receipt.Counts.Buffered--
	if d.Outcome == "delivered" {
		f.receipt.Counts.Delivered++
	}
	return true
}

// unlisted counts what became of the event at waits for which the receipt had no
// room, once all of them have decided.
func (f *fanout) unlisted(ctx context.Context) (news bool, err error) {
	taken, counts := 0, &f.receipt.Counts
	for told, err := range f.system.told(ctx, f.receipt.Event.ID) {
		if err != nil {
			return false, err
		}
		if !told.Fate.Final() {
			return false, nil
		}
		for _, w := range told.Reached(nil) {
			if w.Took {
				taken++
			}
		}
	}
	took := min(max(taken-counts.Delivered, 0), counts.Buffered)
	counts.Delivered, counts.Passed, counts.Buffered = counts.Delivered+took, counts.Passed+counts.Buffered-took, 0
	return true, nil
}
