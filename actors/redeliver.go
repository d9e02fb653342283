package actors

import (
	"context"
	"errors"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Redeliver sends the message of a dead letter on its way again, under its own
// id, so that its receipt goes on. The letter goes in the same commit as the
// message is taken up; when it is refused again, the letter stays as it is. Once
// redelivered, a message is not redelivered again: a second call, or one whose
// answer was lost, tells what became of it.
func (s *System) Redeliver(ctx context.Context, id string, who workflow.Redeliverer) (workflow.Redelivery, error) {
	letter, err := s.Store.Letter(ctx, id)
	if errors.Is(err, persistence.ErrNotFound) {
		return workflow.Redelivery{}, noLetter(id)
	}
	if err != nil {
		return workflow.Redelivery{}, unreadable(err)
	}
	done := workflow.Redelivery{LetterID: id, Kind: letter.Kind, MessageID: letter.MessageID, ExecID: letter.ExecID, Name: letter.Name}
	if letter.Kind == workflow.KindEvent {
		done.Fate, err = s.redeliverEvent(ctx, letter, who)
		return done, err
	}
	at := now()
	sig := workflow.Signal{
		ID: letter.MessageID, ExecID: letter.ExecID, Name: letter.Name, Payload: letter.Payload, CorrelationID: letter.CorrelationID,
		Source: letter.Source, By: letter.By, ReceivedAt: at, Force: letter.Force || who.Force,
		Redelivered: true, RedeliveredBy: who.By, From: who.From,
	}
	if letter.ExpiresAt != 0 {
		sig.ExpiresAt = at + letter.ExpiresAt - letter.ReceivedAt // as long as it asked for at first
	}
	r, err := s.Ask(ctx, &Deliver{ExecID: letter.ExecID, Input: workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: sig}})
	if err != nil {
		return done, err
	}
	done.Answer, done.Fate = &r.Answer, workflow.FateBuffered
	if r.Answer.Outcome == workflow.Delivered {
		done.Fate = workflow.FateConsumed
	}
	return done, s.forgetTaken(ctx, id, r.Known)
}

// forgetTaken drops the letter of a message that had been taken up before.
func (s *System) forgetTaken(ctx context.Context, id string, known bool) error {
	if !known {
		return nil
	}
	if _, err := s.Store.DropLetters(ctx, []string{id}); err != nil {
		return unavailable(err)
	}
	return nil
}

// redeliverEvent opens the event's receipt again and hands it to the router. An
// event that was swept begins anew.
func (s *System) redeliverEvent(ctx context.Context, letter *workflow.DeadLetter, who workflow.Redeliverer) (workflow.Fate, error) {
	if s.stopping.Load() {
		return "", stopping()
	}
	stored, err := s.Store.Event(ctx, letter.MessageID)
	was, at := stored.Standing(), now()
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		stored = persistence.Accepted(workflow.Event{
			ID: letter.MessageID, Name: letter.Name, Payload: letter.Payload, CorrelationID: letter.CorrelationID,
			Source: letter.Source, By: letter.By, TraceParent: letter.TraceParent, ReceivedAt: at,
		})
	case err != nil:
		return "", unreadable(err)
	case stored.Fate != workflow.FateDead && stored.Fate != workflow.FateExpired:
		return stored.Fate, s.forgetTaken(ctx, letter.ID, true)
	}
	again := *stored
	again.Fate, again.Reason, again.Cause, again.Near = workflow.FateAccepted, "", "", nil
	again.Deliveries, again.Counts = nil, workflow.Counts{}
	if letter.ExpiresAt != 0 {
		again.Event.ExpiresAt = at + letter.ExpiresAt - letter.ReceivedAt // as long as it asked for at first
	}
	again.Steps = append(append([]workflow.Step(nil), stored.Steps...), workflow.Step{At: at, What: "redelivered", By: who.By, From: who.From})
	settled := make(chan error, 1)
	s.Store.SettleEvent(was, &again, func(err error) {
		if err == nil {
			// The fan-out that had settled it may not have left yet, so the router is told to
			// look at the event, and not only to fan it out.
			s.lookAfter(letter.MessageID)
		}
		settled <- err
	})
	select {
	case err := <-settled:
		if errors.Is(err, persistence.ErrConflict) {
			return s.redelivered(ctx, letter.MessageID)
		}
		if err != nil {
			return "", unavailable(err)
		}
		return workflow.FateAccepted, nil
	case <-ctx.Done():
		return "", timedOut(ctx.Err())
	}
}

// redelivered is what became of an event that somebody else redelivered at the same moment.
func (s *System) redelivered(ctx context.Context, id string) (workflow.Fate, error) {
	stored, err := s.Store.Event(ctx, id)
	if err != nil {
		return "", unreadable(err)
	}
	return stored.Fate, nil
}

// Discard forgets dead letters; it returns how many of them there were.
func (s *System) Discard(ctx context.Context, ids []string) (int, error) {
	n, err := s.Store.DropLetters(ctx, ids)
	if err != nil {
		return 0, unavailable(err)
	}
	return n, nil
}

// LettersDropped counts the dead letters of refused messages that were not kept
// because too many came at once.
func (s *System) LettersDropped() uint64 { return s.letters.dropped.Load() }
