package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

var writes = sync.Pool{New: func() any { return &write{changes: new(persistence.Changes)} }}

func newWrite(kind writeKind) *write {
	w := writes.Get().(*write)
	w.kind = kind
	return w
}

// release returns a write that was answered to the pool.
func release(w *write) {
	if !w.spare() {
		return
	}
	kept := ops{buf: w.buf[:0], key: w.key[:0], val: w.val[:0]}
	clear(w.tally)
	*w = write{ops: kept, changes: w.changes, tally: w.tally[:0]}
	writes.Put(w)
}

// Submit queues a commit. It encodes the whole commit before it returns, so that
// the caller's processor does it and the writer only copies; the states are not
// kept. A store that cannot write calls Done at once, on the caller's goroutine.
func (s *Store) Submit(c *persistence.Commit) {
	w := newWrite(writeCommit)
	w.done = c.Done
	if err := checkCommit(c); err != nil {
		w.answer(fmt.Errorf("%w: %w", persistence.ErrUnavailable, err))
		return
	}
	w.exec, w.expect, w.parent = c.ExecID, c.Expect, c.Parent
	w.stamp = stamp{Version: c.Now.Version, Epoch: c.Epoch, Commit: c.ID}
	w.events = c.Events
	w.fanned, w.taken, w.kept = c.Fanned, c.Taken, c.Kept
	if w.receipt = c.Event; c.Event != nil {
		w.ops.settled(c.Event)
	}
	w.changes.Derive(c.Was, c.Now)
	w.waits = w.changes.Waits
	for i := range w.changes.Armed {
		if due := w.changes.Armed[i].Due; w.earliest == 0 || due < w.earliest {
			w.earliest = due
		}
	}
	w.val = persistence.AppendSnapshot(w.val[:0], c.Now, c.Epoch, c.ID)
	w.set(stateKey(w.key[:0], c.ExecID), w.val)
	w.row = [2]int{len(w.buf) - len(w.val), len(w.buf)} // the value is what an operation ends with
	w.turn(c.ExecID, seqOf(c.Was), c.Now.Seq, c.Records, c.Receipts)
	w.ops.changes(c.ExecID, w.changes)
	w.tally = persistence.Tally(w.tally[:0], c.Receipts)
	w.keep(c.Dead)
	w.revived = c.Revived
	switch {
	case c.Working && !c.Worked:
		w.set(key1(w.key[:0], famWorking, c.ExecID), nil)
	case c.Worked && !c.Working:
		w.delete(key1(w.key[:0], famWorking, c.ExecID))
	}
	s.push(w)
}

func seqOf(s *workflow.State) uint64 {
	if s == nil {
		return 0
	}
	return s.Seq
}

func checkCommit(c *persistence.Commit) error {
	switch {
	case c.Now == nil || c.Now.ExecID != c.ExecID:
		return fmt.Errorf("the commit of execution %q has no state of it", c.ExecID)
	case c.ExecID == "" || len(c.ExecID) > workflow.MaxNameBytes:
		return fmt.Errorf("an execution's id has 1 to %d bytes and not %d", workflow.MaxNameBytes, len(c.ExecID))
	case len(c.Now.Key) > workflow.MaxNameBytes:
		return fmt.Errorf("the key of execution %q has %d bytes, at most %d are possible", c.ExecID, len(c.Now.Key), workflow.MaxNameBytes)
	case c.Now.Version <= c.Expect:
		return fmt.Errorf("the commit of execution %q goes from version %d to %d, which is no later one", c.ExecID, c.Expect, c.Now.Version)
	case c.Event != nil && !c.Event.Fate.Final():
		return fmt.Errorf("the commit of execution %q brings event %q, which is not settled", c.ExecID, c.Event.Event.ID)
	case (c.Was == nil) != (c.Expect == 0) || c.Was != nil && c.Was.Version != c.Expect:
		return fmt.Errorf("the commit of execution %q expects version %d but was not made from it", c.ExecID, c.Expect)
	}
	return nil
}

// push queues a write, or answers it at once when the store cannot write, or will
// never write so much at once.
func (s *Store) push(w *write) {
	if f := s.fault.Load(); f != nil {
		w.answer(f.err)
		return
	}
	if weight, most := w.Weight(), s.frame-s.frame/beside; weight > most {
		w.answer(tooLarge(weight, most))
		return
	}
	if err := s.queue.Push(w); err != nil {
		w.answer(err)
	}
}

// answer tells whoever submitted a write of its fate, once.
func (w *write) answer(err error) {
	done, accepted, receipt, known := w.done, w.accepted, w.receipt, w.known
	if w.offer && err == nil {
		w.kept()
	}
	release(w)
	switch {
	case accepted != nil && err != nil:
		accepted(nil, false, err)
	case accepted != nil:
		accepted(receipt, known, nil)
	case done != nil:
		done(err)
	}
}

// AcceptEvent writes an event unless its id is known.
func (s *Store) AcceptEvent(ev workflow.Event, done func(*workflow.EventReceipt, bool, error)) {
	w := newWrite(writeAccept)
	w.accepted = done
	w.receipt = persistence.Accepted(ev)
	w.ops.accepted(w.receipt)
	s.push(w)
}

// SettleEvent replaces the receipt of an event that stands as it did.
func (s *Store) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	w := newWrite(writeSettle)
	w.done = done
	w.receipt, w.stood = r, was
	w.ops.event(r)
	if r.Fate == workflow.FateDead {
		l := workflow.LetterOfEvent(r)
		w.letter(&l)
	} else {
		w.revived = []string{workflow.LetterID(workflow.KindEvent, "", r.Event.ID)}
	}
	s.push(w)
}

// PutDocument writes or deletes a document and returns when that is durable. An
// error that wraps the context's says that the outcome is not known.
func (s *Store) PutDocument(ctx context.Context, kind, id string, body []byte) error {
	w := newWrite(writeRows)
	w.becomes(kind, id, body)
	return s.await(ctx, w)
}

// ReplaceDocument is PutDocument while what is stored is what was read.
func (s *Store) ReplaceDocument(ctx context.Context, kind, id string, was, body []byte) error {
	w := newWrite(writeReplace)
	w.was = was
	w.becomes(kind, id, body)
	return s.await(ctx, w)
}

// becomes adds the row of a document, or takes it away.
func (w *write) becomes(kind, id string, body []byte) {
	w.document, w.body = key2(nil, famDocument, kind, id), body
	key := append(w.key[:0], w.document...)
	if body == nil {
		w.delete(key)
	} else {
		w.set(key, body)
	}
}

// await pushes a write and waits for its answer.
func (s *Store) await(ctx context.Context, w *write) error {
	answer := make(chan error, 1)
	w.done = func(err error) { answer <- err }
	s.push(w)
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: the caller did not wait for the disk, so whether it was written is not known: %w", persistence.ErrUnavailable, ctx.Err())
	}
}

// beginEpoch makes the number of this opening durable, and the layout of this release.
func (s *Store) beginEpoch(ctx context.Context) error {
	w := newWrite(writeRows)
	w.set(append(w.key[:0], keyEpoch...), binary.BigEndian.AppendUint64(nil, s.epoch))
	w.set(append(w.key[:0], keyFormat...), binary.BigEndian.AppendUint32(nil, formatNow))
	if s.format < formatOneIndex {
		w.deleteRange([]byte{famStatus}, []byte{famStatus + 1})
	}
	return s.await(ctx, w)
}
