package actors

import (
	"context"
	"errors"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The messages to the router.
type (
	fan struct { // to the router: an event is durable
		receipt *workflow.EventReceipt
		redone  bool // it may have been fanned out before, in part
	}
	catchUp struct{} // to the router: look for events that are not fanned out
	retry   struct{} // the same, after a time when that could not be done
	fanned  struct { // fan-out to router: finished
		eventID string
		by      *actor.PID
	}
)

// router gives each durable event to a fan-out of its own, MaxFanouts at a
// time. What does not fit stays accepted in the store and is caught up with.
type router struct {
	system   *System
	running  map[string]*actor.PID // fan-outs by event
	late     map[string]bool       // events of these that are to be looked at once more
	triggers map[triggerKey]*actor.PID
	behind   bool   // the store holds accepted events that no fan-out has taken
	read     string // id of the one up to which they have been read, "" when that begins anew
	since    bool   // some were left that may come before it
	again    bool   // they could not be read; that is tried again
}

type triggerKey struct {
	workflow string
	index    int
}

func newRouter(s *System) *router {
	return &router{system: s, running: make(map[string]*actor.PID), late: make(map[string]bool), triggers: make(map[triggerKey]*actor.PID)}
}

// Receive implements actor.Actor.
func (r *router) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case fan:
		if !r.fan(ctx, m.receipt, m.redone) {
			r.left()
		}
	case wanted:
		r.wanted(ctx, m.event)
	case catchUp:
		r.left()
		if !r.again {
			r.catchUp(ctx)
		}
	case retry:
		r.again = false
		r.catchUp(ctx)
	case fanned:
		r.over(ctx, m.eventID, m.by)
		if r.behind && len(r.running) < MaxFanouts/2 {
			r.catchUp(ctx)
		}
	case *actor.Terminated:
		for key, pid := range r.triggers {
			if pid.Equal(m.Who) {
				delete(r.triggers, key)
			}
		}
		for id, pid := range r.running {
			if pid.Equal(m.Who) {
				// This overtakes what the router was told before, of the same event, too.
				ctx.Send(ctx.Self(), fanned{eventID: id, by: pid})
			}
		}
	}
}

// over forgets a fan-out that has ended, and has its event looked at once more when
// somebody has decided meanwhile. That it stopped may be heard before what it said
// last, and then another one may be under way.
func (r *router) over(ctx actor.Context, eventID string, by *actor.PID) {
	if pid := r.running[eventID]; pid == nil || !pid.Equal(by) {
		return
	}
	delete(r.running, eventID)
	if r.late[eventID] {
		delete(r.late, eventID)
		r.wanted(ctx, eventID)
	}
}

// fan has an event fanned out, or looked at when that was done; false when there
// are too many already.
func (r *router) fan(ctx actor.Context, receipt *workflow.EventReceipt, redone bool) bool {
	id := receipt.Event.ID
	if r.running[id] != nil {
		return true
	}
	if len(r.running) >= MaxFanouts {
		return false
	}
	listeners := r.system.Catalog.Listeners(receipt.Event.Name)
	if receipt.Counts.Buffered > 0 {
		listeners = nil // they have been asked
	}
	triggers := make([]*actor.PID, len(listeners))
	for i, l := range listeners {
		triggers[i] = r.trigger(ctx, l)
	}
	props := actor.PropsFromProducer(func() actor.Actor {
		return &fanout{system: r.system, receipt: receipt, was: receipt.Standing(), redone: redone, lookup: lookup{event: receipt.Event}, listeners: listeners, triggers: triggers}
	})
	r.running[id] = ctx.Spawn(props)
	return true
}

// left notes that accepted events are left in the store for later.
func (r *router) left() {
	r.behind, r.since = true, r.since || r.read != ""
}

// trigger finds the actor of a trigger, or makes it.
func (r *router) trigger(ctx actor.Context, l Listener) *actor.PID {
	key := triggerKey{l.Definition.ID, l.Index}
	pid := r.triggers[key]
	if pid == nil {
		pid = ctx.Spawn(actor.PropsFromProducer(func() actor.Actor { return &trigger{system: r.system} }))
		r.triggers[key] = pid
	}
	return pid
}

// catchUp takes accepted events from the store, as many as fit, and goes on next
// time behind them: some stay accepted until all waits have decided.
func (r *router) catchUp(ctx actor.Context) {
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	if r.system.Store.Health() != nil {
		r.behind = true
		r.tryAgain(ctx)
		return
	}
	r.behind = false
	for {
		open, err := r.system.Store.OpenEvents(background, r.read, MaxFanouts)
		if err != nil {
			r.system.Logger.Error("the events that are not fanned out cannot be read; trying again", "err", err)
			r.behind = true
			r.tryAgain(ctx)
			return
		}
		for _, receipt := range open {
			if r.system.here(receipt.Event.ID) && !r.fan(ctx, receipt, true) {
				r.behind = true
				return
			}
			r.read = receipt.Event.ID
		}
		if len(open) > 0 {
			continue
		}
		r.read = ""
		if !r.since {
			return
		}
		r.since = false
	}
}

// tryAgain catches up after a moment, once however often it is called meanwhile.
func (r *router) tryAgain(ctx actor.Context) {
	if !r.again {
		r.again = true
		self, root := ctx.Self(), ctx.ActorSystem().Root
		afterHold(func() { root.Send(self, retry{}) })
	}
}

// wanted takes an event from the store that another node accepted, or of which
// something was decided.
func (r *router) wanted(ctx actor.Context, eventID string) {
	if r.running[eventID] != nil {
		r.late[eventID] = true
		return
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	receipt, err := r.system.Store.Event(background, eventID)
	if errors.Is(err, persistence.ErrNotFound) || r.system.damaged.Leaves(eventID, err) {
		return // it was forgotten meanwhile, or nobody can read it
	}
	if err != nil {
		r.system.Logger.Warn("an event cannot be read; looking for it again in a moment", "event_id", eventID, "err", err)
		r.left()
		r.tryAgain(ctx)
		return
	}
	switch receipt.Fate {
	case workflow.FateBuffered:
		r.system.keeper.kept(&receipt.Event)
	case workflow.FateAccepted:
		if !r.fan(ctx, receipt, true) {
			r.left()
		}
	}
}

// Event accepts an event: it returns when the event is durable, and hands it to
// the router unless it was accepted before.
func (s *System) Event(ctx context.Context, ev workflow.Event) (*workflow.EventReceipt, bool, error) {
	if s.stopping.Load() {
		return nil, false, stopping()
	}
	if err := s.Store.Health(); err != nil {
		return nil, false, unavailable(err)
	}
	if s.admitted.Add(1) > MaxAdmitted {
		s.admitted.Add(-1)
		return nil, false, overloaded()
	}
	s.together()
	answers := make(chan eventAnswer, 1)
	s.accept(ev, true, func(stored *workflow.EventReceipt, known bool, err error) {
		s.admitted.Add(-1)
		answers <- eventAnswer{stored, known, err}
	})
	select {
	case a := <-answers:
		return a.stored, a.known, a.err
	case <-ctx.Done():
		return nil, false, timedOut(ctx.Err())
	}
}

type eventAnswer struct {
	stored *workflow.EventReceipt
	known  bool
	err    error
}
