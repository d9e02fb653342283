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
func (s *seat) Receive(ctx actor.Context) { s.handle(ctx.Message()) }

func (s *seat) handle(m any) {
	if execID := addressee(m); execID != "" && s.taken == nil {
		s.taken = newExecution(s.shard.system, execID, s)
	}
	if s.taken == nil {
		// It was meant for who has left, who had finished everything.
		s.shard.recall(s)
		return
	}
	s.taken.receive(m)
	s.free()
}

// free frees the seat when its execution has left.
func (s *seat) free() {
	if s.taken.left {
		s.taken = nil
		s.shard.vacate(s)
	}
}

// landed has an execution go on that waited for a commit to land. One that only waited
// in order to leave is seen off by whoever brings the news, unless its post has something
// else for it: nobody has to be woken for that.
func (s *seat) landed() {
	if !s.post.seize() {
		s.post.PostUserMessage(turn{})
		return
	}
	if e := s.taken; e != nil && e.leaving && len(e.queue) == 0 {
		e.leave()
		s.free()
	} else {
		s.post.PostUserMessage(turn{})
	}
	s.post.release()
}
