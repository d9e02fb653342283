package redis

import (
	"context"
	"fmt"
	"strconv"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Submit queues a commit. It encodes the whole commit before it returns, so that
// the caller's processor does it; the states are not kept. A store that cannot
// write calls Done at once, on the caller's goroutine.
func (s *Store) Submit(c *persistence.Commit) {
	w, err := s.commitment(c)
	if err != nil {
		w.refuse(fmt.Errorf("%w: %w", persistence.ErrUnavailable, err))
		return
	}
	s.push(w)
}

// commitment is the write of a commit.
func (s *Store) commitment(c *persistence.Commit) (*write, error) {
	w := &write{kind: writeCommit, done: c.Done}
	if err := checkCommit(c); err != nil {
		return w, err
	}
	w.part = s.home(c.ExecID)
	w.exec, w.expect, w.parent = c.ExecID, c.Expect, c.Parent
	w.stamp = persistence.Stamp{Version: c.Now.Version, Epoch: c.Epoch, Commit: c.ID}
	state := keyState + c.ExecID
	var changes persistence.Changes
	changes.Derive(c.Was, c.Now)
	w.begin(w.part.key(state), "commit", ordered.Number(nil, c.Expect), ordered.Number(nil, c.Parent), appendStamp(nil, w.stamp))
	s.fanned(w, c.Fanned)
	s.takes(w, c.Taken)
	s.claims(w, &changes)
	w.set(state, persistence.AppendSnapshot(appendStamp(nil, w.stamp), c.Now, c.Epoch, c.ID))
	w.records(c.ExecID, seqOf(c.Was), c.Now.Seq, c.Records)
	w.changes(c.ExecID, &changes)
	for i := range c.Receipts {
		w.ops.receipt(&c.Receipts[i])
	}
	s.settleTaken(w, c.Taken)
	if c.Kept != nil {
		w.kept = c.Kept
		for i := range changes.Opened {
			w.opened = append(w.opened, changes.Opened[i].Name)
		}
		w.opened = append(w.opened, changes.Rejudged...)
	}
	w.account(persistence.Tally(nil, c.Receipts))
	w.letters(c.Dead, c.Revived)
	switch {
	case c.Working && !c.Worked:
		w.enter(keyWorking, member1(c.ExecID))
	case c.Worked && !c.Working:
		w.leave(keyWorking, member1(c.ExecID))
	}
	for i := range c.Events {
		s.emit(w, c.Events[i])
	}
	return w, nil
}

// emit adds an event to the commit that emits it: where it belongs when that is
// the same partition, and to the outbox otherwise.
func (s *Store) emit(w *write, ev workflow.Event) {
	r := persistence.Accepted(ev)
	row := eventRow(r)
	home := s.home(ev.ID)
	if home == w.part {
		w.unless(keyEvents, []byte(ev.ID), row, func() { w.eventLists(r); w.eventAccepted(r) })
		return
	}
	w.unless(keyOutbox, []byte(ev.ID), row, func() {})
	w.away = append(w.away, carried{id: ev.ID, row: row, home: home})
}

// begin sets the keys that a script needs first, and its guard.
func (w *write) begin(subject, guard string, needs ...[]byte) {
	w.keys = append(make([]string, 0, 12), w.part.mark)
	w.args = make([]any, 0, 48)
	w.guard = append(make([]any, 0, 2+len(needs)), guard, w.key(subject))
	w.alone = guard != "commit" && guard != "fresh" && guard != "none"
	for _, n := range needs {
		w.guard = append(w.guard, n)
		w.size += len(n)
	}
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
	case (c.Was == nil) != (c.Expect == 0) || c.Was != nil && c.Was.Version != c.Expect:
		return fmt.Errorf("the commit of execution %q expects version %d but was not made from it", c.ExecID, c.Expect)
	}
	return nil
}

// push queues a write, or answers it at once when the store cannot write.
func (s *Store) push(w *write) {
	if f := s.fault.Load(); f != nil && !s.isClosed() {
		w.refuse(f.err)
		return
	}
	if err := s.queue.Push(w); err != nil {
		w.refuse(err)
	}
}

// AcceptEvent writes an event unless its id is known.
func (s *Store) AcceptEvent(ev workflow.Event, done func(*workflow.EventReceipt, bool, error)) {
	s.push(s.acceptance(persistence.Accepted(ev), done))
}

func (s *Store) acceptance(r *workflow.EventReceipt, done func(*workflow.EventReceipt, bool, error)) *write {
	w := &write{kind: writeAccept, accepted: done, receipt: r, row: eventRow(r)}
	w.part = s.home(r.Event.ID)
	w.begin(w.part.key(keyEvents), "fresh", []byte(r.Event.ID), w.row)
	w.ops.event(r, w.row)
	w.eventAccepted(r)
	return w
}

// SettleEvent replaces the receipt of an event that stands as it did.
func (s *Store) SettleEvent(was workflow.Standing, r *workflow.EventReceipt, done func(error)) {
	w := &write{kind: writeSettle, done: done, keeps: r.Fate == workflow.FateBuffered, receipt: r, row: eventRow(r)}
	w.part = s.home(r.Event.ID)
	w.begin(w.part.key(keyEvents), "none")
	w.stands(was, &r.Event)
	if w.keeps {
		w.alone = true
		w.add("<", keyExpiring, momentMember(r.Event.ExpiresAt, r.Event.ID), strconv.AppendInt(nil, workflow.MaxKept, 10))
	}
	w.eventMoved(r)
	if was != workflow.StandsAsking {
		w.drop(keyUndecided, []byte(r.Event.ID))
	}
	w.ops.event(r, w.row)
	if r.Fate == workflow.FateDead {
		w.letters([]workflow.DeadLetter{workflow.LetterOfEvent(r)}, nil)
	} else {
		w.letters(nil, []string{workflow.LetterID(workflow.KindEvent, "", r.Event.ID)})
	}
	s.push(w)
}

// PutDocument writes or deletes a document and returns when that is durable. An
// error that wraps the context's says that the outcome is not known.
func (s *Store) PutDocument(ctx context.Context, kind, id string, body []byte) error {
	w := &write{kind: writeRows}
	w.part = s.home(kind)
	w.begin(w.part.key(keyDocuments), "none")
	w.document(kind, id, body)
	return s.await(ctx, w)
}

// ReplaceDocument is PutDocument while what is stored is what was read.
func (s *Store) ReplaceDocument(ctx context.Context, kind, id string, was, body []byte) error {
	w := &write{kind: writeReplace, exec: id, row: still(body)}
	w.part = s.home(kind)
	w.begin(w.part.key(keyDocuments), "same", member2(kind, id), still(was))
	w.document(kind, id, body)
	return s.await(ctx, w)
}

// still is what a guard that is "same" compares with a field: nil for none.
func still(body []byte) []byte {
	if body == nil {
		return nil
	}
	return append([]byte{'='}, body...)
}

// document writes a document, or deletes it when the body is nil.
func (o *ops) document(kind, id string, body []byte) {
	member := member2(kind, id)
	if body == nil {
		o.drop(keyDocuments, member)
		o.leave(keyDocumentIDs, member)
		return
	}
	o.put(keyDocuments, member, body)
	o.enter(keyDocumentIDs, member)
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
		return fmt.Errorf("%w: the caller did not wait for Redis, so whether it was written is not known: %w", persistence.ErrUnavailable, ctx.Err())
	}
}
