package actors

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/signalbox/signalbox/workflow"
)

// flight is one commit on its way to the disk, with those who wait for it.
type flight struct {
	told atomic.Pointer[told] // what it changes; nil once it has landed, when the store knows

	mu     sync.Mutex
	landed bool
	err    error
	then   []func(error)
}

// takeOff begins the flight of a commit that changes those receipts.
func (e *execution) takeOff(t *told) *flight {
	e.flights.Add(1)
	f := &flight{}
	f.told.Store(t)
	// All but the youngest matter only until they land.
	e.aloft = slices.DeleteFunc(e.aloft, func(f *flight) bool { return f.told.Load() == nil })
	e.aloft = append(e.aloft, f)
	return f
}

// under finds the receipt of a signal in commits that may not be durable yet.
func (e *execution) under(signalID string) *workflow.Receipt {
	for _, f := range slices.Backward(e.aloft) {
		if r := f.told.Load().find(signalID); r != nil {
			return r
		}
	}
	return nil
}

// afterLast runs fn when every commit so far has landed, or has failed.
func (e *execution) afterLast(fn func(error)) {
	if len(e.aloft) == 0 {
		fn(nil)
		return
	}
	e.aloft[len(e.aloft)-1].after(fn)
}

// after runs fn when the flight has landed: now, if it has.
func (f *flight) after(fn func(error)) {
	f.mu.Lock()
	if !f.landed {
		f.then = append(f.then, fn)
		f.mu.Unlock()
		return
	}
	f.mu.Unlock()
	fn(f.err)
}

func (f *flight) land(err error) {
	f.told.Store(nil)
	f.mu.Lock()
	f.landed, f.err = true, err
	then := f.then
	f.then = nil
	f.mu.Unlock()
	for _, fn := range then {
		fn(err)
	}
}

// told is what the senders of signals are told by one turn: the receipts that it
// changed, in the order in which they first did. A nil one is empty.
type told struct {
	receipts []workflow.Receipt
	places   map[string]int // by id, once there are many
}

// manyTold receipts and more are found by a map.
const manyTold = 8

func newTold(room int) *told {
	return &told{receipts: make([]workflow.Receipt, 0, room), places: make(map[string]int, room)}
}

func (t *told) place(id string) int {
	if t == nil || len(t.receipts) == 0 {
		return -1
	}
	if last := len(t.receipts) - 1; t.receipts[last].SignalID == id {
		return last
	}
	if t.places != nil {
		if i, ok := t.places[id]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(t.receipts, func(r workflow.Receipt) bool { return r.SignalID == id })
}

// find returns the receipt of a signal, nil for none, until the next put.
func (t *told) find(id string) *workflow.Receipt {
	if i := t.place(id); i >= 0 {
		return &t.receipts[i]
	}
	return nil
}

func (t *told) put(r *workflow.Receipt) {
	if i := t.place(r.SignalID); i >= 0 {
		t.receipts[i] = *r
		return
	}
	t.receipts = append(t.receipts, *r)
	switch n := len(t.receipts); {
	case t.places != nil:
		t.places[r.SignalID] = n - 1
	case n > manyTold:
		t.places = make(map[string]int, 2*n)
		for i := range t.receipts {
			t.places[t.receipts[i].SignalID] = i
		}
	}
}

// all returns the receipts, which are not to be changed.
func (t *told) all() []workflow.Receipt {
	if t == nil {
		return nil
	}
	return t.receipts
}

// clone returns a copy that put does not change.
func (t *told) clone() *told {
	if t == nil {
		return nil
	}
	c := newTold(len(t.receipts) + 1)
	for i := range t.receipts {
		c.put(&t.receipts[i])
	}
	return c
}
