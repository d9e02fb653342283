package actors

import (
	"container/heap"
	"context"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The messages of the alarm clock.
type (
	look  struct{}                        // read the next window from the store
	ring  struct{}                        // the earliest timer may be due
	armed struct{ due []persistence.Due } // from a commit: timers inside the window
)

// alarms is the node's alarm clock. Timers live in the store, with the state
// that armed them; the clock holds those of the next AlarmWindow in memory and
// fires them as inputs. A timer that is still stored after it fired - its
// commit failed, the node was busy - is found again at the next look.
type alarms struct {
	system *System
	window workflow.Instant // timers due until then are in the heap
	heap   dueHeap
	held   map[string]time.Time // when those were fired that may be stored still; no time: in the heap
	timer  *time.Timer
	looker *time.Timer
}

func newAlarms(s *System) *alarms {
	return &alarms{system: s, held: make(map[string]time.Time)}
}

// Receive implements actor.Actor.
func (a *alarms) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case look:
		a.look(ctx)
	case ring:
		a.ring(ctx)
	case armed:
		for _, due := range m.due {
			if len(a.heap) >= 2*AlarmBatch {
				// Memory is full: what comes later than now is left to the next look.
				a.window = min(a.window, due.At-1)
			}
			if due.At <= a.window {
				a.hold(due)
			}
		}
		a.ring(ctx)
	case *actor.Stopping:
		for _, t := range []*time.Timer{a.timer, a.looker} {
			if t != nil {
				t.Stop()
			}
		}
	}
}

// look reads the timers of the next window, and those that are overdue.
func (a *alarms) look(ctx actor.Context) {
	if a.looker != nil {
		a.looker.Stop() // a change of owners looks between two rounds
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	a.forget()
	until := now().Add(AlarmWindow)
	due, err := a.due(background, until)
	if err != nil {
		a.system.Logger.Error("timers cannot be read; trying again", "err", err)
	} else {
		a.window = until
		if len(due) == AlarmBatch {
			// The window is fuller than memory may be: look again after these.
			a.window = due[len(due)-1].At
		}
		for _, d := range due {
			a.hold(d)
		}
	}
	a.ring(ctx)
	pause := AlarmWindow / 6
	if err != nil || len(a.heap) >= AlarmBatch {
		pause = AlarmCrowded
	}
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.looker = time.AfterFunc(pause, func() { root.Send(self, look{}) })
}

// due reads the earliest timers of ours, up to AlarmBatch. A node by itself has
// them all; in a cluster those of other owners are passed over.
func (a *alarms) due(ctx context.Context, until workflow.Instant) ([]persistence.Due, error) {
	page, err := a.system.Store.Due(ctx, until, nil, AlarmBatch)
	if err != nil || a.system.Peers == nil {
		return page, err
	}
	var ours []persistence.Due
	for {
		for _, d := range page {
			if a.system.here(d.ExecID) && len(ours) < AlarmBatch {
				ours = append(ours, d)
			}
		}
		if len(page) < AlarmBatch || len(ours) == AlarmBatch {
			return ours, nil
		}
		last := page[len(page)-1]
		if page, err = a.system.Store.Due(ctx, until, &last, AlarmBatch); err != nil {
			return nil, err
		}
	}
}

// forget lets those be fired again that were fired long ago, whatever the clock of the
// wall has been set to meanwhile.
func (a *alarms) forget() {
	for key, fired := range a.held {
		if !fired.IsZero() && time.Since(fired) >= AlarmAgain {
			delete(a.held, key)
		}
	}
}

func (a *alarms) hold(d persistence.Due) {
	if !a.system.here(d.ExecID) {
		return // its owner's clock has it
	}
	due := dueTimer(d)
	if _, ok := a.held[due.key()]; ok {
		return
	}
	a.held[due.key()] = time.Time{}
	heap.Push(&a.heap, due)
}

// ring fires what is due and sets the clock for the next.
func (a *alarms) ring(ctx actor.Context) {
	present := now()
	for len(a.heap) > 0 && a.heap[0].At <= present {
		d := heap.Pop(&a.heap).(dueTimer)
		if !a.system.here(d.ExecID) {
			delete(a.held, d.key())
			continue // it moved; its new owner's clock has it
		}
		a.held[d.key()] = time.Now()
		a.system.Tell(&Deliver{ExecID: d.ExecID, Input: workflow.TimerFired{Stamp: workflow.Stamp{At: present}, Timer: d.Timer}})
	}
	if len(a.heap) == 0 {
		return
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.timer = time.AfterFunc(max(time.Until(a.heap[0].At.Time()), time.Millisecond), func() { root.Send(self, ring{}) })
}

// setAlarms tells the clock of the timers that a commit armed within its window.
func (s *System) setAlarms(was, now *workflow.State) {
	alarms := now.Alarms()
	if len(alarms) == 0 {
		return
	}
	var due []persistence.Due
	limit := workflow.InstantOf(time.Now()).Add(AlarmWindow)
	for _, t := range alarms {
		if t.Due > limit || was != nil && stays(was.Alarms(), t) {
			continue
		}
		due = append(due, persistence.Due{ExecID: now.ExecID, Timer: t.ID, At: t.Due})
	}
	if due != nil {
		s.actors.Root.Send(s.alarms, armed{due: due})
	}
}

func stays(timers []workflow.Timer, t workflow.Timer) bool {
	for _, o := range timers {
		if o == t {
			return true
		}
	}
	return false
}

// dueTimer is a timer in the heap; the earliest comes first.
type dueTimer persistence.Due

func (d dueTimer) key() string {
	return d.ExecID + "\x00" + d.Timer + "\x00" + strconv.FormatInt(int64(d.At), 36)
}

type dueHeap []dueTimer

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].At < h[j].At }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(dueTimer)) }
func (h *dueHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// afterHold runs fn after the hold that follows a failure.
func afterHold(fn func()) { time.AfterFunc(RedeliverAfter, fn) }
