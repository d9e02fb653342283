package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Foresee says what deliveries to one execution would do, one after the other,
// and what their senders would hear. It folds them as an execution does, over
// the state that is durable, in memory that is thrown away: no actor comes to
// life, nothing is written, performed or counted. What the live execution has
// under way at that moment it does not see.
func (s *System) Foresee(ctx context.Context, execID string, all []*Deliver) []Foreseen {
	seen := make([]Foreseen, len(all))
	refuse := func(from int, why error) []Foreseen {
		for i := from; i < len(all); i++ {
			seen[i] = Foreseen{Reply: Reply{Err: why}}
			seen[i].Forecast = seen[i].forecast(execID)
		}
		return seen
	}
	if err := s.admit(1); err != nil {
		return refuse(0, err)
	}
	defer s.admitted.Add(-1)
	e := &execution{system: s, id: execID, quiet: true}
	if refusal := e.load(false); refusal != nil {
		return refuse(0, refusal)
	}
	f := &fold{execution: e, was: e.state}
	for i, d := range all {
		if ctx.Err() != nil {
			return refuse(i, timedOut(ctx.Err()))
		}
		if why := f.foresee(ctx, d, &seen[i]); why != nil {
			return refuse(i, why)
		}
	}
	return seen
}

// Foreseen is what one delivery would do.
type Foreseen struct {
	Reply    // what its sender would hear
	Forecast workflow.Forecast
	records  []workflow.Record
	effects  []workflow.Effect
	was, now *workflow.State
	opinions []workflow.Opinion
}

// foresee takes one delivery. An error means that the execution would be
// quarantined, or that a read failed.
func (f *fold) foresee(ctx context.Context, d *Deliver, seen *Foreseen) (why error) {
	defer func() {
		if cause := recover(); cause != nil {
			why = quarantined(f.id, fmt.Sprintf("panic: %v", cause))
		}
	}()
	before := f.mark()
	seen.was = f.current()
	var err error
	if seen.opinions, err = f.opinions(d); err != nil {
		return quarantined(f.id, err.Error())
	}
	d.Reply = func(r Reply) { seen.Reply = r }
	said := len(f.replies)
	if err := f.take(d); err != nil {
		return quarantined(f.id, err.Error())
	}
	if f.changed() {
		if err := workflow.Check(f.now); err != nil {
			return quarantined(f.id, "an invariant is broken: "+err.Error())
		}
	}
	if f.unread != nil {
		return unavailable(f.unread)
	}
	taken, err := f.claim(ctx)
	if err != nil {
		return unavailable(err)
	}
	if taken != nil {
		f.rewind(before)
		seen.Reply, seen.opinions = Reply{Err: keyTaken(taken)}, nil
	} else {
		for i := range f.replies[said:] {
			f.say(&f.replies[said+i], nil)
		}
	}
	if f.now != nil {
		seen.records, seen.effects = f.room.Records[min(before.records, len(f.room.Records)):], f.room.Effects[min(before.effects, len(f.room.Effects)):]
		if f.now != before.now {
			seen.now = f.now
		}
	}
	seen.Forecast = seen.forecast(f.id)
	return nil
}

// opinions asks the open waits what they make of the signal of a delivery.
func (f *fold) opinions(d *Deliver) ([]workflow.Opinion, error) {
	s, def := f.current(), f.def
	var sig *workflow.Signal
	switch in := d.Input.(type) {
	case workflow.Signalled:
		sig = &in.Signal
	case workflow.Started:
		sig = d.Signal
		if s == nil && sig != nil {
			begun, _, _, err := workflow.Advance(d.Definition, workflow.State{}, in)
			if err != nil {
				return nil, err
			}
			s, def = &begun, d.Definition
		}
	}
	if s == nil || sig == nil || d.Together != nil {
		return nil, nil
	}
	return workflow.Opinions(def, s, *sig, d.Input.When())
}

// claim looks whether another execution has the unique key that this one would
// get: the store would refuse its commit.
func (f *fold) claim(ctx context.Context) (*persistence.KeyTaken, error) {
	if f.was != nil || f.now == nil || !f.now.Unique || f.now.Status.Finished() {
		return nil, nil
	}
	holder, err := f.system.Store.Holder(ctx, f.now.WorkflowID, f.now.Key)
	if errors.Is(err, persistence.ErrNotFound) || err == nil && holder == f.id {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &persistence.KeyTaken{WorkflowID: f.now.WorkflowID, Key: f.now.Key, Holder: holder}, nil
}

// forecast puts together what would happen and what would be said of it.
func (s *Foreseen) forecast(execID string) workflow.Forecast {
	f := workflow.Foretell(s.was, s.now, s.records, s.effects)
	f.ExecID, f.Opinions, f.Known = execID, s.opinions, s.Known
	if errors.As(s.Err, &f.Refusal) {
		return f
	}
	if s.Answer.SignalID != "" {
		answer := s.Answer
		f.Answer = &answer
	}
	return f
}
