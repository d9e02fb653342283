package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// execution acts for one execution, in the seat that it has taken. Its life is six steps:
//
//  1. Take what is in the mailbox, up to TurnSize and TurnBytes.
//  2. Fold workflow.Advance over it, due timers first, and over the results of
//     work that has no effect outside.
//  3. Check the new state.
//  4. Commit: one atomic write, group-committed with other executions'.
//  5. Only then, from the store's writer, answer the senders.
//  6. Then perform the effects; their results come back as inputs.
//
// Steps 1 to 4 run here and never block on the disk: memory may run ahead of
// it by MaxFlights commits. Steps 5 and 6 run when the commit is durable. A
// commit that fails makes memory worthless: the actor hears of it, drops
// everything, and what was under way is answered or routed again.
type execution struct {
	system *System
	id     string
	seat   *seat

	loaded  bool
	state   *workflow.State // nil: there is no such execution
	hidden  bool            // nobody but turns has ever looked at the state
	tip     uint64          // id of the commit that the state is from
	found   uint64          // id of the one that was read from the store
	owners  uint64          // that were told of when it was read
	epoch   uint64          // that its commits are made in
	def     *workflow.Definition
	life    int // counts the times that memory was dropped
	queue   []*Deliver
	turning bool // a turn is in the mailbox
	leaving bool // leave when nothing is under way
	left    bool // its seat is free
	quiet   bool // nobody is told anything: it is only looked at, see Foresee

	presumed bool // that there is no such execution; the store decides
	doubted  bool // that presumption broke a turn: nothing goes on before what is under way has landed

	flights atomic.Int32 // commits on their way to the disk
	starved atomic.Bool  // the actor wants a turn when one of them lands
	aloft   []*flight    // they, oldest first, and perhaps some that have landed
}

func newExecution(s *System, id string, in *seat) *execution {
	return &execution{system: s, id: id, seat: in}
}

// receive handles a message of its seat.
func (e *execution) receive(m any) {
	switch m := m.(type) {
	case *Deliver:
		e.queue = append(e.queue, m)
		e.gathered()
	case *parcel:
		e.queue = append(e.queue, m.items...)
		e.gathered()
	case turn:
		e.turning = false
		e.takeTurn()
	case lost:
		if m.life == e.life {
			e.drop(m.cause)
		}
	case retire:
		e.leaving = true
		e.leave()
	case evict:
		e.leaving = true
		queue := e.queue
		e.queue = nil
		for _, d := range queue {
			e.system.Tell(d)
		}
		e.leave()
	}
}

// gathered takes a turn when there is nothing more in the mailbox. Otherwise the turn
// comes behind that, so that one commit serves all of it.
func (e *execution) gathered() {
	if e.turning || e.seat.post.UserMessageCount() > 0 {
		e.wantTurn()
	} else {
		e.takeTurn()
	}
}

// wantTurn puts a turn behind what is in the mailbox already.
func (e *execution) wantTurn() {
	if !e.turning {
		e.turning = true
		e.seat.post.PostUserMessage(turn{})
	}
}

// retire has the execution leave once it has handled what came before.
func (e *execution) retire() {
	if rest := e.seat.post.close(); rest {
		e.seat.post.PostUserMessage(retire{})
	} else {
		e.leaving = true // at the end of this turn
	}
}

// takeTurn is steps 1 to 4.
func (e *execution) takeTurn() {
	if len(e.queue) == 0 {
		e.leave()
		return
	}
	if e.flights.Load() >= e.room() {
		e.starved.Store(true)
		if e.flights.Load() >= e.room() {
			return // landing gives the turn back
		}
		e.starved.Store(false)
	}
	e.doubted = false
	began := time.Now()
	e.seat.post.used.Store(began.UnixNano())
	batch := e.queue[:turnOf(e.queue)]
	e.queue = e.queue[len(batch):]
	if len(e.queue) > 0 {
		e.wantTurn()
	} else {
		e.queue = nil
	}
	e.fold(batch, began)
	if e.queue == nil && cap(batch) <= keepQueue {
		clear(batch)
		e.queue = batch[:0]
	}
	e.system.Observer.Turn(len(batch), time.Since(began))
	e.leave()
}

// turnOf is how many of what has gathered one turn takes: at least one.
func turnOf(queue []*Deliver) int {
	n, bytes := 0, 0
	for n < min(len(queue), TurnSize) && bytes < TurnBytes {
		bytes += queue[n].brings()
		n++
	}
	return n
}

// leave gives up its seat when it is asked to and nothing is under way.
func (e *execution) leave() {
	if !e.leaving || len(e.queue) > 0 {
		return
	}
	e.starved.Store(true)
	e.left = e.flights.Load() == 0
}

