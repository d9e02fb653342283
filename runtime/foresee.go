package runtime

import (
	"context"
	"errors"
	"time"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// ForeseeSignals says what signals would do if they were sent now, in their
// order. Nothing is written, performed or counted.
func (n *Node) ForeseeSignals(ctx context.Context, signals []workflow.Signal) []workflow.Forecast {
	stamp := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	of := make(map[string][]int) // places of the signals of each execution
	var order []string
	for i := range signals {
		id := signals[i].ExecID
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], i)
	}
	forecasts := make([]workflow.Forecast, len(signals))
	for _, id := range order {
		all := make([]*actors.Deliver, len(of[id]))
		for i, place := range of[id] {
			s := signals[place]
			s.ReceivedAt = stamp.At
			all[i] = &actors.Deliver{ExecID: id, Input: workflow.Signalled{Stamp: stamp, Signal: s}}
		}
		for i, seen := range n.system.Foresee(ctx, id, all) {
			forecasts[of[id][i]] = seen.Forecast
		}
	}
	return forecasts
}

// ForeseeStart says what a start would do now: the same way as Begin goes, with
// an execution that is only looked at.
func (n *Node) ForeseeStart(ctx context.Context, s workflow.Start) (workflow.Forecast, error) {
	var last *workflow.Forecast
	begun, err := n.begin(ctx, s, func(ctx context.Context, d *actors.Deliver) (actors.Reply, error) {
		seen := n.system.Foresee(ctx, d.ExecID, []*actors.Deliver{d})[0]
		last = &seen.Forecast
		return seen.Reply, seen.Err
	})
	var f workflow.Forecast
	switch {
	case err != nil:
		if !errors.As(err, &f.Refusal) {
			return f, err
		}
		f.ExecID, f.WorkflowID = s.ExecID, s.WorkflowID
		if last != nil && last.Refusal == f.Refusal {
			f = *last
		}
	case last != nil && last.ExecID == begun.State.ExecID:
		f = *last
	default:
		// The live execution that has the key; nothing would be asked of it.
		f.ExecID, f.WorkflowID, f.Was, f.Status = begun.State.ExecID, begun.State.WorkflowID, begun.State.Status, begun.State.Status
	}
	if f.Refusal == nil {
		f.Known = begun.Known || !begun.Started && begun.Answer == nil
	}
	return f, nil
}

// ForeseeTogether says what signals to one execution would do that are accepted
// all or none; refused is the first that would be refused, or -1.
func (n *Node) ForeseeTogether(ctx context.Context, signals []workflow.Signal) (forecasts []workflow.Forecast, refused int) {
	if len(signals) == 0 {
		return nil, -1
	}
	stamp := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	inputs := make([]workflow.Signalled, len(signals))
	for i, s := range signals {
		s.ReceivedAt = stamp.At
		inputs[i] = workflow.Signalled{Stamp: stamp, Signal: s}
	}
	seen, refused := n.system.ForeseeTogether(ctx, signals[0].ExecID, inputs)
	for i := range seen {
		forecasts = append(forecasts, seen[i].Forecast)
	}
	return forecasts, refused
}

// ForeseeEvents says whom events would reach, one after the other, and what they
// would do.
func (n *Node) ForeseeEvents(ctx context.Context, events []workflow.Event) ([]workflow.EventForecast, error) {
	at := workflow.InstantOf(time.Now())
	for i := range events {
		events[i].ReceivedAt = at
	}
	forecasts, err := n.system.ForeseeEvents(ctx, events)
	if err != nil {
		return nil, n.reading(err, "")
	}
	return forecasts, nil
}
