package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// ForeseeEvent says whom an event would reach, and what each of them would do:
// every trigger of its name, and the executions whose open waits it can satisfy,
// MaxForeseen of them. Nothing is written, performed or counted. A refusal is
// part of the forecast; an error means that a read failed.
func (s *System) ForeseeEvent(ctx context.Context, ev workflow.Event) (workflow.EventForecast, error) {
	f := workflow.EventForecast{EventID: ev.ID, Fate: workflow.FateDead}
	if err := s.admit(1); err != nil {
		errors.As(err, &f.Refusal)
		return f, nil
	}
	defer s.admitted.Add(-1)
	stored, err := s.Store.Event(ctx, ev.ID)
	switch {
	case err == nil:
		f.Stored, f.Fate = stored, stored.Fate
		return f, nil
	case !errors.Is(err, persistence.ErrNotFound):
		return f, err
	}
	claimed := make(map[string]string) // executions that would come to life, by their unique keys
	for _, l := range s.Catalog.Listeners(ev.Name) {
		f.Deliveries = append(f.Deliveries, s.foreseeTrigger(ctx, l, &ev, claimed))
	}
	if err := s.foreseeWaits(ctx, &ev, &f); err != nil {
		return f, err
	}
	for i := range f.Deliveries {
		if o := f.Deliveries[i].Outcome; o == "started" || o == "delivered" {
			f.Fate = workflow.FateConsumed
		}
	}
	switch {
	case f.Fate == workflow.FateConsumed:
	case len(f.Deliveries) > 0:
		f.Reason = "every listener would refuse it"
	case len(f.Passed) > 0:
		f.Reason = fmt.Sprintf("%d executions with an open wait of that name would not take it", len(f.Passed))
	default:
		f.Reason = fmt.Sprintf("no trigger and no open wait listens for %q", ev.Name)
	}
	if f.Fate == workflow.FateDead && ev.ExpiresAt != 0 {
		f.Fate = workflow.FateBuffered
		f.Reason += "; it would be kept until " + ev.ExpiresAt.String() + " for the first wait that opens for it"
	}
	return f, nil
}

// foreseeTrigger says what a trigger would do, the execution that it would start
// included.
func (s *System) foreseeTrigger(ctx context.Context, l Listener, ev *workflow.Event, claimed map[string]string) (d workflow.DeliveryForecast) {
	d.Kind, d.WorkflowID, d.At = "trigger", l.Definition.ID, now()
	defer func() {
		if cause := recover(); cause != nil {
			d.Outcome, d.Reason = "failed", fmt.Sprint("the trigger broke: ", cause)
		}
	}()
	if d.Outcome, d.Reason = accepts(l.Definition.Triggers[l.Index], *ev); d.Outcome != "" {
		return d
	}
	started, refusal := l.start(ev)
	d.ExecID = started.ExecID
	if refusal != nil {
		d.Outcome, d.Reason = "refused", refusal.Error()
		return d
	}
	if holder := claimed[started.WorkflowID+"\x00"+started.Key]; started.Unique && holder != "" {
		l.became(&d.Delivery, keyTaken(&persistence.KeyTaken{WorkflowID: started.WorkflowID, Key: started.Key, Holder: holder}))
		return d
	}
	seen := s.Foresee(ctx, started.ExecID, []*Deliver{{ExecID: started.ExecID, Definition: l.Definition, Input: started}})[0]
	l.became(&d.Delivery, seen.Err)
	if d.Outcome == "started" {
		d.Forecast = &seen.Forecast
		if started.Unique && !seen.Forecast.Status.Finished() {
			claimed[started.WorkflowID+"\x00"+started.Key] = started.ExecID
		}
	}
	return d
}

// foreseeWaits asks the executions that the event can wake.
func (s *System) foreseeWaits(ctx context.Context, ev *workflow.Event, f *workflow.EventForecast) error {
	rows, more, err := s.wakeable(ctx, ev)
	if err != nil {
		return err
	}
	f.More = more
	for _, row := range rows {
		in := workflow.Signalled{
			Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true,
			Signal: workflow.Signal{ID: ev.ID, ExecID: row.ExecID, Name: ev.Name, Payload: ev.Payload,
				CorrelationID: ev.CorrelationID, Source: workflow.FromEvent, By: ev.By, ReceivedAt: ev.ReceivedAt},
		}
		seen := s.Foresee(ctx, row.ExecID, []*Deliver{{ExecID: row.ExecID, Input: in}})[0]
		d := workflow.DeliveryForecast{Forecast: &seen.Forecast, Delivery: workflow.Delivery{
			Kind: "wait", WorkflowID: row.WorkflowID, ExecID: row.ExecID, WaitID: row.ID, Outcome: "delivered", At: in.At,
		}}
		switch {
		case seen.Err != nil:
			d.Outcome, d.Reason = outcomeOf(seen.Err), seen.Err.Error()
		case !seen.Matched:
			d.Outcome, d.Reason = "passed", passedBy(seen.Forecast.Opinions)
			f.Passed = append(f.Passed, d)
			continue
		case seen.Answer.WaitID != "":
			d.WaitID = seen.Answer.WaitID
		}
		f.Deliveries = append(f.Deliveries, d)
	}
	return nil
}

// passedBy is why none of the waits took the event: what the last one says.
func passedBy(opinions []workflow.Opinion) string {
	if len(opinions) == 0 {
		return "no wait of that name is open any more"
	}
	o := opinions[len(opinions)-1]
	return "wait " + o.Wait + ": " + o.Reason
}

// wakeable finds the executions with open waits that the event can satisfy, one
// wait of each, as the index tells; more when there are too many of them.
func (s *System) wakeable(ctx context.Context, ev *workflow.Event) (rows []workflow.WaitRow, more bool, err error) {
	paths, err := s.Store.KeyPaths(ctx, ev.Name)
	if err != nil {
		return nil, false, err
	}
	queries := []workflow.WaitQuery{{Name: ev.Name, Unkeyed: true, Limit: MaxForeseen + 1}}
	keys := workflow.KeysOf(ev)
	for _, path := range paths {
		if key := keys.At(path); key != "" {
			queries = append(queries, workflow.WaitQuery{Name: ev.Name, Path: path, Key: key, Limit: MaxForeseen + 1})
		}
	}
	seen := make(map[string]bool)
	for _, q := range queries {
		page, err := s.Store.Waits(ctx, q)
		if err != nil {
			return nil, false, err
		}
		more = more || page.Next != ""
		for _, row := range page.Items {
			if seen[row.ExecID] {
				continue
			}
			if len(rows) == MaxForeseen {
				return rows, true, nil
			}
			seen[row.ExecID] = true
			rows = append(rows, row)
		}
	}
	return rows, more, nil
}
