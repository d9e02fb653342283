package actors

import "github.com/asynkron/protoactor-go/actor"

// seat is the actor that an execution sits in while it is in memory. Making and
// ending an actor was a tenth of a signal that ends its execution, so the next
// one takes the seat of one that has left.
type seat struct {
	system *System
	self   *actor.PID
	post   *post
	taken  *execution // nil: nobody sits in it
}

// Receive implements actor.Actor.
func (s *seat) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		s.self = ctx.Self()
		return
	case *Deliver:
		s.take(m.ExecID)
	case *parcel:
		s.take(m.execID)
	}
	if s.taken == nil {
		return // it was meant for who has left, who had finished everything
	}
	s.taken.receive(ctx)
	if s.taken.left {
		id := s.taken.id
		s.taken = nil
		ctx.Send(ctx.Parent(), left{id})
	}
}

func (s *seat) take(execID string) {
	if s.taken == nil {
		s.taken = newExecution(s.system, execID, s.self, s.post)
	}
}
