package persistence

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/workflow"
)

// Commit is one atomic write of one execution: all of it becomes durable or
// nothing does.
//
// A version is a number and no identity: two commits that were made from the
// same state by owners that did not know of each other have the same one. An
// owner that submits commits ahead of the disk would build on one that was
// refused and find the number of the other. So a commit names its parent by id.
type Commit struct {
	ExecID   string
	Expect   uint64                   // version that must be stored now; 0: the execution must not exist
	Parent   uint64                   // id of the commit that must be stored now; see ID
	ID       uint64                   // of this commit, drawn at random by its owner
	Epoch    uint64                   // of the writing owner; refused when a younger one has committed
	Was      *workflow.State          // the state at Expect, nil for a new execution; stores derive index changes from it
	Now      *workflow.State          // the state after; Now.Version > Expect
	Records  []workflow.Record        // in order, Seq from Was.Seq+1 to Now.Seq
	Receipts []workflow.Receipt       // of the signals that this commit moved, whole, with their fates before; see Tally
	Events   []workflow.Event         // emitted by this commit: accepted with it, known ids skipped
	Event    *workflow.EventReceipt   // of the event that this commit begins the execution for, settled: accepted with it; refused with ErrKnown when its id is known. Only for a Sole store
	Dead     []workflow.DeadLetter    // messages that died in this commit
	Revived  []string                 // ids of dead letters whose messages this commit takes up again: dropped with it, before Dead is kept
	Fanned   []string                 // ids of events that this commit takes from their fan-outs; refused with ErrConflict unless each is still asking, see workflow.Standing
	Taken    []*workflow.EventReceipt // receipts of kept events that this commit takes, settled, or accepted while a wait has yet to decide; refused with ErrConflict unless each is still kept
	Working  bool                     // Now has work in progress that must be issued again after a crash
	Worked   bool                     // the commit that it was made on said Working; stores write only what changes

	// Kept, when it is not nil, is called at most once, before Done is called with
	// nil: events are kept for the name of a wait that this commit opens or
	// changes, or whose condition is to be judged in another context. An event that is kept after this commit sees that wait in the index
	// instead. Like Done it must not block.
	Kept func()

	// Done is called exactly once, when the write is durable (nil) or certainly
	// refused (ErrConflict, ErrKnown, *KeyTaken), or when its fate is failure or unknown (ErrUnavailable
	// and others). It runs on the store's own goroutine, or on the caller's when
	// the commit is refused at once, and must not block. The store looks at nothing
	// of the commit any more: states and records are made in its room.
	Done func(error)
}

// The errors of a store. Everything else it returns is wrapped in ErrUnavailable.
var (
	ErrNotFound    = errors.New("not found")
	ErrConflict    = errors.New("the stored version or epoch is another: not the owner any more")
	ErrUnavailable = errors.New("the store is not available")
	ErrClosed      = errors.New("the store is closed")
	ErrFull        = errors.New("the store keeps as many of these as it may")
	ErrKnown       = errors.New("an event of that id was accepted before")
)

// ErrDamaged says of one event or document that nothing but a backup brings it back:
// trying again is in vain, and others must not wait for it. It comes with ErrUnavailable,
// for whoever asks for it.
var ErrDamaged = errors.New("its stored bytes are damaged")

// Corrupt says that the stored bytes of one execution are damaged.
type Corrupt struct {
	ExecID string
	Cause  string
}

func (c *Corrupt) Error() string {
	return fmt.Sprintf("the stored bytes of execution %q are damaged: %s", c.ExecID, c.Cause)
}

// KeyTaken says that a commit was refused, whole, because another live execution
// of the workflow has the unique key that it must get.
type KeyTaken struct {
	WorkflowID string
	Key        string
	Holder     string // id of that execution, as of the refusal
}

func (k *KeyTaken) Error() string {
	return fmt.Sprintf("the key %q of workflow %q is taken by execution %q", k.Key, k.WorkflowID, k.Holder)
}

// Snapshot is a stored execution.
type Snapshot struct {
	State *workflow.State
	Stamp
}

// Due is a timer that came due.
type Due struct {
	ExecID string
	Timer  string
	At     workflow.Instant
}

