package persistence

import (
	"fmt"
	"sync"
)

// Queue holds writes until the one writer of a store takes them. It is bounded by
// their number and by what they weigh, those included that were taken and are not
// answered yet.
type Queue[W interface{ Weight() int }] struct {
	Wake chan struct{} // has a token when something may be there to do

	most, mostBytes int
	full            error // what is said beyond them

	mu     sync.Mutex
	items  []W
	count  int
	bytes  int
	closed bool
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
	if q.count >= q.most || q.bytes >= q.mostBytes {
		q.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnavailable, q.full)
	}
	q.items = append(q.items, w)
	q.count++
	q.bytes += w.Weight()
	q.mu.Unlock()
	q.poke()
	return nil
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
func (q *Queue[W]) Answered(count, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count -= count
	q.bytes -= bytes
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
