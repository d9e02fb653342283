package actors

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// The messages of the alarm clock.
type (
	look     struct{}                        // read the timers from the first one on
	readOn   struct{}                        // read the next page of them
	ring     struct{}                        // the earliest timer may be due
	armed    struct{ due []persistence.Due } // from a commit: timers of an execution inside the window
	answered struct {                        // by the execution whose timer was fired
		timer  string // its key
		fired  time.Time
		execID string
		sick   bool // it cannot act
	}
)

// alarms is the node's alarm clock. Timers live in the store, with the state
// that armed them; the clock holds those of the next AlarmWindow in memory and
// fires them as inputs. It reads them in rounds, page by page, from the first one
// that is stored to the end of the window. A timer that is still stored after it
// fired - its commit failed, the node was busy - is found again in a later round.
type alarms struct {
	system  *System
	window  workflow.Instant // timers due until then are in the heap, or were fired
	heap    dueHeap
	held    map[string]time.Time // when those were fired that have no answer yet; no time: in the heap
	sick    map[string]bool      // executions that cannot act, whose timers are not fired
	forgot  time.Time            // when all of the sick were forgotten
	after   *persistence.Due     // how far the round has read, nil where it begins
	reached time.Time            // when the round had read again what was in the window before it
	more    bool                 // the round goes on once the heap has room
	timer   *time.Timer
	reader  *time.Timer
}

func newAlarms(s *System) *alarms {
	return &alarms{system: s, held: make(map[string]time.Time), sick: make(map[string]bool)}
}

// Receive implements actor.Actor.
func (a *alarms) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case look:
		a.after = nil
		a.read(ctx)
	case readOn:
		a.read(ctx)
	case ring:
		a.ring(ctx)
	case armed:
		for _, due := range m.due {
			delete(a.sick, due.ExecID) // it has acted
			if due.At <= max(a.window, now()) {
				a.hold(due)
			}
		}
		a.ring(ctx)
	case answered:
		a.answered(ctx, m)
	case *actor.Stopping:
		for _, t := range []*time.Timer{a.timer, a.reader} {
			if t != nil {
				t.Stop()
			}
		}
	}
}

// read reads the next page of the timers of the window, and of those that are overdue.
func (a *alarms) read(ctx actor.Context) {
	a.forget()
	if a.after != nil && a.after.At >= a.window && time.Since(a.reached) >= AlarmAgain {
		a.after = nil // the window may be full for long: look what is left over of those before it
	}
	background, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	until := now().Add(AlarmWindow)
	page, err := a.system.Store.Due(background, until, a.after, AlarmBatch)
	if err != nil {
		a.system.Logger.Error("timers cannot be read; trying again", "err", err)
	} else {
		a.take(page, until)
	}
	pause := AlarmWindow / 6
	if err != nil || a.more && a.system.Store.Health() != nil {
		a.more, pause = false, AlarmCrowded
	}
	a.readAfter(ctx, pause)
	a.ring(ctx)
}

// take holds a page of timers and notes how far the round has come.
func (a *alarms) take(page []persistence.Due, until workflow.Instant) {
	if a.more = len(page) == AlarmBatch; a.more {
		last := page[len(page)-1]
		if last.At >= a.window && (a.after == nil || a.after.At < a.window) {
			a.reached = time.Now()
		}
		a.after, a.window = &last, max(a.window, last.At)
	} else {
		a.after, a.window = nil, until
	}
	for _, d := range page {
		if d.At <= a.window {
			a.hold(d)
		}
	}
}

// readAfter reads the next page after a pause; a change of owners may have come
// between two.
func (a *alarms) readAfter(ctx actor.Context, pause time.Duration) {
	if a.reader != nil {
		a.reader.Stop()
	}
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.reader = time.AfterFunc(pause, func() { root.Send(self, readOn{}) })
}

// crowded reports whether the heap holds enough: another page would be read ahead
// of the window, or what is due already has to wait for answers.
func (a *alarms) crowded() bool {
	return len(a.heap) >= AlarmBatch/2 && (a.after == nil || a.after.At >= a.window || a.heap[0].At <= now())
}

