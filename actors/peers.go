package actors

import (
	"context"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Peers are the nodes of a cluster as the actors of one node see them: who owns
// what, and how to reach the owner. A node by itself has none, and then nothing
// here costs anything.
//
// Ownership is routing and never safety: two nodes may both believe that they
// own an execution, and the store lets one of them commit.
type Peers interface {
	// Here reports whether this node owns what has that key: the id of an
	// execution, with its timers, or of an event. It is asked for every message
	// and must be quick. A node that has lost its place owns nothing.
	Here(key string) bool
	// Deliver brings a delivery to the owner of its execution, again after every
	// move, and calls its Reply before Until, or a bound of its own, has passed.
	Deliver(d *Deliver)
	// Fan asks the owner of an event to fan it out, or to look at what became of it
	// since. It may get lost: the owner looks for events that are left over.
	Fan(eventID string)
	// Changed tells the nodes on which somebody watches an execution.
	Changed(execID string)
	// Watch says that somebody on this node watches an execution.
	Watch(execID string)
	// Quarantined tells all nodes that an execution may not act any more.
	Quarantined(execID, cause string)
}

// The messages that a change of owners causes.
type (
	handOver struct{}               // to a supervisor: let go of what is owned elsewhere
	evict    struct{}               // to an execution: send on what has gathered, and leave
	wanted   struct{ event string } // to the router: an event is ours to fan out, or to look at
)

// here reports whether this node owns what has that key.
func (s *System) here(key string) bool { return s.Peers == nil || s.Peers.Here(key) }

// Local delivers to the actor on this node, whoever owns the execution.
func (s *System) Local(d *Deliver) { s.local(d, false) }

func (s *System) local(d *Deliver, stays bool) {
	if at := s.shard(d.ExecID); !at.give(d.ExecID, d, stays) {
		s.actors.Root.Send(at.pid, d)
	}
}

// until is when nobody waits any more for the reply to what is asked with ctx.
func (s *System) until(ctx context.Context) (until time.Time) {
	if s.Peers != nil {
		until, _ = ctx.Deadline()
	}
	return until
}

// reroute routes a delivery once more whose execution turned out to be owned
// elsewhere. In a cluster the owners may not have heard of each other yet, so
// from the second time on it holds a moment.
func (s *System) reroute(d *Deliver) {
	d.reroutes++
	if s.Peers == nil || d.reroutes == 1 {
		s.Tell(d)
		return
	}
	time.AfterFunc(RerouteAfter<<min(d.reroutes, MaxReroutes), func() { s.Tell(d) })
}

// epoch is the epoch of an owner that found an execution written in another:
// higher than any that was stored, so that an owner before it is refused from
// its first commit on. The opening of the store is enough for a node by itself;
// nodes of a cluster take turns, so each turn is an epoch of its own.
func (s *System) epoch(stored uint64) uint64 {
	own := s.Store.Epoch()
	if own > stored || own == stored && s.Peers == nil {
		return own
	}
	return stored + 1
}

// Rebalance follows a change of owners: executions that are owned elsewhere now
// leave, timers and events of new ones are looked for. After the departure of a
// node its work is issued again, too; a node that is alive brings home the
// results of what it has begun.
func (s *System) Rebalance(ctx context.Context, departed bool) error {
	root := s.actors.Root
	s.LetGo()
	if err := s.ill.load(ctx, s.Store); err != nil {
		return err
	}
	root.Send(s.alarms, look{})
	s.keeper.start()
	if departed {
		s.keeper.startLater()
		return s.recover(ctx)
	}
	s.CatchUp()
	return nil
}

// LetGo makes every execution leave that this node does not own, and the others look
// into the store before they go on.
func (s *System) LetGo() {
	s.owners.Add(1)
	for i := range s.shards {
		s.actors.Root.Send(s.shards[i].pid, handOver{})
	}
}

// CatchUp looks for events that are ours and were left over.
func (s *System) CatchUp() { s.actors.Root.Send(s.router, catchUp{}) }

// FanOut fans an event out that another node accepted, or looks at what became of
// it since it was.
func (s *System) FanOut(eventID string) { s.actors.Root.Send(s.router, wanted{event: eventID}) }

// fan hands an event that is durable to the router of its owner.
func (s *System) fan(receipt *workflow.EventReceipt) {
	if !s.here(receipt.Event.ID) {
		s.Peers.Fan(receipt.Event.ID)
		return
	}
	s.actors.Root.Send(s.router, fan{receipt: receipt})
}

// Notify wakes those on this node who watch an execution.
func (s *System) Notify(execID string) { s.watchers.notify(execID) }

// notify wakes everybody who watches an execution.
func (s *System) notify(execID string) {
	s.watchers.notify(execID)
	if s.Peers != nil {
		s.Peers.Changed(execID)
	}
}

// Watched lists the executions that somebody on this node watches.
func (s *System) Watched() []string {
	s.watchers.mu.RLock()
	defer s.watchers.mu.RUnlock()
	ids := make([]string, 0, len(s.watchers.byID))
	for id := range s.watchers.byID {
		ids = append(ids, id)
	}
	return ids
}

// Quarantine takes over the verdict of another node on an execution.
func (s *System) Quarantine(execID, cause string) { s.ill.set(execID, cause) }

// Leaving counts the executions in memory that are owned elsewhere by now.
func (s *System) Leaving(ctx context.Context) int { return s.count(ctx, true) }

func (s *System) count(ctx context.Context, leaving bool) int {
	counts := make(chan int, Shards)
	for i := range s.shards {
		s.actors.Root.Send(s.shards[i].pid, census{reply: counts, leaving: leaving})
	}
	total := 0
	for range s.shards {
		select {
		case n := <-counts:
			total += n
		case <-ctx.Done():
			return total
		}
	}
	return total
}

// state reads the execution after a reply of another node, which does not carry it.
func (s *System) state(ctx context.Context, d *Deliver, r Reply) Reply {
	_, signal := d.Input.(workflow.Signalled)
	if signal && !d.Whole || r.State != nil || r.Err != nil {
		return r
	}
	snapshot, err := s.Store.Load(ctx, d.ExecID)
	if err != nil {
		return Reply{Err: &workflow.Refusal{
			Code: workflow.CodeTimeout, Message: "it was done, but what it led to cannot be read: " + err.Error(),
			Hint: "send it again with the same id, or ask for the execution", RetryAfter: unavailableRetryAfter,
		}}
	}
	r.State = snapshot.State
	return r
}