// Store remembers executions, events, receipts and a few documents. All reads
// return only what is durable at the store's level. It is safe for use by many
// goroutines. Commits of one execution that are submitted in order are applied
// in order, so an owner may submit version n+1 before n is durable; when n fails,
// n+1 fails with ErrConflict.
//
// A unique key belongs to at most one live execution of a workflow. The commit
// that brings an execution with State.Unique to life claims State.Key in the same
// atomic write, or is refused with *KeyTaken; the commit that finishes it gives
// the key back in the same write. Which commits do that follows from Changes.
// Version and parent are checked first: a commit that is refused for both
// reasons gets ErrConflict.
//
// A store in which the row of a key and the row of an execution cannot be written
// together - in a Redis cluster they may lie in different slots - reaches the same in
// steps. It takes the key first, if it is free (SET NX, the holder and the id of
// its commit), then writes the commit, and drops the key again when that is
// refused. After the commit that finishes the execution it drops the key, if the
// execution still has it. A crash between the steps leaves a row whose holder
// never came to life or has finished, so a row counts only while its holder
// lives: who finds a row loads the holder and, when it is finished or is not
// there, takes the key over by compare-and-set. Before that it must make sure
// that a holder that is not there never comes: it leaves a mark under the holder's
// id by which a first commit is refused with ErrConflict. Holder looks in the same way.
type Store interface {
	// Submit queues a commit and returns at once. After Close it calls Done with
	// ErrClosed. Nobody looks at the commit after Done: its room is used again.
	Submit(*Commit)

	// Load returns ErrNotFound or *Corrupt where that is the case.
	Load(ctx context.Context, execID string) (*Snapshot, error)
	// Executions lists newest first. A damaged one is listed with its id and the
	// status FAILED and error code CORRUPT, and never stops the listing.
	Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error)
	// Records returns up to limit records after the one numbered after. When older
	// ones were folded away the first is of type history.folded.
	Records(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error)
	// LastFinished returns up to limit executions, those that finished last first. A
	// damaged one is left out.
	LastFinished(ctx context.Context, limit int) ([]*workflow.State, error)
	// KeyPaths returns, in their order, the paths on which open waits of that name
	// are indexed: those where a message may have the key that one of them waits for.
	KeyPaths(ctx context.Context, name string) ([]string, error)
	// Waits lists open waits. A cursor belongs to the query that it came from.
	Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error)

	// Holder returns the id of the live execution that has a unique key of a
	// workflow, or ErrNotFound.
	Holder(ctx context.Context, workflowID, key string) (execID string, err error)

	// Due returns up to limit timers due at or before until, earliest first,
	// that are after the given one (nil: from the first).
	Due(ctx context.Context, until workflow.Instant, after *Due, limit int) ([]Due, error)
	// NextDue returns the moment of the earliest timer, zero when there is none.
	NextDue(ctx context.Context) (workflow.Instant, error)
	// Working returns up to limit ids, after the given one, of executions whose
	// last commit said Working.
	Working(ctx context.Context, after string, limit int) ([]string, error)

	// Receipt of one signal to one execution, or ErrNotFound.
	Receipt(ctx context.Context, signalID, execID string) (*workflow.Receipt, error)
	// Receipts of a signal id over all executions, up to limit, in the order of
	// the executions' ids after the given one.
	Receipts(ctx context.Context, signalID, after string, limit int) ([]workflow.Receipt, error)

	// AcceptEvent writes an event unless its id is known; done gets the stored
	// receipt: the new one, or the one that was there (known true). Like
	// Commit.Done it must not block.
	AcceptEvent(ev workflow.Event, done func(stored *workflow.EventReceipt, known bool, err error))
	// SettleEvent replaces the receipt of an event that stands as it did when whoever
	// decides has looked, or is refused with ErrConflict; once its fate is final it is
	// no longer listed by OpenEvents. With the fate dead it keeps the event's dead
	// letter, see workflow.LetterOfEvent; with any other it drops it. With the fate
	// buffered the event is no open event any more and kept until its ExpiresAt,
	// which it must have: for the first commit that has it in Taken, or until
	// ReleaseEvent. Beyond workflow.MaxKept that is refused with ErrFull.
	SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error))
	// Event returns the receipt of an event, ErrNotFound, or ErrDamaged where the store
	// knows that.
	Event(ctx context.Context, id string) (*workflow.EventReceipt, error)
	// OpenEvents returns up to limit receipts, in the order of id after the given
	// one, about which not everybody has decided. Like Kept and Expiring it may leave
	// out one whose stored bytes are damaged, so that it holds up no other.
	OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error)

	// ReleaseEvent replaces the receipt of an event while it is kept; ErrConflict
	// when it is not kept any more.
	ReleaseEvent(r *workflow.EventReceipt, done func(error))
	// Kept lists kept events of a name.
	Kept(ctx context.Context, q workflow.KeptQuery) (workflow.Page[*workflow.EventReceipt], error)
	// Expiring returns up to limit kept events that expire at or before until, by
	// the time and then by id, that are after the given one (nil: from the first).
	Expiring(ctx context.Context, until workflow.Instant, after *workflow.EventReceipt, limit int) ([]*workflow.EventReceipt, error)

	// Books returns a row for each name of a message that was ever accepted, in
	// the order of names, all as of one moment; the row of the rest comes last.
	// Commits, AcceptEvent and SettleEvent keep the books in the same atomic write
	// as what they count: a commit by Tally of its receipts, an event that is
	// accepted as buffered, a settled one by the fate that was stored before.
	// The first workflow.MaxBookNames names have rows of their own, until a first
	// one was counted in the row of the rest; after that no new row is made.
	// Nothing but that changes the books: Sweep and dead letters do not.
	Books(ctx context.Context) ([]workflow.BookRow, error)

	// KeepLetters keeps dead letters of messages that were refused. A letter
	// replaces one of the same id. Like those of commits and events they are
	// bounded: beyond workflow.MaxLetters or MaxLetterBytes of accepted messages,
	// and beyond MaxRefusedLetters or MaxRefusedLetterBytes of refused ones, those
	// that died first are dropped with the write, and counted.
	KeepLetters(letters []workflow.DeadLetter, done func(error))
	// Letter returns a dead letter whole, or ErrNotFound.
	Letter(ctx context.Context, id string) (*workflow.DeadLetter, error)
	// Letters lists dead letters without their payloads, those that died last first.
	Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error)
	// DropLetters forgets dead letters; it returns how many of them there were.
	DropLetters(ctx context.Context, ids []string) (int, error)
	// SweepLetters forgets dead letters that died before the instant, up to limit
	// of them, the oldest first; it returns how many.
	SweepLetters(ctx context.Context, before workflow.Instant, limit int) (int, error)

	// Documents are small named things: keys, audit records, definitions.
	// PutDocument returns when it is durable; a nil body deletes.
	PutDocument(ctx context.Context, kind, id string, body []byte) error
	// ReplaceDocument is PutDocument of what was read, changed and is written back:
	// ErrConflict, and nothing written, when the stored body is not was any more. A
	// nil was is a document that is not there.
	ReplaceDocument(ctx context.Context, kind, id string, was, body []byte) error
	Document(ctx context.Context, kind, id string) ([]byte, error)
	// Documents lists up to limit documents of a kind in the order of id, after the given one.
	Documents(ctx context.Context, kind, after string, limit int) ([]Document, error)

	// Sweep forgets executions, with their records and receipts, that finished
	// before the instant, and settled events received before it; up to limit of
	// each, and fewer when they are large. It returns how many of both it forgot: zero
	// when there is nothing to forget, so whoever wants all forgotten calls it until then.
	Sweep(ctx context.Context, before workflow.Instant, limit int) (int, error)

	// Epoch is this opening's number: higher than that of any opening before.
	Epoch() uint64
	// Durability is what a nil from Done survives.
	Durability() workflow.Durability
	// Health is nil when writes are expected to succeed.
	Health() error
	// Stats describes the work of the store so far.
	Stats() Stats
	// Close finishes queued commits and releases everything.
	Close() error
}

// Sole is a store that only this process writes, with everything in one place. So
// it can know without a look that nobody waits, and take an event with the commit
// that the event leads to.
type Sole interface {
	// Unawaited reports that no open wait of that name is in a commit of which
	// anybody has been told. False says nothing: whoever looks with KeyPaths and
	// Waits finds out.
	Unawaited(name string) bool
}

// Document is a small named thing.
type Document struct {
	ID   string
	Body []byte
}

// Stats counts what a store did since it was opened.
type Stats struct {
	Commits   uint64 // execution commits that became durable
	Conflicts uint64 // commits that were refused
	Groups    uint64 // atomic groups written, each with one sync
	Grouped   uint64 // writes in them: Grouped/Groups is the mean group
	Failures  uint64 // groups that failed
	Lost      uint64 // acknowledged writes that the store was found not to have any more
	DiskBytes uint64 // on disk now
	Waits     int64  // open waits now; -1 when not known
	Kept      int64  // events kept for a wait that opens later

	Letters        int64  // dead letters kept now
	LettersDropped uint64 // dead letters that were dropped because there were too many
}
