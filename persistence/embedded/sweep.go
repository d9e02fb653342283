package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// Sweep forgets executions that finished before the instant and settled events
// received before it, up to limit of each. What changes while it looks is left
// for another time; what is damaged is left for a person.
func (s *Store) Sweep(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	w := newWrite(writeForget)
	if err := s.gather(ctx, w, before, pageOf(limit)); err != nil {
		return 0, err
	}
	if len(w.forget) == 0 {
		return 0, nil
	}
	forgot := new(int)
	w.forgot = forgot
	if err := s.await(ctx, w); err != nil {
		return 0, err
	}
	return *forgot, nil
}

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
	err = old(ctx, rows, famFinished, before, func(at workflow.Instant, exec string) (bool, error) {
		f, ok, err := forgetExecution(ctx, rows, at, exec)
		if ok {
			w.forget = append(w.forget, f)
		}
		return len(w.forget) < limit, err
	})
	executions := len(w.forget)
	if err == nil {
		err = old(ctx, rows, famSettled, before, func(at workflow.Instant, id string) (bool, error) {
			w.forget = append(w.forget, forgetEvent(at, id))
			return len(w.forget)-executions < limit, nil
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
func (s *Store) LastFinished(ctx context.Context, limit int) ([]*workflow.State, error) {
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

// forgetExecution collects all rows of an execution; false when it must stay.
func forgetExecution(ctx context.Context, r reader, at workflow.Instant, exec string) (forgotten, bool, error) {
	snapshot, err := load(r, exec, nil)
	var corrupt *persistence.Corrupt
	if errors.As(err, &corrupt) || errors.Is(err, persistence.ErrNotFound) {
		return forgotten{}, false, nil
	}
	if err != nil {
		return forgotten{}, false, err
	}
	f := forgotten{exec: exec, stamp: snapshot.Stamp}
	var c persistence.Changes
	c.Derive(snapshot.State, nil)
	f.waits = -c.Waits
	f.ops.changes(exec, &c)
	f.ops.delete(finishedKey(nil, at, exec))
	f.ops.delete(key1(nil, famWorking, exec))
	f.ops.delete(stateKey(nil, exec))
	err = forgetRecords(ctx, r, exec, &f.ops)
	if errors.As(err, &corrupt) {
		return forgotten{}, false, nil
	}
	if err != nil {
		return forgotten{}, false, err
	}
	prefix := key1(nil, famReceipt, exec)
	err = scan(ctx, r, prefix, prefix, func(rest, _ []byte) (bool, error) {
		p := parts{Rest: rest}
		signal := p.ID()
		f.ops.delete(key2(nil, famReceipt, exec, signal))
		f.ops.delete(key2(nil, famSignal, signal, exec))
		return true, p.End()
	})
	return f, err == nil, err
}

// forgetRecords deletes the rows of records, and the entries of the receipts in them.
func forgetRecords(ctx context.Context, r reader, exec string, o *ops) error {
	prefix := key1(nil, famRecord, exec)
	var keys [][]byte
	err := scan(ctx, r, prefix, prefix, func(rest, row []byte) (bool, error) {
		if len(keys) <= maxPointDeletes {
			keys = append(keys, append(prefix[:len(prefix):len(prefix)], rest...))
		}
		err := persistence.ReceiptsUnder(row, func(signal, _ string) error {
			o.delete(key2(o.key[:0], famSignal, signal, exec))
			return nil
		})
		if err != nil {
			err = &persistence.Corrupt{ExecID: exec, Cause: "a row of its records: " + err.Error()}
		}
		return true, err
	})
	if len(keys) > maxPointDeletes {
		o.deleteRange(prefix, afterAll(prefix))
		return err
	}
	for _, key := range keys {
		o.delete(key)
	}
	return err
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
		if f.exec != "" {
			g.states[f.exec] = stateRow{}
			g.grew -= int64(f.waits)
		} else {
			g.events[f.event] = nil
		}
		g.add(&f.ops)
		*w.forgot++
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
	return r != nil && r.Fate.Final(), err
}
