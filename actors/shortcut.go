package actors

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// shortcut takes an event that one trigger listens for, and certainly no wait: the
// commit that starts the execution accepts the event and settles its receipt, so
// there is nothing to fan out. It returns false, and has done nothing, when that is
// not so. What the start cannot do in this way - the id is known, the execution is
// there, its key is taken - goes the long way, which says what became of it. A sender
// who stays until it is done may do what the execution does.
func (s *System) shortcut(ev workflow.Event, stays bool, done func(*workflow.EventReceipt, bool, error)) bool {
	store, sole := s.Store.(persistence.Sole)
	if s.Peers != nil || !sole || !store.Unawaited(ev.Name) {
		return false
	}
	listeners := s.Catalog.Listeners(ev.Name)
	if len(listeners) != 1 {
		return false
	}
	l := listeners[0]
	started, why, ok := s.willing(l, &ev)
	if !ok {
		return false
	}
	receipt := persistence.Accepted(ev)
	receipt.Fate = workflow.FateConsumed
	receipt.Steps = append(receipt.Steps, workflow.Step{At: started.At, What: string(receipt.Fate)})
	receipt.Deliveries = []workflow.Delivery{{Kind: "trigger", WorkflowID: l.Definition.ID, ExecID: started.ExecID, Outcome: "started", Reason: why, At: started.At}}
	receipt.Counts.Started = 1
	s.local(&Deliver{ExecID: started.ExecID, Definition: l.Definition, Input: started, Event: receipt, Reply: func(r Reply) {
		switch {
		case r.Settled:
			done(receipt, false, nil)
		case r.Err != nil && outcomeOf(r.Err) == again:
			done(nil, false, r.Err)
		default:
			s.acceptAndFan(ev, done)
		}
	}}, stays)
	return true
}

// willing is the execution that a trigger starts for an event, and why, if it does.
func (s *System) willing(l Listener, ev *workflow.Event) (started workflow.Started, why string, ok bool) {
	defer func() {
		// The trigger breaks on it once more on the long way, which says so.
		if cause := recover(); cause != nil {
			s.Logger.Error("a trigger broke on an event", "workflow", l.Definition.ID, "event_id", ev.ID, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
			ok = false
		}
	}()
	outcome, why := accepts(l.Definition.Triggers[l.Index], *ev)
	if outcome != "" {
		return started, why, false
	}
	started, refusal := l.start(ev)
	return started, why, refusal == nil
}

// accept makes an event durable and has it brought to whoever listens, unless its
// id is known.
func (s *System) accept(ev workflow.Event, stays bool, done func(stored *workflow.EventReceipt, known bool, err error)) {
	if !s.shortcut(ev, stays, done) {
		s.acceptAndFan(ev, done)
	}
}

func (s *System) acceptAndFan(ev workflow.Event, done func(stored *workflow.EventReceipt, known bool, err error)) {
	s.Store.AcceptEvent(ev, func(stored *workflow.EventReceipt, known bool, err error) {
		switch {
		case errors.Is(err, persistence.ErrClosed):
			err = stopping()
		case err != nil:
			s.CatchUp() // it may be in the store all the same, and its sender gone
			err = unavailable(err)
		case !known:
			receipt := *stored
			s.fan(&receipt)
		}
		done(stored, known, err)
	})
}
