package actors

import (
	"context"
	"errors"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// keptDelivery reports whether a signal is the offer of a kept event.
func keptDelivery(in *workflow.Signalled) bool { return in.OnlyIfMatched && in.Signal.ExpiresAt != 0 }

// mayTake says why an event's delivery cannot be taken by this execution: the
// event started it, so it is no news to it, it was kept and is not any more, or others
// have decided about it since its fan-out began: the store refuses the commit that
// takes it all the same, and then it comes again. Nobody can take one that is damaged. A
// nil reply lets it be judged; stored is the receipt of an event that is kept.
func (f *fold) mayTake(in *workflow.Signalled, again bool) (stored *workflow.EventReceipt, no *Reply) {
	s := f.current()
	if in.OnlyIfMatched && s.Trigger != nil && s.Trigger.EventID == in.Signal.ID {
		return nil, &Reply{State: s}
	}
	kept := keptDelivery(in)
	if !kept && !(in.OnlyIfMatched && again) {
		return nil, nil
	}
	stored, err := f.keptEvent(in.Signal.ID)
	switch {
	case err != nil && !errors.Is(err, persistence.ErrNotFound) && !f.system.damaged.Leaves(in.Signal.ID, err):
		return nil, &Reply{Err: unreadable(err)}
	case err == nil && !kept && stored.Standing() == workflow.StandsAsking:
		return nil, nil
	case err != nil, !kept, stored.Fate != workflow.FateBuffered, stored.Event.ExpiresAt <= in.At, s.Paused:
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

// gone reports whether nobody may have an event that was kept. Of two nodes which both
// fanned it out one may have kept it when the other had just brought it to a wait. No
// wait takes it from a fan-out after that, so what the executions have written down by
// now decides: who took it has it, and while somebody has yet to decide nobody else may.
func (k *keeper) gone(r *workflow.EventReceipt) (bool, error) {
	if r.Fate != workflow.FateBuffered || r.Event.ExpiresAt <= now() {
		return true, nil
	}
	taken := false
	for told, err := range k.system.told(k.ctx, r.Event.ID) {
		if err != nil {
			return false, err
		}
		if !told.Fate.Final() {
			return true, nil // its decision has the event looked at once more
		}
		taken = taken || told.Fate == workflow.FateConsumed
	}
	if !taken {
		return false, nil
	}
	whole := *r
	whole.Steps, whole.Deliveries = slices.Clip(r.Steps), slices.Clip(r.Deliveries)
	f := fanout{system: k.system, receipt: &whole}
	if err := f.recall(); err != nil {
		return false, err
	}
	f.conclude()
	if err := k.release(&whole); err != nil && !k.system.damaged.Leaves(r.Event.ID, err) {
		return false, err
	}
	return true, nil
}

// takeEvent settles a kept event with the commit of this turn, or makes it accepted
// when the wait has yet to decide; false when it is not taken after all. Should
// somebody else have taken it meanwhile, the store refuses the commit, and whatever
// is in it is routed again without the event.
func (f *fold) takeEvent(stored *workflow.EventReceipt, in *workflow.Signalled) bool {
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
