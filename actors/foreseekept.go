package actors

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// In a vision, too, an event that nobody takes is kept for the first wait that
// opens for it, and a wait that opens is offered what is kept: in the order in
// which the keeper does it, of the store and of the events that were foreseen.

// keep notes that an event would be kept from now on.
func (v *vision) keep(ev *workflow.Event, f *workflow.EventForecast) {
	v.kept[ev.ID] = &workflow.EventReceipt{Event: *ev, Fate: workflow.FateBuffered, Reason: f.Reason}
	v.keeping[ev.ID] = f
}

// changedBy lists the executions that an event would change.
func changedBy(f *workflow.EventForecast) []string {
	var changed []string
	for _, d := range slices.Concat(f.Deliveries, f.Passed) {
		if d.Forecast != nil && len(d.Forecast.Records) > 0 {
			changed = append(changed, d.ExecID)
		}
	}
	return changed
}

// offerAfter gives what is kept to an execution that deliveries would change. What it
// takes follows the last of them.
func (v *vision) offerAfter(ctx context.Context, execID string, seen []Foreseen) error {
	last := len(seen) - 1
	for last >= 0 && (seen[last].Err != nil || len(seen[last].Forecast.Records) == 0) {
		last--
	}
	if last < 0 {
		return nil
	}
	var by workflow.EventForecast
	err := v.offer(ctx, []string{execID}, &by)
	seen[last].Forecast.Takes, seen[last].Forecast.More = by.Takes, by.More
	return err
}

// offer gives what is kept to the executions that changed, until none of them
// takes anything more.
func (v *vision) offer(ctx context.Context, changed []string, by *workflow.EventForecast) error {
	for len(changed) > 0 {
		took, err := v.toExecution(ctx, changed[0], by)
		if err != nil {
			return err
		}
		if !took {
			changed = changed[1:]
		}
	}
	return nil
}

// toExecution offers each open wait of an execution what it can take, until it
// takes one.
func (v *vision) toExecution(ctx context.Context, execID string, by *workflow.EventForecast) (took bool, err error) {
	seen := v.sights[execID]
	if !seen.foreseen() {
		return false, nil
	}
	for _, w := range slices.Clone(seen.now.Waits) {
		events, err := v.keptFor(ctx, &w)
		if err != nil {
			return false, err
		}
		for _, r := range events {
			if v.offered == MaxForeseen {
				by.More = true
				return false, nil
			}
			v.offered++
			if v.give(ctx, r, execID, by) {
				took = true
				break
			}
		}
	}
	return took, nil
}

// keptFor lists what would be kept for a wait, in the order in which it came.
func (v *vision) keptFor(ctx context.Context, w *workflow.OpenWait) ([]*workflow.EventReceipt, error) {
	page, err := v.system.Store.Kept(ctx, workflow.KeptQuery{Name: w.Name, Path: w.Path, Key: w.Key, Limit: MaxForeseen})
	if err != nil {
		return nil, err
	}
	events := slices.DeleteFunc(page.Items, func(r *workflow.EventReceipt) bool { return v.kept[r.Event.ID] != nil })
	for _, r := range v.kept {
		ev := &r.Event
		if r.Fate == workflow.FateBuffered && ev.Name == w.Name && (w.Key == "" || workflow.KeysOf(ev).At(w.Path) == w.Key) {
			events = append(events, r)
		}
	}
	slices.SortFunc(events, func(a, b *workflow.EventReceipt) int {
		return cmp.Or(cmp.Compare(a.Event.ReceivedAt, b.Event.ReceivedAt), cmp.Compare(a.Event.ID, b.Event.ID))
	})
	return events, nil
}

// give offers a kept event to an execution. What is taken is part of what the
// event does that opened the wait, and becomes of the one that was kept.
func (v *vision) give(ctx context.Context, r *workflow.EventReceipt, execID string, by *workflow.EventForecast) bool {
	sig := delivered(&r.Event, execID)
	sig.ExpiresAt = r.Event.ExpiresAt
	in := workflow.Signalled{Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true, Signal: sig}
	seen := v.foresee(ctx, execID, []*Deliver{{ExecID: execID, Input: in}})[0]
	if seen.Err != nil || !seen.Matched {
		return false
	}
	of := v.sights[execID].fold
	taken := of.taken[len(of.taken)-1]
	v.kept[r.Event.ID] = taken
	d := workflow.DeliveryForecast{Delivery: taken.Deliveries[len(taken.Deliveries)-1], Forecast: &seen.Forecast}
	by.Takes = append(by.Takes, workflow.TakeForecast{EventID: r.Event.ID, DeliveryForecast: d})
	if f := v.keeping[r.Event.ID]; f != nil {
		f.Fate, f.Deliveries = taken.Fate, append(f.Deliveries, d)
		f.Reason += fmt.Sprintf("; that is %s of execution %s, after event %q", d.WaitID, execID, by.EventID)
	}
	return true
}
