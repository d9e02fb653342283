package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// keeper brings the events that nobody took together with the waits that open
// later. It only makes offers: the commit of the execution that takes an event
// settles it, and the store lets one of them do so, so an offer that is lost with
// the node or made twice does no harm. Three things make offers:
//
//   - an event is kept: to the waits that opened while it was fanned out;
//   - a commit opened a wait, and the store says that events of its name are kept;
//   - a node starts, or the nodes of a cluster change: each event that is kept, to
//     whoever waits.
type keeper struct {
	system *System
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	queue   []offer
	queued  map[offer]bool
	workers int
	behind  bool // an offer found the queue full: all events are offered again after it
	closed  bool
	idle    sync.WaitGroup
	alarm   *time.Timer
	due     workflow.Instant // when the alarm rings, zero while there is none
}

// offer is one thing to do: an event to whoever waits, what is kept to the waits
// of an execution, or neither and nobody: look for events whose time is over.
type offer struct {
	event string
	exec  string
	every bool // event that is kept
}

func newKeeper(s *System) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	return &keeper{system: s, ctx: ctx, cancel: cancel, queued: make(map[offer]bool)}
}

func (k *keeper) start() {
	k.add(offer{every: true})
	k.add(offer{})
}

// startLater offers everything again once the store has surely freed what a node that
// died was just taking.
func (k *keeper) startLater() { time.AfterFunc(OfferAgainAfter, k.start) }

// stop ends all work. What was under way is offered again by the next node.
func (k *keeper) stop() {
	k.cancel()
	k.mu.Lock()
	k.closed = true
	if k.alarm != nil {
		k.alarm.Stop()
	}
	k.mu.Unlock()
	k.idle.Wait()
}

// kept takes care of an event that is kept from now on.
func (k *keeper) kept(ev *workflow.Event) {
	k.add(offer{event: ev.ID})
	k.wake(ev.ExpiresAt)
}

// opened offers what is kept to an execution, one of whose waits has opened. It
// is called by the store's writer and never blocks.
func (k *keeper) opened(execID string) { k.add(offer{exec: execID}) }

func (k *keeper) add(o offer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.closed || k.queued[o]:
		return
	case len(k.queue) >= MaxOffers:
		k.behind = true
		return
	}
	k.queued[o] = true
	k.queue = append(k.queue, o)
	if k.workers < Keepers {
		k.workers++
		k.idle.Add(1)
		go k.work()
	}
}

// work makes offers until there are none.
func (k *keeper) work() {
	defer k.idle.Done()
	for {
		o, ok := k.next()
		if !ok {
			return
		}
		if err := k.make(o); err != nil && k.ctx.Err() == nil {
			k.system.Logger.Warn("kept events could not be offered; trying again", "event_id", o.event, "exec_id", o.exec, "err", err)
			afterHold(func() { k.add(o) })
		}
	}
}

func (k *keeper) next() (offer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.queue) == 0 && k.behind {
		k.behind = false
		k.queue = append(k.queue, offer{every: true})
	}
	if len(k.queue) == 0 || k.closed {
		k.workers--
		return offer{}, false
	}
	o := k.queue[0]
	k.queue = k.queue[1:]
	delete(k.queued, o)
	return o, true
}

func (k *keeper) make(o offer) error {
	switch {
	case o.event != "":
		r, err := k.system.Store.Event(k.ctx, o.event)
		if errors.Is(err, persistence.ErrNotFound) || k.system.damaged.Leaves(o.event, err) {
			return nil
		}
		if err != nil {
			return err
		}
		return k.toWaits(r)
	case o.exec != "":
		return k.toExecution(o.exec)
	case o.every:
		return k.all()
	}
	return k.expire()
}

// all offers every event that is kept.
func (k *keeper) all() error {
	var last *workflow.EventReceipt
	for {
		page, err := k.system.Store.Expiring(k.ctx, forever, last, RecoverBatch)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, r := range page {
			if last = r; !k.system.here(r.Event.ID) {
				continue // the node that owns it does the same
			}
			if err := k.toWaits(r); err != nil {
				return err
			}
		}
	}
}

// toWaits offers an event to the open waits that it can satisfy, until one takes it.
func (k *keeper) toWaits(r *workflow.EventReceipt) error {
	l := lookup{event: r.Event}
	done, err := k.gone(r)
	if err != nil {
		return err
	}
	for !done {
		rows, last, err := l.next(k.ctx, k.system, FanoutWindow/2)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if taken, err := k.give(r, row.ExecID); taken || err != nil {
				return err
			}
		}
		done = last
	}
	return nil
}

