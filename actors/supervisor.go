package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// supervisor owns the executions of one shard. Everything for those that are not in
// memory, or about to leave it, passes through it, so no execution is activated twice
// in one node and none is sent a message after it has left: the post of one that
// leaves is closed first, and what comes for it meanwhile waits until it is gone.
type supervisor struct {
	*shard
	system  *System
	spare   []*child          // whose seats are free
	untaken int               // so many of them since the last sweep
	byPID   map[string]*child // by the id of their actors, until these have stopped
	ticker  *time.Timer
	props   *actor.Props
	born    *child // whose seat is being made
	drain   *drain // asked for and not finished
	closed  bool   // a drain was asked for: nothing new comes to life
}

type child struct {
	pid      *actor.PID // of its seat
	post     *post
	execID   string
	retiring bool
	waiting  []*Deliver // for the one that comes after it
}

// leave has what comes for the child from now on wait until it is gone.
func (c *child) leave() {
	c.retiring = true
	c.post.close()
}

// drain asks a supervisor to let all of its executions finish.
type drain struct{ done chan<- error }

func newSupervisor(system *System, of *shard) *supervisor {
	s := &supervisor{shard: of, system: system, byPID: make(map[string]*child)}
	s.shrink()
	// One set of properties serves every seat: they are large.
	s.props = actor.PropsFromProducer(func() actor.Actor { return &seat{system: system, post: s.born.post} },
		actor.WithMailbox(func() actor.Mailbox { return s.born.post }), actor.WithDispatcher(system.crew), actor.WithSpawnFunc(s.produce))
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
	case *Deliver:
		s.deliver(ctx, m)
	case *parcel:
		s.deliverAll(ctx, m)
	case retiring:
		s.retire(ctx, m.execID)
	case left:
		s.left(ctx, m.execID)
	case *actor.Terminated:
		s.stopped(ctx, m.Who)
	case sweep:
		s.clear(ctx, (s.untaken+spareShare-1)/spareShare)
		s.untaken = len(s.spare)
		s.sweep(ctx)
		s.ticker = nil
		if len(s.live) > 0 {
			s.schedule(ctx)
		} else {
			s.clear(ctx, len(s.spare))
			s.shrink()
		}
	case handOver:
		s.handOver(ctx)
	case census:
		m.reply <- s.census(m.leaving)
	case drain:
		s.drain, s.closed = &m, true
		s.clear(ctx, len(s.spare))
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
	ctx.Send(c.pid, p)
}

// spawn gives an execution a seat.
func (s *supervisor) spawn(ctx actor.Context, execID string) *child {
	var c *child
	if last := len(s.spare) - 1; last >= 0 {
		c, s.spare = s.spare[last], s.spare[:last]
		s.untaken = min(s.untaken, last)
	} else {
		c = &child{post: new(post)}
		s.born = c
		ctx.Spawn(s.props)
		s.born = nil
		s.byPID[c.pid.Id] = c
	}
	c.execID = execID
	c.post.open(execID)
	s.put(execID, c)
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
	c.leave()
	ctx.Send(c.pid, retire{})
}

// handOver makes those leave that are owned elsewhere now.
func (s *supervisor) handOver(ctx actor.Context) {
	for id, c := range s.live {
		if !s.system.here(id) {
			c.leave()
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

// left keeps the seat of an execution for the next one.
func (s *supervisor) left(ctx actor.Context, execID string) {
	c := s.live[execID]
	if c == nil {
		return // it was forgotten when its seat broke
	}
	waiting := c.waiting
	c.execID, c.retiring, c.waiting = "", false, nil
	s.spare = append(s.spare, c)
	if len(s.spare) > MaxSpare || s.closed {
		s.clear(ctx, 1)
	}
	s.gone(ctx, execID, waiting)
}

// stopped forgets a seat, and the execution that sat there when it broke.
func (s *supervisor) stopped(ctx actor.Context, who *actor.PID) {
	c := s.byPID[who.Id]
	if c == nil {
		return
	}
	if delete(s.byPID, who.Id); len(s.byPID) == 0 {
		s.byPID = make(map[string]*child) // without the room of thousands
	}
	if c.execID != "" {
		s.gone(ctx, c.execID, c.waiting)
	}
	s.drained()
}

// gone forgets an execution that left; what came for it meanwhile starts it anew.
func (s *supervisor) gone(ctx actor.Context, execID string, waiting []*Deliver) {
	s.remove(execID)
	s.system.left.Add(1)
	for _, d := range waiting {
		s.deliver(ctx, d)
	}
	s.drained()
}

// clear stops the actors of that many free seats.
func (s *supervisor) clear(ctx actor.Context, n int) {
	keep := len(s.spare) - n
	for _, c := range s.spare[keep:] {
		ctx.Stop(c.pid)
	}
	s.spare, s.untaken = slices.Delete(s.spare, keep, len(s.spare)), min(s.untaken, keep)
}

func (s *supervisor) sweep(ctx actor.Context) {
	now := time.Now()
	crowded := len(s.live) > MaxLive
	for id, c := range s.live {
		if idle := now.Sub(time.Unix(0, c.post.used.Load())); idle > IdleAfter || crowded && idle > SweepEvery {
			s.retire(ctx, id)
		}
	}
}

// drained says so when nobody is left, and no actor that a message could miss.
func (s *supervisor) drained() {
	if s.drain != nil && len(s.live) == 0 && len(s.byPID) == 0 {
		s.drain.done <- nil
		s.drain = nil
	}
}
