package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Sweep forgets executions that finished before the instant and settled events
// received before it, up to limit of each, and less when they are large: one that is
// forgotten at least, unless there is none. What changes while it looks is left for
// another time; what is damaged is left for a person.
func (s *Store) Sweep(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	for {
		w := newWrite(writeForget)
		if err := s.gather(ctx, w, before, pageOf(limit)); err != nil {
			return 0, err
		}
		if len(w.forget) == 0 {
			return 0, nil
		}
		swept := new(swept)
		w.swept = swept
		if err := s.await(ctx, w); err != nil {
			return 0, err
		}
		if swept.whole > 0 || swept.parts == 0 {
			return swept.whole, nil
		}
	}
}

// swept is what a write forgot: so many executions and events, and parts of others.
type swept struct{ whole, parts int }

// gather finds what to forget, with the operations that do it.
func (s *Store) gather(ctx context.Context, w *write, before workflow.Instant, limit int) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.leave()
	rows, err := newView(s.db)
	if err != nil {
		return err
	}
	room := sweepBytes
	add := func(f forgotten) {
		w.forget = append(w.forget, f)
		room -= len(f.ops.buf)
	}
	err = old(ctx, rows, famFinished, before, func(at workflow.Instant, exec string) (bool, error) {
		f, ok, err := forgetExecution(ctx, rows, at, exec, room)
		if ok {
			add(f)
		}
		return len(w.forget) < limit && room > 0, err
	})
	executions := len(w.forget)
	if err == nil && room > 0 {
		err = old(ctx, rows, famSettled, before, func(at workflow.Instant, id string) (bool, error) {
			add(forgetEvent(at, id))
			return len(w.forget)-executions < limit && room > 0, nil
		})
	}
	return rows.close(err)
}

// old scans an index by time.
func old(ctx context.Context, r reader, family byte, before workflow.Instant, each func(workflow.Instant, string) (bool, error)) error {
	prefix := []byte{family}
	return scan(ctx, r, prefix, prefix, func(rest, _ []byte) (bool, error) {
		p := parts{Rest: rest}
		at, id := p.Instant(), p.ID()
		if err := p.End(); err != nil {
			return false, err
		}
		if at >= before {
			return false, nil
		}
		return each(at, id)
	})
}

// LastFinished returns executions, those that finished last first.
func (s *Store) LastFinished(ctx context.Context, limit int) (states []*workflow.State, err error) {
	s.reread(func() { states, err = s.lastFinished(ctx, limit) })
	return states, err
}

func (s *Store) lastFinished(ctx context.Context, limit int) ([]*workflow.State, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	rows, err := newView(s.db)
	if err != nil {
		return nil, err
	}
	states, err := lastFinished(rows, pageOf(limit))
	return states, rows.close(err)
}

func lastFinished(r reader, limit int) ([]*workflow.State, error) {
	prefix := []byte{famFinished}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: afterAll(prefix)})
	if err != nil {
		return nil, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err)
	}
	var states []*workflow.State
	for ok := it.Last(); ok && err == nil && len(states) < limit; ok = it.Prev() {
		p := parts{Rest: it.Key()[len(prefix):]}
		p.Instant()
		id := p.ID()
		if err = p.End(); err != nil {
			break
		}
		var snapshot *persistence.Snapshot
		var corrupt *persistence.Corrupt
		switch snapshot, err = load(r, id, nil); {
		case err == nil:
			states = append(states, snapshot.State)
		case errors.As(err, &corrupt) || errors.Is(err, persistence.ErrNotFound):
			err = nil
		}
	}
	if closing := it.Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, closing))
	}
	return states, err
}

// forgetExecution collects the rows of an execution, or a part of them that fills the
// room: then those that find it, its state and its last records stay, so that it is
// found again and is consistent meanwhile. It returns false when it must stay.
func forgetExecution(ctx context.Context, r reader, at workflow.Instant, exec string, room int) (forgotten, bool, error) {
	snapshot, err := load(r, exec, nil)
	var corrupt *persistence.Corrupt
	if errors.As(err, &corrupt) || errors.Is(err, persistence.ErrNotFound) {
		return forgotten{}, false, nil
	}
	if err != nil {
		return forgotten{}, false, err
	}
	f := forgotten{exec: exec, stamp: snapshot.Stamp}
	receipts, err := forgetReceipts(ctx, r, exec, &f.ops, room)
	if err != nil {
		return forgotten{}, false, err
	}
	records, err := forgetRecords(ctx, r, exec, &f.ops, room)
	if errors.As(err, &corrupt) {
		return forgotten{}, false, nil
	}
	if f.part = !receipts || !records; f.part || err != nil {
		return f, err == nil, err
	}
	var c persistence.Changes
	c.Derive(snapshot.State, nil)
	f.waits = -c.Waits
	f.ops.changes(exec, &c)
	f.ops.delete(finishedKey(nil, at, exec))
	f.ops.delete(key1(nil, famWorking, exec))
	f.ops.delete(stateKey(nil, exec))
	return f, true, nil
}