// toExecution offers the events that each open wait of an execution can take, in
// the order in which they came, until it takes one.
func (k *keeper) toExecution(execID string) error {
	snapshot, err := k.system.Store.Load(k.ctx, execID)
	var corrupt *persistence.Corrupt
	if errors.Is(err, persistence.ErrNotFound) || errors.As(err, &corrupt) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := range snapshot.State.Waits {
		if err := k.toWait(execID, &snapshot.State.Waits[i]); err != nil {
			return err
		}
	}
	return nil
}

func (k *keeper) toWait(execID string, w *workflow.OpenWait) error {
	q := workflow.KeptQuery{Name: w.Name, Path: w.Path, Key: w.Key, Limit: FanoutWindow / 2}
	for {
		page, err := k.system.Store.Kept(k.ctx, q)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if gone, err := k.gone(r); err != nil {
				return err
			} else if gone {
				continue
			}
			if taken, err := k.give(r, execID); taken || err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// give offers an event to an execution and waits for what it does. An error means
// that it is to be tried again.
func (k *keeper) give(r *workflow.EventReceipt, execID string) (taken bool, err error) {
	replies := make(chan Reply, 1)
	sig := delivered(&r.Event, execID)
	sig.ExpiresAt = r.Event.ExpiresAt
	k.system.Tell(&Deliver{
		ExecID: execID,
		Input:  workflow.Signalled{Stamp: workflow.Stamp{At: now()}, OnlyIfMatched: true, Signal: sig},
		Reply:  func(r Reply) { replies <- r },
	})
	select {
	case reply := <-replies:
		if reply.Err != nil && outcomeOf(reply.Err) == again {
			return false, reply.Err
		}
		return reply.Err == nil && reply.Matched, nil
	case <-k.ctx.Done():
		return false, k.ctx.Err()
	}
}

// delivered is an event as a signal to one execution.
func delivered(ev *workflow.Event, execID string) workflow.Signal {
	return workflow.Signal{
		ID: ev.ID, ExecID: execID, Name: ev.Name, Payload: ev.Payload,
		CorrelationID: ev.CorrelationID, Source: workflow.FromEvent, By: ev.By, ReceivedAt: ev.ReceivedAt,
	}
}

// forever is later than every instant that can be given.
const forever = workflow.Instant(1<<63 - 1)

// expire ends the keeping of what is over and sets the alarm for the next. It goes on
// behind one that turns out to be damaged.
func (k *keeper) expire() error {
	var last *workflow.EventReceipt
	for {
		over, err := k.system.Store.Expiring(k.ctx, now(), last, RecoverBatch)
		if err != nil {
			return err
		}
		if len(over) == 0 {
			break
		}
		for _, r := range over {
			if err := k.end(r); k.system.damaged.Leaves(r.Event.ID, err) {
				last = r
			} else if err != nil {
				return err
			}
		}
	}
	next, err := k.system.Store.Expiring(k.ctx, forever, last, 1)
	if err == nil && len(next) > 0 {
		k.wake(next[0].Event.ExpiresAt)
	}
	return err
}

// end makes a kept event expired, unless somebody takes it at the same moment.
func (k *keeper) end(r *workflow.EventReceipt) error {
	over := *r
	over.Fate, over.Cause = workflow.FateExpired, workflow.CauseExpired
	over.Reason = "its time to live ended at " + r.Event.ExpiresAt.String() + " before a wait took it; " + r.Reason
	over.Steps = append(over.Steps[:len(over.Steps):len(over.Steps)], workflow.Step{At: now(), What: string(over.Fate), Reason: over.Reason})
	return k.release(&over)
}

// release settles an event while it is kept; somebody who takes it at the same moment
// settles it instead.
func (k *keeper) release(r *workflow.EventReceipt) error {
	done := make(chan error, 1)
	k.system.Store.ReleaseEvent(r, func(err error) { done <- err })
	select {
	case err := <-done:
		if errors.Is(err, persistence.ErrConflict) {
			return nil
		}
		if err == nil {
			k.system.Observer.Event(string(r.Fate))
			if r.Cause != "" {
				k.system.Observer.Buried(r.Cause)
			}
			k.system.notify(workflow.EventKey(r.Event.ID))
		}
		return err
	case <-k.ctx.Done():
		return k.ctx.Err()
	}
}

// wake sets the alarm for a moment, unless it rings earlier anyway.
func (k *keeper) wake(at workflow.Instant) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.due != 0 && k.due <= at {
		return
	}
	if k.alarm != nil {
		k.alarm.Stop()
	}
	k.due = at
	k.alarm = time.AfterFunc(max(time.Until(at.Time()), time.Millisecond), func() {
		k.mu.Lock()
		k.due = 0
		k.mu.Unlock()
		k.add(offer{})
	})
}
