package embedded

import (
	"errors"

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
	fanned   []string                 // events that it takes from their fan-outs
	taken    []*workflow.EventReceipt // kept events that it takes, settled
	kept     func()                   // told when events are kept for waits that it opens
	offer    bool                     // that is so

	// Dead letters: to keep, with their rows in ops, and the ids of those to drop.
	letters []*letter
	revived []string
	limit   int // of those to drop that died before earliest

	// An event, accepted or settled, or that of a commit.
	receipt *workflow.EventReceipt
	stood   workflow.Standing // as whoever settles it has seen it

	// A document: its key, what it becomes and, to replace it, what it must be; nil for none.
	document, body, was []byte

	// What to forget, each if it is still what was read, and how much it was; how many
	// dead letters it was.
	forget []forgotten
	swept  *swept
	forgot *int

	done     func(error)
	accepted func(*workflow.EventReceipt, bool, error)
	err      error                // the verdict, while its group is built
	known    bool                 // of an event
	changes  *persistence.Changes // room for those of a commit
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
	part  bool // of its rows; the others follow in other writes
	stamp stamp
	event string
	waits int // that it had open
	ops   ops
}

// Weight is roughly what a write holds in memory, and what it takes in a frame.
func (w *write) Weight() int {
	n := len(w.buf) + writeOverhead
	for i := range w.events {
		n += len(w.events[i].Payload) + writeOverhead
	}
	for _, r := range w.taken {
		n += len(r.Event.Payload) + writeOverhead
	}
	for i := range w.forget {
		n += len(w.forget[i].ops.buf)
	}
	return n
}

var errFull = errors.New("too many writes wait for the disk; send it again in a moment")
