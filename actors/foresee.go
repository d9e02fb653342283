package actors

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// vision is what would be after the messages that were foreseen together: the
// second to an execution meets what the first left behind. It lives in memory and
// is thrown away: no actor comes to life, nothing is written, performed or
// counted. What the live executions have under way at that moment it does not see.
type vision struct {
	system  *System
	sights  map[string]*sight
	claimed map[string]string                  // executions that would come to life, by their unique keys
	woken   int                                // executions that were looked at because events can wake them
	kept    map[string]*workflow.EventReceipt  // events that would be kept, and what was kept and would be taken
	keeping map[string]*workflow.EventForecast // of those that would be kept
	offered int                                // how often one was offered to a wait
}

// sight is one execution as it would be.
type sight struct {
	*fold
	refusal error // why nothing more can be said of it
}

func (s *System) newVision() *vision {
	return &vision{
		system: s, sights: make(map[string]*sight), claimed: make(map[string]string),
		kept: make(map[string]*workflow.EventReceipt), keeping: make(map[string]*workflow.EventForecast),
	}
}

// of loads an execution as it is durable, once.
func (v *vision) of(execID string) *sight {
	if seen := v.sights[execID]; seen != nil {
		return seen
	}
	seen := new(sight)
	v.sights[execID] = seen
	e := &execution{system: v.system, id: execID, quiet: true}
	if refusal := e.load(false); refusal != nil {
		seen.refusal = refusal
		return seen
	}
	seen.fold = &fold{execution: e, room: new(workflow.Room), was: e.state, kept: v.kept}
	return seen
}

// foresee takes deliveries to one execution, one after the other, and says what
// their senders would hear.
func (v *vision) foresee(ctx context.Context, execID string, all []*Deliver) []Foreseen {
	seen := make([]Foreseen, len(all))
	of := v.of(execID)
	for i, d := range all {
		why := of.refusal
		switch {
		case why != nil:
		case ctx.Err() != nil:
			why = timedOut(ctx.Err())
		default:
			// Signals that are taken together find the timers that were due run already.
			why = of.fold.foresee(ctx, d, &seen[i], d.Together != nil && i > 0)
			of.refusal = why
		}
		if why != nil {
			seen[i] = Foreseen{Reply: Reply{Err: why}}
			seen[i].Forecast = seen[i].forecast(execID)
		}
	}
	return seen
}

// Foresee says what deliveries to one execution would do, one after the other,
// and what their senders would hear. It folds them as an execution does, over
// the state that is durable.
func (s *System) Foresee(ctx context.Context, execID string, all []*Deliver) []Foreseen {
	if err := s.admit(1); err != nil {
		return unforeseen(execID, len(all), err)
	}
	defer s.admitted.Add(-1)
	v := s.newVision()
	seen := v.foresee(ctx, execID, all)
	if err := v.offerAfter(ctx, execID, seen); err != nil {
		return unforeseen(execID, len(all), unreadable(err))
	}
	return seen
}

// unforeseen is why nothing can be said of any delivery.
func unforeseen(execID string, n int, why error) []Foreseen {
	seen := make([]Foreseen, n)
	for i := range seen {
		seen[i] = Foreseen{Reply: Reply{Err: why}}
		seen[i].Forecast = seen[i].forecast(execID)
	}
	return seen
}

// ForeseeTogether says what signals to one execution would do that are accepted
// all or none; refused is the first that would be refused, or -1.
func (s *System) ForeseeTogether(ctx context.Context, execID string, signals []workflow.Signalled) (seen []Foreseen, refused int) {
	all := make([]*Deliver, len(signals))
	for i := range signals {
		all[i] = &Deliver{ExecID: execID, Input: signals[i], Together: signals[i : i+1]}
	}
	seen = s.Foresee(ctx, execID, all)
	for i := range seen {
		if seen[i].Err != nil {
			return seen, i
		}
		if len(seen[i].Answers) == 1 {
			seen[i].Answer = seen[i].Answers[0]
			seen[i].Known = seen[i].Answer.Duplicate
			takes, more := seen[i].Forecast.Takes, seen[i].Forecast.More
			seen[i].Forecast = seen[i].forecast(execID)
			seen[i].Forecast.Takes, seen[i].Forecast.More = takes, more
		}
	}
	return seen, -1
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

// foresee takes one delivery; one that follows in the same moment comes before
// timers that are due since the one before it. An error means that the execution
// would be quarantined, or that a read failed.
func (f *fold) foresee(ctx context.Context, d *Deliver, seen *Foreseen, follows bool) (why error) {
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
	take := f.take
	if follows && f.current() != nil {
		take = f.together
	}
	if err := take(d); err != nil {
		return quarantined(f.id, err.Error())
	}
	if f.changed() {
		if err := workflow.Check(f.now); err != nil {
			return quarantined(f.id, "an invariant is broken: "+err.Error())
		}
	}
	if f.unread != nil {
		return unreadable(f.unread)
	}
	taken, err := f.claim(ctx)
	if err != nil {
		return unreadable(err)
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
	signalled, asked := d.Input.(workflow.Signalled)
	if in, start := d.Input.(workflow.Started); start && d.Signal != nil {
		signalled, asked = workflow.Signalled{Stamp: in.Stamp, Signal: *d.Signal}, true
		if s == nil {
			begun, _, _, err := workflow.Advance(d.Definition, workflow.State{}, in)
			if err != nil {
				return nil, err
			}
			s, def = &begun, d.Definition
		}
	}
	if s == nil || !asked || len(d.Together) > 1 {
		return nil, nil
	}
	return workflow.Opinions(def, s, signalled)
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
