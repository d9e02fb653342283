package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// ForeseeEvents says whom events would reach, one after the other, and what each
// of those would do: every trigger of the name, and the executions whose open
// waits the event can satisfy, MaxForeseen of them in all. Nothing is written,
// performed or counted. A refusal is part of the forecast; an error means that a
// read failed.
func (s *System) ForeseeEvents(ctx context.Context, events []workflow.Event) ([]workflow.EventForecast, error) {
	forecasts := make([]workflow.EventForecast, len(events))
	refusal := s.admit(1)
	if refusal == nil {
		defer s.admitted.Add(-1)
	}
	v := s.newVision()
	before := make(map[string]int) // places of the events so far
	for i := range events {
		ev := &events[i]
		f := &forecasts[i]
		*f = workflow.EventForecast{EventID: ev.ID, Fate: workflow.FateDead}
		if refusal != nil {
			errors.As(refusal, &f.Refusal)
			continue
		}
		if at, known := before[ev.ID]; known {
			f.Fate = forecasts[at].Fate
			if f.Stored = forecasts[at].Stored; f.Stored == nil {
				f.Stored = &workflow.EventReceipt{Event: events[at], Fate: f.Fate}
			}
			continue
		}
		before[ev.ID] = i
		if err := v.event(ctx, ev, f); err != nil {
			return nil, err
		}
	}
	return forecasts, nil
}

// event says whom one event would reach.
func (v *vision) event(ctx context.Context, ev *workflow.Event, f *workflow.EventForecast) error {
	s := v.system
	stored, err := s.Store.Event(ctx, ev.ID)
	switch {
	case err == nil:
		f.Stored, f.Fate = stored, stored.Fate
		return nil
	case !errors.Is(err, persistence.ErrNotFound):
		return err
	}
	listening := v.opened(ev) // before this event starts anything
	for _, l := range s.Catalog.Listeners(ev.Name) {
		f.Deliveries = append(f.Deliveries, v.trigger(ctx, l, ev))
	}
	if err := v.waits(ctx, ev, listening, f); err != nil {
		return err
	}
	waiting := 0
	for i := range f.Deliveries {
		switch f.Deliveries[i].Outcome {
		case "started", "delivered":
			f.Fate = workflow.FateConsumed
		case "buffered":
			waiting++
		}
	}
	switch {
	case waiting > 0:
		f.Fate, f.Reason = workflow.FateAccepted, fmt.Sprintf("waits that would have yet to decide: %d", waiting)
	case f.Fate == workflow.FateConsumed:
	case len(f.Deliveries) > 0:
		f.Reason = "every listener would refuse it"
	case len(f.Passed) > 0:
		f.Reason = fmt.Sprintf("%d executions with an open wait of that name would not take it", executionsOf(f.Passed))
	default:
		f.Reason = fmt.Sprintf("no trigger and no open wait listens for %q", ev.Name)
	}
	if f.Fate == workflow.FateDead && ev.ExpiresAt != 0 {
		f.Fate = workflow.FateBuffered
		f.Reason += "; it would be kept until " + ev.ExpiresAt.String() + " for the first wait that opens for it"
		v.keep(ev, f)
	}
	return v.offer(ctx, changedBy(f), f)
}

// trigger says what a trigger would do, the execution that it would start
// included.
func (v *vision) trigger(ctx context.Context, l Listener, ev *workflow.Event) (d workflow.DeliveryForecast) {
	d.Kind, d.WorkflowID, d.At = "trigger", l.Definition.ID, now()
	defer func() {
		if cause := recover(); cause != nil {
			d.Outcome, d.Reason, d.ExecID = "failed", fmt.Sprint("the trigger broke: ", cause), ""
		}
	}()
	if d.Outcome, d.Reason = accepts(l.Definition.Triggers[l.Index], *ev); d.Outcome != "" {
		return d
	}
	started, refusal := l.start(ev)
	if refusal != nil {
		d.Outcome, d.Reason = "refused", refusal.Error()
		return d
	}
	d.ExecID = started.ExecID
	if holder := v.claimed[started.WorkflowID+"\x00"+started.Key]; started.Unique && holder != "" {
		l.became(&d.Delivery, keyTaken(&persistence.KeyTaken{WorkflowID: started.WorkflowID, Key: started.Key, Holder: holder}))
		return d
	}
	seen := v.foresee(ctx, started.ExecID, []*Deliver{{ExecID: started.ExecID, Definition: l.Definition, Input: started}})[0]
	l.became(&d.Delivery, seen.Err)
	if d.Outcome == "started" {
		d.Forecast = &seen.Forecast
		if started.Unique && !seen.Forecast.Status.Finished() {
			v.claimed[started.WorkflowID+"\x00"+started.Key] = started.ExecID
		}
	}
	return d
}

