package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// supervisor owns the executions of one shard. Everything for them passes
// through it, so no execution is activated twice in one node and none is sent a
// message after it has left: one that leaves is first taken off the list, and
// what comes for it meanwhile waits until it is gone.
type supervisor struct {
	system   *System
	live     map[string]*child
	byPID    map[string]string // execution by its actor's id
	ticker   *time.Timer
	props    *actor.Props
	spawning string     // id of the execution whose actor is being produced
	spawned  *actor.PID // by which that actor is reached
	drain    *drain     // asked for and not finished
	closed   bool       // a drain was asked for: nothing new comes to life
}

type child struct {
	pid      *actor.PID
	used     time.Time
	retiring bool
	waiting  []*Deliver // for the one that comes after it
}

// drain asks a supervisor to let all of its executions finish.
type drain struct{ done chan<- error }

func newSupervisor(system *System) *supervisor {
	s := &supervisor{system: system, live: make(map[string]*child), byPID: make(map[string]string)}
	// One set of properties serves every execution: they are large, and an actor
	// is produced while it is spawned, never again, because a failure stops it.
	s.props = actor.PropsFromProducer(func() actor.Actor { return newExecution(system, s.spawning) },
		actor.WithMailbox(actor.UnboundedLockfree()), actor.WithDispatcher(system.crew), actor.WithSpawnFunc(s.produce))
	return s
}

// produce keeps the PID by which the actor is reached and gives the library another
// one for its list of children: that list keeps those that are gone, thousands of
// them, and a PID by which an actor was reached holds the actor.
func (s *supervisor) produce(system *actor.ActorSystem, name string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
	pid, err := actor.DefaultSpawner(system, name, props, parent)
	s.spawned = pid
	return actor.NewPID(pid.Address, pid.Id), err
}

// Receive implements actor.Actor.
func (s *supervisor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		if s.ticker != nil {
			s.ticker.Stop()
		}
	case *Deliver:
		s.deliver(ctx, m)
	case *parcel:
		s.deliverAll(ctx, m)
	case retiring:
		s.retire(ctx, m.execID)
	case *actor.Terminated:
		s.gone(ctx, m.Who)
	case sweep:
		s.sweep(ctx)
		s.ticker = nil
		if len(s.live) > 0 {
			s.schedule(ctx)
		} else {
			s.live, s.byPID = make(map[string]*child), make(map[string]string) // without the room of thousands
		}
	case handOver:
		s.handOver(ctx)
	case census:
		m.reply <- s.census(m.leaving)
	case drain:
		s.drain, s.closed = &m, true
		for id := range s.live {
			s.retire(ctx, id)
		}
		s.drained()
	}
}

func (s *supervisor) schedule(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	s.ticker = time.AfterFunc(SweepEvery, func() { root.Send(self, sweep{}) })
}

func (s *supervisor) deliver(ctx actor.Context, d *Deliver) {
	c := s.live[d.ExecID]
	if c == nil && !s.system.here(d.ExecID) {
		s.system.Tell(d)
		return
	}
	if c == nil && s.closed {
		d.answer(Reply{Err: stopping()})
		return
	}
	if c == nil {
		c = s.spawn(ctx, d.ExecID)
	}
	if c.retiring {
		c.waiting = append(c.waiting, d)
		return
	}
	c.used = time.Now()
	ctx.Send(c.pid, d)
}

// deliverAll passes a parcel on, or its items one by one where something else
// has to be decided first.
func (s *supervisor) deliverAll(ctx actor.Context, p *parcel) {
	c := s.live[p.execID]
	if c == nil && (s.closed || !s.system.here(p.execID)) || c != nil && c.retiring {
		for _, d := range p.items {
			s.deliver(ctx, d)
		}
		return
	}
	if c == nil {
		c = s.spawn(ctx, p.execID)
	}
	c.used = time.Now()
	ctx.Send(c.pid, p)
}

func (s *supervisor) spawn(ctx actor.Context, execID string) *child {
	s.spawning = execID
	ctx.Spawn(s.props)
	c := &child{pid: s.spawned}
	s.spawned = nil
	s.live[execID] = c
	s.byPID[c.pid.Id] = execID
	if s.ticker == nil {
		s.schedule(ctx) // an empty shard sleeps
	}
	return c
}

// retire tells an execution to leave once it has finished what it has.
func (s *supervisor) retire(ctx actor.Context, execID string) {
	c := s.live[execID]
	if c == nil || c.retiring {
		return
	}
	c.retiring = true
	ctx.Send(c.pid, retire{})
}

// handOver makes those leave that are owned elsewhere now.
func (s *supervisor) handOver(ctx actor.Context) {
	for id, c := range s.live {
		if !s.system.here(id) {
			c.retiring = true
			ctx.Send(c.pid, evict{})
		}
	}
}

func (s *supervisor) census(leaving bool) int {
	if !leaving {
		return len(s.live)
	}
	n := 0
	for id := range s.live {
		if !s.system.here(id) {
			n++
		}
	}
	return n
}

// gone forgets an execution that left; what came for it meanwhile starts it anew.
func (s *supervisor) gone(ctx actor.Context, who *actor.PID) {
	execID, ok := s.byPID[who.Id]
	if !ok {
		return
	}
	waiting := s.live[execID].waiting
	delete(s.byPID, who.Id)
	delete(s.live, execID)
	s.system.left.Add(1)
	for _, d := range waiting {
		s.deliver(ctx, d)
	}
	s.drained()
}

func (s *supervisor) sweep(ctx actor.Context) {
	idle := time.Now().Add(-IdleAfter)
	crowded := len(s.live) > MaxLive
	for id, c := range s.live {
		if c.used.Before(idle) || crowded && time.Since(c.used) > SweepEvery {
			s.retire(ctx, id)
		}
	}
}

func (s *supervisor) drained() {
	if s.drain != nil && len(s.live) == 0 {
		s.drain.done <- nil
		s.drain = nil
	}
}
