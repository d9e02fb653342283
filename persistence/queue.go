package persistence

import (
	"fmt"
	"sync"
)

// Queue holds writes until the one writer of a store takes them. It is bounded by
// their number and by what they weigh, those included that were taken and are not
// answered yet. Half of the bytes are never given to heavy ones, so that nobody is
// refused because others write much; one heavy write always has room beside the rest.
type Queue[W interface{ Weight() int }] struct {
	Wake chan struct{} // has a token when something may be there to do

	most, mostBytes int
	full            error // what is said beyond them

	mu     sync.Mutex
	items  []W
	taken  Room
	closed bool
}

// Room is what writes take in a queue.
type Room struct{ count, light, heavy int }

// Add adds the room of other writes.
func (r *Room) Add(o Room) {
	r.count, r.light, r.heavy = r.count+o.count, r.light+o.light, r.heavy+o.heavy
}

// NewQueue makes a queue.
func NewQueue[W interface{ Weight() int }](most, mostBytes int, full error) *Queue[W] {
	return &Queue[W]{Wake: make(chan struct{}, 1), most: most, mostBytes: mostBytes, full: full}
}

// Push adds a write or says why not.
func (q *Queue[W]) Push(w W) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	room := q.Room(w)
	if !q.fits(room) {
		q.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnavailable, q.full)
	}
	q.items = append(q.items, w)
	q.taken.Add(room)
	q.mu.Unlock()
	q.poke()
	return nil
}

// fits reports whether there is room for one more write.
func (q *Queue[W]) fits(w Room) bool {
	half := q.mostBytes / 2
	if q.taken.count >= q.most || q.taken.light+min(q.taken.heavy, half) >= q.mostBytes {
		return false
	}
	return w.heavy == 0 || q.taken.heavy == 0 || q.taken.heavy+w.heavy <= half
}

// Room is what a write takes in the queue, as long as it is not answered.
func (q *Queue[W]) Room(w W) Room {
	weight := w.Weight()
	if weight > q.mostBytes/heavyShare {
		return Room{count: 1, heavy: weight}
	}
	return Room{count: 1, light: weight}
}

// Waiting is how many writes are queued.
func (q *Queue[W]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// Take returns everything that is queued, giving into as room for what comes
// next; closed once nothing will come any more.
func (q *Queue[W]) Take(into []W) (items []W, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, q.items = q.items, into[:0]
	return items, q.closed
}

// Answered gives back the room of writes that were taken.
func (q *Queue[W]) Answered(all Room) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken.Add(Room{-all.count, -all.light, -all.heavy})
}

// Close lets nothing in any more.
func (q *Queue[W]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.poke()
}

// Closed reports whether it was closed.
func (q *Queue[W]) Closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *Queue[W]) poke() {
	select {
	case q.Wake <- struct{}{}:
	default:
	}
}
