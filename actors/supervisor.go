package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// supervisor makes the seats of a shard, sweeps them, and hears when one stops.
type supervisor struct {
	*shard
	byPID  map[string]*seat // by the id of their actors, until these have stopped
	ticker *time.Timer
	props  *actor.Props
	born   *seat  // that is being made
	drain  *drain // asked for and not finished
}

// drain asks a supervisor to let all of its executions finish.
type drain struct{ done chan<- error }

func newSupervisor(of *shard) *supervisor {
	of.open()
	s := &supervisor{shard: of, byPID: make(map[string]*seat)}
	// One set of properties serves every seat: they are large.
	s.props = actor.PropsFromProducer(func() actor.Actor { return s.born },
		actor.WithMailbox(func() actor.Mailbox { return &s.born.post }), actor.WithDispatcher(of.system.crew), actor.WithSpawnFunc(s.produce))
	return s
}

// produce keeps the PID by which the actor is reached and gives the library another
// one for its list of children: that list keeps those that are gone, thousands of
// them, and a PID by which an actor was reached holds the actor.
func (s *supervisor) produce(system *actor.ActorSystem, name string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
	pid, err := actor.DefaultSpawner(system, name, props, parent)
	s.born.pid = pid
	return actor.NewPID(pid.Address, pid.Id), err
}

// Receive implements actor.Actor.
func (s *supervisor) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Stopping:
		if s.ticker != nil {
			s.ticker.Stop()
		}
	case *Deliver, *parcel:
		s.deliver(ctx, m)
	case *actor.Terminated:
		s.stopped(ctx, m.Who)
	case sweep:
		s.sweep(ctx)
	case handOver:
		s.handOver()
	case census:
		m.reply <- s.count(m.leaving)
	case drain:
		s.drain = &m
		s.stop(ctx, s.close())
		s.retire(func(*seat) bool { return true })
		s.drained()
	}
}

// deliver gives an execution a seat that is made for it, unless it has one by now.
func (s *supervisor) deliver(ctx actor.Context, m any) {
	execID := addressee(m)
	for !s.give(execID, m, false) {
		if s.shut() || !s.system.here(execID) {
			s.turnAway(m)
			return
		}
		s.spawn(ctx)
	}
}

// spawn makes a free seat.
func (s *supervisor) spawn(ctx actor.Context) {
	c := &seat{shard: s.shard}
	s.born = c
	ctx.Spawn(s.props)
	s.born = nil
	s.byPID[c.pid.Id] = c
	s.add(c)
	if s.ticker == nil {
		s.schedule(ctx) // a shard without seats sleeps
	}
}

func (s *supervisor) schedule(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	s.ticker = time.AfterFunc(SweepEvery, func() { root.Send(self, sweep{}) })
}

func (s *supervisor) sweep(ctx actor.Context) {
	surplus, empty := s.thin()
	s.stop(ctx, surplus)
	s.ticker = nil
	if !empty {
		s.retire(s.idle(time.Now()))
		s.schedule(ctx)
	}
}

func (s *supervisor) stop(ctx actor.Context, surplus []*seat) {
	for _, c := range surplus {
		ctx.Stop(c.pid)
	}
}

// stopped forgets a seat, and the execution that sat there when it broke.
func (s *supervisor) stopped(ctx actor.Context, who *actor.PID) {
	c := s.byPID[who.Id]
	if c == nil {
		return
	}
	if delete(s.byPID, who.Id); len(s.byPID) == 0 {
		s.byPID = make(map[string]*seat) // without the room of thousands
	}
	for _, m := range s.broken(c) {
		s.deliver(ctx, m)
	}
	s.drained()
}

// drained says so when nobody is left, and no actor that a message could miss.
func (s *supervisor) drained() {
	if s.drain != nil && len(s.byPID) == 0 {
		s.drain.done <- nil
		s.drain = nil
	}
}
