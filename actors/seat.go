package actors

import "github.com/asynkron/protoactor-go/actor"

// seat is the actor that an execution sits in while it is in memory. Making and
// ending an actor was a tenth of a signal that ends its execution, so the next
// one takes the seat of one that has left.
type seat struct {
	shard *shard
	pid   *actor.PID
	post  post
	taken *execution // nil: nobody sits in it

	// Under the lock of the shard.
	execID  string // for whom it is; "" when it is free
	waiting []any  // what came while that one was leaving: for the one that comes after it
}

// Receive implements actor.Actor.
func (s *seat) Receive(ctx actor.Context) {
	m := ctx.Message()
	switch m := m.(type) {
	case *Deliver:
		s.take(m.ExecID)
	case *parcel:
		s.take(m.execID)
	}
	if s.taken == nil {
		return // it was meant for who has left, who had finished everything
	}
	s.taken.receive(m)
	if s.taken.left {
		s.taken = nil
		s.shard.vacate(s)
	}
}

func (s *seat) take(execID string) {
	if s.taken == nil {
		s.taken = newExecution(s.shard.system, execID, &s.post)
	}
}
