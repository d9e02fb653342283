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
	id := f.receipt.Event.ID
	if f.system.settledElsewhere(id) {
		f.leave(ctx)
		return
	}
	news, err := f.decided()
	switch {
	case err != nil:
		f.system.Logger.Warn("what became of an event cannot be read; it is looked at again", "event_id", id, "err", err)
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
	open := make(map[string][]int) // places of deliveries, by execution
	for i := range r.Deliveries {
		if d := &r.Deliveries[i]; d.Outcome == "buffered" {
			open[d.ExecID] = append(open[d.ExecID], i)
		}
	}
	listed := 0
	for _, execID := range slices.Sorted(maps.Keys(open)) {
		told, err := f.system.Store.Receipt(ctx, r.Event.ID, execID)
		if err != nil && !errors.Is(err, persistence.ErrNotFound) {
			return false, err
		}
		n := f.follow(told, open[execID])
		news, listed = news || n > 0, listed+len(open[execID])-n
	}
	if listed == 0 && r.Counts.Buffered > 0 {
		rest, err := f.unlisted(ctx)
		return news || rest, err
	}
	return news, nil
}

// follow brings deliveries to one execution to what it has told of them, nil for
// one that is gone, and returns how many have been decided.
func (f *fanout) follow(told *workflow.Receipt, places []int) (n int) {
	r := f.receipt
	for _, i := range places {
		d := &r.Deliveries[i]
		if !decide(d, told) {
			continue
		}
		n++
		r.Counts.Buffered--
		if d.Outcome == "delivered" {
			r.Counts.Delivered++
		}
	}
	if told == nil || told.Fate.Final() && told.Fate != workflow.FateConsumed {
		r.Counts.Passed++
	}
	return n
}

// decide notes in a delivery what the wait has decided; false when it has not yet.
func decide(d *workflow.Delivery, told *workflow.Receipt) bool {
	if told == nil {
		d.Outcome, d.Reason = "passed", "what it decided is forgotten, as its execution is"
		return true
	}
	said, last := told.Reached(nil), &told.Steps[len(told.Steps)-1]
	i := slices.IndexFunc(said, func(w workflow.Reached) bool { return w.Wait == d.WaitID })
	switch {
	case i >= 0:
		*d = eachOf(*d, said[i:i+1])[0]
	case told.Fate.Final():
		d.Outcome, d.Reason = "passed", last.Reason
	default:
		return false
	}
	d.At = last.At
	return true
}

// unlisted counts what became of the event at waits for which the receipt had no
// room, once all of them have decided.
func (f *fanout) unlisted(ctx context.Context) (news bool, err error) {
	taken, counts := 0, &f.receipt.Counts
	for after := ""; ; {
		page, err := f.system.Store.Receipts(ctx, f.receipt.Event.ID, after, FanoutWindow)
		if err != nil {
			return false, err
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			told := &page[i]
			if after = told.ExecID; told.Source != workflow.FromEvent {
				continue
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
	}
	took := min(max(taken-counts.Delivered, 0), counts.Buffered)
	counts.Delivered, counts.Passed, counts.Buffered = counts.Delivered+took, counts.Passed+counts.Buffered-took, 0
	return true, nil
}