// opened lists the waits for an event that are open in what was foreseen so far,
// one of each execution: of those that the store does not know yet.
func (v *vision) opened(ev *workflow.Event) []workflow.WaitRow {
	var rows []workflow.WaitRow
	for _, id := range slices.Sorted(maps.Keys(v.sights)) {
		if w := v.sights[id].listens(ev); w != nil {
			rows = append(rows, workflow.WaitRow{ExecID: id, WorkflowID: v.sights[id].now.WorkflowID, OpenWait: *w})
		}
	}
	return rows
}

// foreseen reports whether something was foreseen of the execution.
func (s *sight) foreseen() bool { return s != nil && s.fold != nil && s.now != nil }

// listens is the first wait for an event that is open in what was foreseen, as the
// index would find it; nil for none.
func (s *sight) listens(ev *workflow.Event) *workflow.OpenWait {
	if !s.foreseen() {
		return nil
	}
	keys := workflow.KeysOf(ev)
	for i := range s.now.Waits {
		if w := &s.now.Waits[i]; w.Name == ev.Name && (w.Key == "" || keys.At(w.Path) == w.Key) {
			return w
		}
	}
	return nil
}

// waits asks the executions that the event can wake: those that the index finds,
// and those that listen since an event before it.
func (v *vision) waits(ctx context.Context, ev *workflow.Event, listening []workflow.WaitRow, f *workflow.EventForecast) error {
	rows, err := v.wakeable(ctx, ev, listening, f)
	if err != nil {
		return err
	}
	for _, row := range rows {
		in := workflow.Signalled{
			Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true,
			Signal: workflow.Signal{ID: ev.ID, ExecID: row.ExecID, Name: ev.Name, Payload: ev.Payload,
				CorrelationID: ev.CorrelationID, Source: workflow.FromEvent, By: ev.By, ReceivedAt: ev.ReceivedAt},
		}
		seen := v.foresee(ctx, row.ExecID, []*Deliver{{ExecID: row.ExecID, Input: in}})[0]
		for _, d := range deliveriesForeseen(row, &seen, in.At) {
			if d.Outcome == "passed" {
				f.Passed = append(f.Passed, d)
			} else {
				f.Deliveries = append(f.Deliveries, d)
			}
		}
	}
	return nil
}

// deliveriesForeseen is what the waits of an execution would do with an event. What
// would follow is told with the first of them that takes it, or else the first.
func deliveriesForeseen(row workflow.WaitRow, seen *Foreseen, at workflow.Instant) []workflow.DeliveryForecast {
	said := deliveriesTo(row, &seen.Reply, at)
	if len(said) == 0 {
		said = eachOf(deliveryTo(row, at), passedBy(row, seen.Forecast.Opinions))
	}
	all := make([]workflow.DeliveryForecast, len(said))
	for i := range said {
		all[i].Delivery = said[i]
	}
	first := slices.IndexFunc(said, func(d workflow.Delivery) bool { return d.Outcome != "passed" })
	all[max(first, 0)].Forecast = &seen.Forecast
	return all
}

// passedBy is why each wait of an execution would not take the event.
func passedBy(row workflow.WaitRow, opinions []workflow.Opinion) []workflow.Reached {
	if len(opinions) == 0 {
		return []workflow.Reached{{Wait: row.ID, Reason: "no wait of that name is open any more"}}
	}
	all := make([]workflow.Reached, len(opinions))
	for i, o := range opinions {
		all[i] = workflow.Reached{Wait: o.Wait, Reason: o.Reason}
	}
	return all
}

// executionsOf counts executions: the forecast of each is told once.
func executionsOf(all []workflow.DeliveryForecast) (n int) {
	for i := range all {
		if all[i].Forecast != nil {
			n++
		}
	}
	return n
}

// wakeable finds the executions with open waits that the event can satisfy, one
// wait of each, in the way in which the router does; there are more when they are
// too many to be looked at.
func (v *vision) wakeable(ctx context.Context, ev *workflow.Event, listening []workflow.WaitRow, f *workflow.EventForecast) (rows []workflow.WaitRow, err error) {
	seen := make(map[string]bool)
	take := func(found []workflow.WaitRow) (room bool) {
		for _, row := range found {
			before := v.sights[row.ExecID]
			if seen[row.ExecID] || before.foreseen() && before.listens(ev) == nil {
				continue // it listens no more after what was foreseen
			}
			if before == nil {
				if v.woken == MaxForeseen {
					f.More = true
					return false
				}
				v.woken++
				v.of(row.ExecID)
			}
			seen[row.ExecID] = true
			rows = append(rows, row)
		}
		return true
	}
	index := lookup{event: *ev}
	for done := false; !done; {
		var found []workflow.WaitRow
		if found, done, err = index.next(ctx, v.system, MaxForeseen+1); err != nil {
			return nil, err
		}
		if !take(found) {
			return rows, nil
		}
	}
	take(listening)
	return rows, nil
}
