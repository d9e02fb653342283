package redis

import (
	"errors"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// write is one thing to write: the script's guard and operations, and whom to tell.
type write struct {
	ops
	guard []any // the guard and what it needs, see scripts/write.lua
	kind  writeKind

	// A commit.
	exec   string // also the id of a document
	expect uint64
	parent uint64
	stamp  persistence.Stamp
	away   []carried // events whose home is another partition
	claim  *claim    // of a unique key, to be made first
	free   *claim    // of a unique key, to be given back afterwards

	fanned []string                 // events of other partitions that it takes from their fan-outs
	taken  []*workflow.EventReceipt // kept events that it takes, in a store of several partitions
	opened []string                 // names of waits that it opens
	kept   func()                   // told when events are kept for one of them
	flag   bool                     // that may be so

	claimed bool // the claim was made for this commit and nobody had the key before

	keeps bool // it keeps an event

	// An event.
	receipt *workflow.EventReceipt
	row     []byte

	found   string // what refused it, or what a claim replaced
	foundAt int64  // when that was seen, by the clock of Redis in milliseconds

	gone, dropped int64 // dead letters that it dropped, and of them those for want of room

	done     func(error)
	accepted func(*workflow.EventReceipt, bool, error)

	fate  fate
	err   error // why it is refused or lost
	known bool  // of an event
}

type writeKind uint8

const (
	writeCommit writeKind = iota
	writeAccept
	writeRows // without a verdict of its own: receipts that are replaced, documents
	writeForget
	writeClaim
	writeSettle  // the receipt of an event that stands as it did
	writeRelease // that of one that is kept
	writeConfirm // the receipt of an event that was taken, while it is claimed
	writeReplace // a document that must be what it was
)

// fate is what is known of a write.
type fate uint8

const (
	unsent  fate = iota // certainly not written; it may be sent again
	written             // durable
	refused             // certainly not written, and it must not be sent again
	lost                // the answer was lost: written or not
)

// carried is an event that a commit emitted and that has to go to its home.
type carried struct {
	id   string
	row  []byte
	home *partition
}

var errFull = errors.New("too many writes wait for Redis; send it again in a moment")

// Weight is roughly what a write holds in memory.
func (w *write) Weight() int { return w.size + writeOverhead }

// answer tells whoever submitted a write of its fate, once.
func (w *write) answer() {
	err := w.err
	if w.fate == written {
		err = nil
	}
	switch {
	case w.accepted != nil && err != nil:
		w.accepted(nil, false, err)
	case w.accepted != nil:
		w.accepted(w.receipt, w.known, nil)
	}
	if w.done != nil {
		w.done(err)
	}
}

// refuse answers a write that was not sent.
func (w *write) refuse(err error) {
	w.fate, w.err = refused, err
	w.answer()
}
