package embedded

import (
	"errors"
	"fmt"
	"sync"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// write is one thing to write: what it is made from, the operations, and whom to tell.
type write struct {
	ops
	kind writeKind

	// A commit.
	exec     string
	expect   uint64
	parent   uint64
	stamp    stamp
	row      [2]int           // where buf holds the row of the state
	waits    int              // open waits more than before
	earliest workflow.Instant // of the timers that it arms; zero for none
	events   []workflow.Event // accepted with it unless they are known
	tally    []persistence.Entry
	taken    []*workflow.EventReceipt // kept events that it takes, settled
	kept     func()                   // told when events are kept for waits that it opens
	offer    bool                     // that is so

	// Dead letters: to keep, with their rows in ops, and the ids of those to drop.
	letters []*letter
	revived []string
	limit   int // of those to drop that died before earliest

	// An event, accepted or settled.
	receipt *workflow.EventReceipt

	// A document: its key, what it becomes and, to replace it, what it must be; nil for none.
	document, body, was []byte

	// What to forget, each if it is still what was read, and how much it was.
	forget []forgotten
	forgot *int

	done     func(error)
	accepted func(*workflow.EventReceipt, bool, error)
	err      error // the verdict, while its group is built
	known    bool  // of an event
	changes  persistence.Changes
}

type writeKind uint8

const (
	writeCommit writeKind = iota
	writeAccept
	writeSettle
	writeRows    // operations without a condition: documents and meta
	writeReplace // a document that must be what it was
	writeForget
	writeLetters    // dead letters to keep
	writeDrop       // dead letters to drop
	writeRelease    // the receipt of a kept event
	writeOldLetters // dead letters to drop that died before earliest
	writeBooks      // rows of the books that are imported
)

// stamp is what must be known of an execution to judge a commit: the zero stamp is none.
type stamp = persistence.Stamp

// forgotten is an execution as of a commit, or an event, that is swept.
type forgotten struct {
	exec  string
	stamp stamp
	event string
	waits int // that it had open
	ops   ops
}

// size is roughly what a write holds in memory.
func (w *write) size() int {
	n := len(w.buf) + writeOverhead
	for i := range w.forget {
		n += len(w.forget[i].ops.buf)
	}
	return n
}

var errFull = errors.New("too many writes wait for the disk; send it again in a moment")

// queue holds writes until the writer takes them.
type queue struct {
	wake chan struct{} // has a token when something may be there to do

	mu     sync.Mutex
	items  []*write
	count  int // taken ones included, until they are answered
	bytes  int
	closed bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push adds a write or says why not.
func (q *queue) push(w *write) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return persistence.ErrClosed
	}
	if q.count >= maxQueued || q.bytes >= maxQueuedBytes {
		q.mu.Unlock()
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, errFull)
	}
	q.items = append(q.items, w)
	q.count++
	q.bytes += w.size()
	q.mu.Unlock()
	poke(q.wake)
	return nil
}

// waiting is how many writes are queued.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// take returns everything that is queued, giving into as room for what comes
// next; closed once nothing will come any more.
func (q *queue) take(into []*write) (items []*write, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	items, q.items = q.items, into[:0]
	return items, q.closed
}

// answered gives back the room of writes that were taken.
func (q *queue) answered(count, bytes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count -= count
	q.bytes -= bytes
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	poke(q.wake)
}
