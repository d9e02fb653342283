package actors

import (
	"slices"
	"sync"

	"github.com/signalbox/signalbox/workflow"
)

// flight is one commit on its way to the disk, with those who wait for it.
type flight struct {
	mu     sync.Mutex
	told   *told // what it changes; nil once it has landed, when the store knows
	landed bool
	err    error
	then   []func(error)
}

// takeOff begins the flight of a commit that changes those receipts.
func (e *execution) takeOff(t *told) *flight {
	e.flights.Add(1)
	// All but the youngest matter only until they land: then another is made of one.
	var f *flight
	e.aloft = slices.DeleteFunc(e.aloft, func(a *flight) bool {
		down := a.down()
		if down {
			f = a
		}
		return down
	})
	if f == nil {
		f = new(flight)
	}
	f.begin(t)
	e.aloft = append(e.aloft, f)
	return f
}

func (f *flight) begin(t *told) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told, f.landed, f.err = t, false, nil
}

// under finds the receipt of a signal in commits that may not be durable yet.
func (e *execution) under(signalID string) *workflow.Receipt {
	for _, f := range slices.Backward(e.aloft) {
		if r := f.find(signalID); r != nil {
			return r
		}
	}
	return nil
}

// down reports whether the flight has landed.
func (f *flight) down() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.landed
}

// find returns a copy of the receipt of a signal that the commit changes: the
// room of the receipts is used again once it has landed.
func (f *flight) find(signalID string) *workflow.Receipt {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.told.find(signalID)
	if found == nil {
		return nil
	}
	r := *found
	return &r
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
	f.mu.Lock()
	f.told, f.landed, f.err = nil, true, err
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
	index    map[string]int // room for places
}

// manyTold receipts and more are found by a map.
const manyTold = 8

// expect makes room for so many receipts.
func (t *told) expect(room int) {
	t.receipts = slices.Grow(t.receipts, room)
	if t.index == nil {
		t.index = make(map[string]int, room)
	}
	t.places = t.index
}

// clear forgets everything and keeps the room.
func (t *told) clear() {
	clear(t.receipts)
	clear(t.index)
	t.receipts, t.places = t.receipts[:0], nil
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
		t.expect(n)
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
	c := &told{}
	c.expect(len(t.receipts) + 1)
	for i := range t.receipts {
		c.put(&t.receipts[i])
	}
	return c
}
