package actors

import (
	"context"
	"errors"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// keptDelivery reports whether a signal is the offer of a kept event.
func keptDelivery(in workflow.Signalled) bool { return in.OnlyIfMatched && in.Signal.ExpiresAt != 0 }

// mayTake says why an event's delivery cannot be taken by this execution: the
// event started it, so it is no news to it, or it was kept and is not any more. A
// nil reply lets it be judged; stored is the receipt of an event that is kept.
func (f *fold) mayTake(in workflow.Signalled) (stored *workflow.EventReceipt, no *Reply) {
	s := f.current()
	if in.OnlyIfMatched && s.Trigger != nil && s.Trigger.EventID == in.Signal.ID {
		return nil, &Reply{State: s}
	}
	if !keptDelivery(in) {
		return nil, nil
	}
	stored, err := f.keptEvent(in.Signal.ID)
	switch {
	case err != nil && !errors.Is(err, persistence.ErrNotFound):
		return nil, &Reply{Err: unavailable(err)}
	case err != nil, stored.Fate != workflow.FateBuffered, stored.Event.ExpiresAt <= in.At, s.Paused:
		return nil, &Reply{State: s}
	}
	return stored, nil
}

// keptEvent reads an event that may be kept.
func (f *fold) keptEvent(id string) (*workflow.EventReceipt, error) {
	if r := f.kept[id]; r != nil {
		return r, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	return f.system.Store.Event(ctx, id)
}

// takeEvent settles a kept event with the commit of this turn, or makes it accepted
// when the wait has yet to decide; false when it is not taken after all. Should
// somebody else have taken it meanwhile, the store refuses the commit, and whatever
// is in it is routed again without the event.
func (f *fold) takeEvent(stored *workflow.EventReceipt, in workflow.Signalled) bool {
	said := f.told.find(in.Signal.ID).Reached(f.now)
	i := slices.IndexFunc(said, func(w workflow.Reached) bool { return w.Took || w.Open })
	if i < 0 {
		return false
	}
	r := *stored
	d := eachOf(workflow.Delivery{Kind: "wait", WorkflowID: f.now.WorkflowID, ExecID: f.id, At: in.At}, said[i:i+1])[0]
	r.Counts.Add(d.Outcome)
	if len(r.Deliveries) < MaxDeliveries {
		r.Deliveries = append(r.Deliveries[:len(r.Deliveries):len(r.Deliveries)], d)
	}
	if r.Fate, r.Reason = workflow.FateConsumed, ""; said[i].Open {
		r.Fate, r.Reason = workflow.FateAccepted, undecided(1)
	} else {
		r.Steps = append(r.Steps[:len(r.Steps):len(r.Steps)], workflow.Step{At: in.At, What: string(r.Fate), Wait: d.WaitID})
	}
	f.taken = append(f.taken, &r)
	return true
}

// whenKept is told by the store when events are kept for the waits that the
// commit opens; nil for one after which nothing waits.
func (f *fold) whenKept() func() {
	if len(f.now.Waits) == 0 {
		return nil
	}
	return f.opened
}

// resumed offers what is kept to an execution that refused it while it was paused.
func (f *fold) resumed() {
	if f.was != nil && f.was.Paused && !f.now.Paused && len(f.now.Waits) > 0 {
		f.system.keeper.opened(f.id)
	}
}

// moved tells of the receipt of an event that the commit changed.
func (f *fold) moved(r *workflow.EventReceipt) {
	if r.Fate.Final() {
		f.system.Observer.Event(string(r.Fate))
	}
	f.system.notify(workflow.EventKey(r.Event.ID))
}