// forget lets those be fired again that nobody answered, and looks at the sick
// once more. The clock of the wall may be set meanwhile.
func (a *alarms) forget() {
	for key, fired := range a.held {
		if !fired.IsZero() && time.Since(fired) >= AlarmAgain {
			delete(a.held, key)
		}
	}
	if time.Since(a.forgot) >= AlarmSick {
		a.sick, a.forgot = make(map[string]bool), time.Now()
	}
}

// fires reports whether a timer of the execution is fired here.
func (a *alarms) fires(execID string) bool {
	if a.sick[execID] || !a.system.here(execID) {
		return false // or its owner's clock has it
	}
	_, ill := a.system.ill.cause(execID)
	return !ill
}

func (a *alarms) hold(d persistence.Due) {
	if !a.fires(d.ExecID) {
		return
	}
	due := dueTimer(d)
	if _, ok := a.held[due.key()]; ok {
		return
	}
	a.held[due.key()] = time.Time{}
	heap.Push(&a.heap, due)
	if len(a.heap) > 2*AlarmBatch {
		a.shed()
	}
}

// shed leaves to the store what comes last, because memory is full.
func (a *alarms) shed() {
	slices.SortFunc(a.heap, dueTimer.compare) // which is a heap, too
	for _, d := range a.heap[AlarmBatch:] {
		delete(a.held, d.key())
	}
	clear(a.heap[AlarmBatch:])
	a.heap = a.heap[:AlarmBatch]
	last := a.heap[AlarmBatch-1]
	if a.after == nil || last.compare(dueTimer(*a.after)) < 0 {
		a.after = (*persistence.Due)(&last)
	}
	a.window, a.more = min(a.window, last.At), true
}

// ring fires what is due and sets the clock for the next.
func (a *alarms) ring(ctx actor.Context) {
	present := now()
	for len(a.heap) > 0 && a.heap[0].At <= present && len(a.held)-len(a.heap) < AlarmsAtOnce {
		d := heap.Pop(&a.heap).(dueTimer)
		if a.fires(d.ExecID) {
			a.fire(ctx, d, present)
		} else {
			delete(a.held, d.key())
		}
	}
	if a.more && !a.crowded() {
		a.more = false
		a.readAfter(ctx, 0)
	}
	if len(a.heap) == 0 || a.heap[0].At <= present {
		return // what is due follows when others are answered
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.timer = time.AfterFunc(max(time.Until(a.heap[0].At.Time()), time.Millisecond), func() { root.Send(self, ring{}) })
}

func (a *alarms) fire(ctx actor.Context, d dueTimer, present workflow.Instant) {
	m := answered{timer: d.key(), fired: time.Now(), execID: d.ExecID}
	a.held[m.timer] = m.fired
	self, root, system := ctx.Self(), ctx.ActorSystem().Root, a.system
	input := workflow.TimerFired{Stamp: workflow.Stamp{At: present}, Timer: d.Timer}
	system.Tell(&Deliver{ExecID: d.ExecID, Input: input, Reply: func(r Reply) {
		if system.stopping.Load() {
			return // the clock, too
		}
		var refusal *workflow.Refusal
		m.sick = errors.As(r.Err, &refusal) && refusal.Code == workflow.CodeQuarantined
		root.Send(self, m)
	}})
}

// answered makes room for the next. Whether the timer is stored still the store
// says in the next round.
func (a *alarms) answered(ctx actor.Context, m answered) {
	if a.held[m.timer].Equal(m.fired) {
		delete(a.held, m.timer)
	}
	if m.sick && len(a.sick) < MaxSick {
		a.sick[m.execID] = true
	}
	if a.more || len(a.heap) > 0 && a.heap[0].At <= now() {
		a.ring(ctx)
	}
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

// compare orders timers as the store does.
func (d dueTimer) compare(o dueTimer) int {
	return cmp.Or(cmp.Compare(d.At, o.At), strings.Compare(d.ExecID, o.ExecID), strings.Compare(d.Timer, o.Timer))
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
