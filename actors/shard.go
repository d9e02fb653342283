package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// shard is the seats of one supervisor, as everybody sees them. Whoever has something
// for an execution puts it into the post of its seat, and gives it a free seat when it
// has none; the supervisor is only needed when no seat is free. No execution has two
// seats, and none is sent a message after it has left: its post is closed first, and
// what comes for it meanwhile waits until it is gone.
type shard struct {
	system *System
	pid    *actor.PID // of the supervisor

	mu      sync.RWMutex
	live    map[string]*seat // by the id of the execution that sits there
	spare   []*seat          // that are free
	untaken int              // so many of them since the last sweep
	closed  bool             // nothing new comes to life
}

// open prepares the shard for its supervisor, who has no seats yet.
func (s *shard) open() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.spare, s.untaken, s.closed = make(map[string]*seat), nil, 0, false
}

// give puts what came for an execution into its post; false, and it is for the
// supervisor, when it has no seat and cannot be given one here. See post.give for a
// sender who stays.
func (s *shard) give(execID string, m any, stays bool) bool {
	s.mu.RLock()
	c := s.live[execID]
	s.mu.RUnlock()
	for c == nil || !c.post.give(execID, m, stays) {
		var waits bool
		if c, waits = s.find(execID, m); c == nil {
			return waits
		}
	}
	return true
}

// find returns the seat of an execution, a free one when it has none. It returns none
// when the message waits for the execution to leave, or when no seat can be had.
func (s *shard) find(execID string, m any) (c *seat, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.spare) - 1
	switch c = s.live[execID]; {
	case c != nil && c.post.closed():
		c.waiting = append(c.waiting, m)
		return nil, true
	case c != nil:
		return c, false
	case last < 0 || s.closed || !s.system.here(execID):
		return nil, false
	}
	c, s.spare[last], s.spare = s.spare[last], nil, s.spare[:last]
	s.untaken = min(s.untaken, last)
	c.execID, s.live[execID] = execID, c
	c.post.open(execID)
	return c, false
}

// vacate frees the seat of an execution that has left, or has the one that comes after
// it sit down there. A seat that the shard has forgotten, because it broke or because its
// supervisor did, is given to nobody.
func (s *shard) vacate(c *seat) {
	s.mu.Lock()
	if s.live[c.execID] != c {
		s.mu.Unlock()
		return
	}
	s.system.left.Add(1)
	waiting := c.waiting
	c.waiting = nil
	if len(waiting) > 0 && !s.closed && s.system.here(c.execID) {
		c.post.open(c.execID)
		for _, m := range waiting {
			c.post.PostUserMessage(m)
		}
		s.mu.Unlock()
		return
	}
	delete(s.live, c.execID)
	c.execID = ""
	surplus := s.closed || len(s.spare) >= MaxSpare
	if !surplus {
		s.spare = append(s.spare, c)
	}
	s.mu.Unlock()
	if surplus {
		s.system.actors.Root.Stop(c.pid)
	}
	for _, m := range waiting {
		s.turnAway(m)
	}
}

// recall frees a seat whose execution was to leave before anything for it had come: who
// gave it the seat finds its post closed then, and waits with what he has.
func (s *shard) recall(c *seat) {
	s.mu.RLock()
	never := c.execID != "" && c.post.closed() && c.post.UserMessageCount() == 0
	s.mu.RUnlock()
	if never {
		s.vacate(c)
	}
}

// turnAway answers or sends on what cannot be given a seat.
func (s *shard) turnAway(m any) {
	each := func(d *Deliver) {
		if s.shut() && s.system.here(d.ExecID) {
			d.answer(Reply{Err: stopping()})
		} else {
			s.system.Tell(d)
		}
	}
	switch m := m.(type) {
	case *Deliver:
		each(m)
	case *parcel:
		for _, d := range m.items {
			each(d)
		}
	}
}

// shut reports whether nothing new comes to life.
func (s *shard) shut() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// add adds a free seat.
func (s *shard) add(c *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare = append(s.spare, c)
}

// retire has executions leave once they have finished what they have: those that the
// sweep finds idle, everybody when the shard is closed.
func (s *shard) retire(which func(*seat) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.live {
		if which(c) && !c.post.closed() {
			c.post.close()
			c.post.PostUserMessage(retire{})
		}
	}
}

// idle tells which executions have had nothing to do for long, or for a moment when
// there are many.
func (s *shard) idle(now time.Time) func(*seat) bool {
	after := IdleAfter
	if s.count(false) > MaxLive {
		after = SweepEvery
	}
	return func(c *seat) bool { return now.Sub(time.Unix(0, c.post.used.Load())) > after }
}

// handOver makes those leave that are owned elsewhere now.
func (s *shard) handOver() {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, c := range s.live {
		if !s.system.here(id) {
			c.post.close()
			c.post.PostUserMessage(evict{})
		}
	}
}

// count counts the executions in memory, or only those that are owned elsewhere.
func (s *shard) count(leaving bool) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
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

// thin takes away some of the free seats that nobody took since it was called last, and
// all of them when nobody is in memory.
func (s *shard) thin() (surplus []*seat, empty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := (s.untaken + spareShare - 1) / spareShare
	if empty = len(s.live) == 0; empty {
		n = len(s.spare)
		s.live = make(map[string]*seat) // without the room of thousands
	}
	surplus = s.cut(n)
	s.untaken = len(s.spare)
	return surplus, empty
}

// cut takes away free seats. The shard is locked.
func (s *shard) cut(n int) []*seat {
	keep := len(s.spare) - n
	surplus := slices.Clone(s.spare[keep:])
	s.spare = slices.Delete(s.spare, keep, len(s.spare))
	return surplus
}

// close lets nothing new come to life, and takes away all free seats.
func (s *shard) close() []*seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return s.cut(len(s.spare))
}

// broken forgets the execution in a seat that has stopped, and returns what had come for
// it, oldest first, to the one that broke or until it leaves.
func (s *shard) broken(c *seat) (came []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.execID == "" {
		return nil
	}
	delete(s.live, c.execID)
	if c.taken != nil && len(c.taken.queue) > 0 {
		came = append(came, &parcel{execID: c.execID, items: c.taken.queue})
	}
	for _, m := range c.post.forsake() {
		if addressee(m) != "" {
			came = append(came, m)
		}
	}
	came = append(came, c.waiting...)
	c.execID, c.waiting = "", nil
	s.system.left.Add(1)
	return came
}