// fold is steps 2 and 3, with every panic and disagreement contained: the
// execution is quarantined and everybody who asked is told.
func (e *execution) fold(batch []*Deliver, began time.Time) {
	e.follow()
	f := newFold(e, began)
	f.expect(len(batch))
	defer func() {
		if cause := recover(); cause != nil {
			e.broke(f, batch, fmt.Sprintf("panic: %v", cause), string(debug.Stack()))
		}
	}()
	if refusal := e.load(batch[0].presumes()); refusal != nil {
		for _, d := range batch {
			e.system.refused(d, nil, refusal)
			d.answer(Reply{Err: refusal})
		}
		e.retire()
		return
	}
	f.was = e.state
	for _, d := range batch {
		if err := f.take(d); err != nil {
			e.broke(f, batch, err.Error(), "")
			return
		}
	}
	if f.changed() {
		if err := f.workNow(); err != nil {
			e.broke(f, batch, err.Error(), "")
			return
		}
		if err := workflow.Check(f.now); err != nil {
			e.broke(f, batch, "an invariant is broken: "+err.Error(), "")
			return
		}
	}
	if f.unread != nil {
		f.abandon(batch, unreadable(f.unread))
		e.drop(f.unread)
		return
	}
	changed := f.changed()
	f.commit()
	f = nil // another turn may be made in its room already
	if !e.leaving && (e.state == nil || e.state.Status.Finished()) {
		// Nothing more will happen to it: the room is for those that live.
		e.retire()
	}
	if !changed {
		e.mistrust()
	}
}

// follow forgets what was read before the owners changed: between two turns of this
// node another one may have had its own, and has ended it already.
func (e *execution) follow() {
	if now := e.system.owners.Load(); now != e.owners && e.flights.Load() == 0 {
		e.drop(nil)
		e.owners = now
	}
}

// mistrust forgets what was read from the store as long as nothing was committed upon it.
// Until then an owner before this one may commit still, and what it has begun - the
// result of a task, a timer - would come to a state that knows nothing of it and be
// dropped as something of the past. From the first commit on the store refuses that
// owner.
func (e *execution) mistrust() {
	if e.system.Peers != nil && e.tip == e.found {
		e.drop(nil)
	}
}

// load brings the execution into memory.
func (e *execution) load(fresh bool) *workflow.Refusal {
	if cause, ill := e.system.ill.cause(e.id); ill {
		return quarantined(e.id, cause)
	}
	if e.loaded {
		return nil
	}
	e.epoch = e.system.epoch(0)
	if fresh {
		e.loaded, e.presumed = true, true
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	snapshot, err := e.system.Store.Load(ctx, e.id)
	var corrupt *persistence.Corrupt
	switch {
	case errors.Is(err, persistence.ErrNotFound):
		e.loaded = true
		return nil
	case errors.As(err, &corrupt) && e.quiet:
		return quarantined(e.id, corrupt.Error())
	case errors.As(err, &corrupt):
		e.system.Logger.Error("execution quarantined: its stored bytes are damaged", "exec_id", e.id, "cause", corrupt.Cause)
		e.system.Observer.Quarantined("")
		return quarantined(e.id, corrupt.Error())
	case err != nil:
		return unreadable(err)
	}
	def, err := e.system.Catalog.Version(snapshot.State.Definition)
	switch {
	case momentary(err):
		return unreadable(err)
	case err != nil:
		return quarantined(e.id, fmt.Sprintf("its definition %s cannot be compiled: %v", snapshot.State.Definition, err))
	}
	if err := workflow.Check(snapshot.State); err != nil {
		return quarantined(e.id, "an invariant is broken: "+err.Error())
	}
	e.state, e.tip, e.found, e.def, e.loaded = snapshot.State, snapshot.Commit, snapshot.Commit, def, true
	e.epoch = e.system.epoch(snapshot.Epoch)
	return nil
}

// drop forgets everything in memory after a failed commit: what gathered is
// routed again, to this execution once it is loaded anew or to its new owner.
func (e *execution) drop(cause error) {
	e.life++
	e.loaded, e.state, e.hidden, e.tip, e.found, e.def, e.aloft = false, nil, false, 0, 0, nil, nil
	presumed := e.presumed
	e.presumed = false
	if errors.Is(cause, persistence.ErrConflict) && !presumed {
		e.system.Logger.Info("execution is owned elsewhere, or its commit was overtaken; loading it again", "exec_id", e.id)
	}
}

// quarantine keeps a broken execution from doing more harm, with its cause visible.
func (e *execution) quarantine(cause, stack string) *workflow.Refusal {
	def := ""
	if e.def != nil {
		def = e.def.ID
	}
	e.system.Logger.Error("execution quarantined", "exec_id", e.id, "workflow", def, "cause", cause, "stack", stack)
	e.system.ill.add(e.system, e.id, cause)
	e.system.Observer.Quarantined(def)
	e.drop(nil)
	e.retire()
	return quarantined(e.id, cause)
}