// forgetReceipts deletes the receipts that lie in rows of their own, with their entries,
// and reports whether all had room.
func forgetReceipts(ctx context.Context, r reader, exec string, o *ops, room int) (bool, error) {
	rows := swath{prefix: key1(nil, famReceipt, exec), whole: true}
	err := scan(ctx, r, rows.prefix, rows.prefix, func(rest, _ []byte) (bool, error) {
		if rows.whole = len(o.buf) < room; !rows.whole {
			return false, nil
		}
		rows.add(rest)
		p := parts{Rest: rest}
		o.delete(key2(o.key[:0], famSignal, p.ID(), exec))
		return true, p.End()
	})
	rows.delete(o)
	return rows.whole, err
}

// forgetRecords deletes the rows of records, and the entries of the receipts in them,
// and reports whether all had room. It looks at all of them in any case: of what is
// damaged nothing is deleted.
func forgetRecords(ctx context.Context, r reader, exec string, o *ops, room int) (bool, error) {
	rows := swath{prefix: key1(nil, famRecord, exec), whole: true}
	err := scan(ctx, r, rows.prefix, rows.prefix, func(rest, row []byte) (bool, error) {
		if rows.whole = rows.whole && len(o.buf) < room; rows.whole {
			rows.add(rest)
		}
		err := persistence.ReceiptsUnder(row, func(signal, _ string) error {
			if rows.whole {
				o.delete(key2(o.key[:0], famSignal, signal, exec))
			}
			return nil
		})
		if err != nil {
			err = &persistence.Corrupt{ExecID: exec, Cause: "a row of its records: " + err.Error()}
		}
		return true, err
	})
	rows.delete(o)
	return rows.whole, err
}

// swath is rows that follow one another from the first one of a prefix on, to be
// deleted: a few one by one, many as a range.
type swath struct {
	prefix []byte
	whole  bool     // they are all rows of the prefix
	keys   [][]byte // of the first ones
	last   []byte
	count  int
}

func (s *swath) add(rest []byte) {
	s.last = append(append(s.last[:0], s.prefix...), rest...)
	if s.count++; s.count <= maxPointDeletes {
		s.keys = append(s.keys, bytes.Clone(s.last))
	}
}

func (s *swath) delete(o *ops) {
	switch {
	case s.count <= maxPointDeletes:
		for _, key := range s.keys {
			o.delete(key)
		}
	case s.whole:
		o.deleteRange(s.prefix, afterAll(s.prefix))
	default:
		o.deleteRange(s.prefix, append(s.last, 0))
	}
}

func forgetEvent(at workflow.Instant, id string) forgotten {
	f := forgotten{event: id}
	f.ops.delete(key1(nil, famEvent, id))
	f.ops.delete(settledKey(nil, at, id))
	return f
}

// judgeForget takes what did not change since it was gathered into the group.
func (s *Store) judgeForget(w *write) error {
	g := &s.group
	for i := range w.forget {
		f := &w.forget[i]
		same, err := s.unchanged(f)
		if err != nil {
			return err
		}
		if !same {
			continue
		}
		g.add(&f.ops)
		if f.part {
			w.swept.parts++
			continue
		}
		if f.exec != "" {
			g.states[f.exec] = stateRow{}
			g.grew -= int64(f.waits)
		} else {
			g.events[f.event] = nil
		}
		w.swept.whole++
	}
	g.writes++
	return nil
}

func (s *Store) unchanged(f *forgotten) (bool, error) {
	if f.exec != "" {
		st, err := s.stampNow(f.exec)
		return st == f.stamp, err
	}
	r, err := s.eventNow(f.event)
	if s.damaged.Leaves(f.event, err) {
		return false, nil
	}
	return r != nil && r.Fate.Final(), err
}
