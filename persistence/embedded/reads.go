package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Load returns the snapshot of an execution, persistence.ErrNotFound or
// *persistence.Corrupt.
func (s *Store) Load(ctx context.Context, execID string) (*persistence.Snapshot, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	room := rowRooms.Get().(*[]byte)
	defer rowRooms.Put(room)
	row, st, asked, known := s.recent.get((*room)[:0], execID)
	*room = row
	switch {
	case !known:
		return load(s.db, execID, func(st stamp, row []byte) { s.recent.remember(asked, execID, st, row) })
	case st == stamp{}:
		return nil, fmt.Errorf("execution %q: %w", execID, persistence.ErrNotFound)
	}
	return persistence.DecodeSnapshot(execID, row)
}

// rowRooms lends room for a row while it is decoded.
var rowRooms = sync.Pool{New: func() any { return new([]byte) }}

// begin is enter for a caller who may have given up already.
func (s *Store) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.enter()
}

// load reads an execution from the rows; found, if any, is shown its row.
func load(r reader, execID string, found func(stamp, []byte)) (*persistence.Snapshot, error) {
	room := rowRooms.Get().(*[]byte)
	defer rowRooms.Put(room)
	row, there, err := r.get(stateKey(nil, execID), (*room)[:0])
	*room = row
	switch {
	case pebble.IsCorruptionError(err):
		return nil, &persistence.Corrupt{ExecID: execID, Cause: err.Error()}
	case err != nil:
		return nil, unavailable("read execution", execID, err)
	case !there:
		return nil, fmt.Errorf("execution %q: %w", execID, persistence.ErrNotFound)
	}
	snapshot, err := persistence.DecodeSnapshot(execID, row)
	if err == nil && found != nil {
		found(snapshot.Stamp, row)
	}
	return snapshot, err
}

// Records returns up to limit records after the one numbered after. The first is
// of type history.folded, numbered as the last one that is gone, when older ones
// than what the caller asks for were folded away.
func (s *Store) Records(ctx context.Context, execID string, after uint64, limit int) ([]workflow.Record, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	prefix := key1(nil, famRecord, execID)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: afterAll(prefix)})
	if err != nil {
		return nil, unavailable("read the records of execution", execID, err)
	}
	records, err := readRecords(ctx, it, execID, after, pageOf(limit))
	if closing := it.Close(); err == nil && closing != nil {
		err = unavailable("read the records of execution", execID, closing)
	}
	return records, err
}

// readRecords walks rows of several records each: it begins in the row before
// the one wanted, which may hold it.
func readRecords(ctx context.Context, it *pebble.Iterator, execID string, after uint64, limit int) ([]workflow.Record, error) {
	if first := folding(it, execID); first > 1 {
		prefix := key1(nil, famRecord, execID)
		it.SetBounds(recordKey(nil, execID, first), afterAll(prefix))
	}
	var out []workflow.Record
	ok := it.SeekLT(recordKey(nil, execID, after+1))
	if !ok {
		ok = it.First()
	}
	for n := 0; ok && len(out) < limit; ok, n = it.Next(), n+1 {
		if n%contextEvery == contextEvery-1 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		row, err := persistence.DecodeRecordsUnder(execID, it.Value())
		if err != nil {
			return nil, &persistence.Corrupt{ExecID: execID, Cause: "a row of its records: " + err.Error()}
		}
		if n == 0 && len(row) > 0 && row[0].Seq > after+1 {
			out = append(out, folded(row[0]))
		}
		for _, r := range row {
			if r.Seq > after && len(out) < limit {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// folding is the number of the first record that an execution still shows, as far as
// that follows from the newest one: some rows before it stay for their receipts.
func folding(it *pebble.Iterator, execID string) uint64 {
	prefix := key1(nil, famRecord, execID)
	if !it.SeekLT(afterAll(prefix)) || !bytes.HasPrefix(it.Key(), prefix) {
		return 0
	}
	p := parts{Rest: it.Key()[len(prefix):]}
	newest := p.Number() / foldStep * foldStep
	return max(newest, workflow.MaxRecords) - workflow.MaxRecords
}

// folded stands for all records before the first one that is kept.
func folded(first workflow.Record) workflow.Record {
	gone := first.Seq - 1
	return workflow.Record{
		Seq: gone, At: first.At, Type: workflow.HistoryFolded,
		Reason: fmt.Sprintf("the %d records before this one were folded away; at most about %d are kept", gone, workflow.MaxRecords),
	}
}

// Holder returns the live execution that has a unique key, or persistence.ErrNotFound.
func (s *Store) Holder(ctx context.Context, workflowID, key string) (string, error) {
	if err := s.begin(ctx); err != nil {
		return "", err
	}
	defer s.leave()
	row, found, err := s.db.get(key2(nil, famUnique, workflowID, key), nil)
	if err != nil {
		return "", unavailable("read the holder of key", key, err)
	}
	if !found {
		return "", fmt.Errorf("key %q of workflow %q: %w", key, workflowID, persistence.ErrNotFound)
	}
	return string(row), nil
}

// Receipt returns the receipt of one signal to one execution, or persistence.ErrNotFound.
func (s *Store) Receipt(ctx context.Context, signalID, execID string) (*workflow.Receipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return receipt(s.db, signalID, execID)
}

func receipt(r reader, signalID, execID string) (*workflow.Receipt, error) {
	place, found, err := r.get(key2(nil, famSignal, signalID, execID), nil)
	if err == nil && found {
		rec, err := receiptAt(r, signalID, execID, place)
		if rec != nil || err != nil {
			return rec, err
		}
	}
	if err != nil {
		return nil, unavailable("read the receipt of signal", signalID, err)
	}
	return nil, fmt.Errorf("signal %q to execution %q: %w", signalID, execID, persistence.ErrNotFound)
}

// receiptAt reads a receipt where famSignal says that it lies; nil when it was
// forgotten since.
func receiptAt(r reader, signalID, execID string, place []byte) (*workflow.Receipt, error) {
	key, decode := key2(nil, famReceipt, execID, signalID), persistence.DecodeReceiptUnder
	if first, n := binary.Uvarint(place); n > 0 {
		key, decode = recordKey(nil, execID, first), persistence.ReceiptUnder
	}
	row, found, err := r.get(key, nil)
	if err != nil {
		return nil, unavailable("read the receipt of signal", signalID, err)
	}
	if !found {
		return nil, nil
	}
	rec, err := decode(execID, signalID, row)
	if err != nil {
		return nil, unavailable("decode the receipt of signal", signalID, err)
	}
	return rec, nil
}

// Receipts returns up to limit receipts of a signal id, in the order of the
// executions' ids after the given one.
func (s *Store) Receipts(ctx context.Context, signalID, after string, limit int) ([]workflow.Receipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	rows, err := newView(s.db)
	if err != nil {
		return nil, err
	}
	var out []workflow.Receipt
	prefix := key1(nil, famSignal, signalID)
	from := prefix
	if after != "" {
		from = append(key2(nil, famSignal, signalID, after), 0)
	}
	err = scan(ctx, rows, prefix, from, func(rest, _ []byte) (bool, error) {
		p := parts{Rest: rest}
		exec := p.ID()
		if err := p.End(); err != nil {
			return false, err
		}
		r, err := receipt(rows, signalID, exec)
		if err != nil {
			return false, err
		}
		out = append(out, *r)
		return len(out) < pageOf(limit), nil
	})
	return out, rows.close(err)
}

// Event returns the receipt of an event, or persistence.ErrNotFound.
func (s *Store) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	return event(s.db, id)
}

func event(r reader, id string) (*workflow.EventReceipt, error) {
	row, found, err := r.get(key1(nil, famEvent, id), nil)
	if err != nil {
		if pebble.IsCorruptionError(err) {
			return nil, persistence.DamagedEvent(id, err)
		}
		return nil, unavailable("read event", id, err)
	}
	if !found {
		return nil, fmt.Errorf("event %q: %w", id, persistence.ErrNotFound)
	}
	return decodeEvent(id, row)
}

// Document returns the body of a document, or persistence.ErrNotFound.
func (s *Store) Document(ctx context.Context, kind, id string) ([]byte, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	body, found, err := s.db.get(key2(nil, famDocument, kind, id), []byte{})
	if err != nil {
		return nil, unavailable("read the "+kind, id, err)
	}
	if !found {
		return nil, fmt.Errorf("%s %q: %w", kind, id, persistence.ErrNotFound)
	}
	if bytes.Equal(body, persistence.LostRow) {
		return nil, damagedDocument(kind, id)
	}
	return body, nil
}

// Documents lists up to limit documents of a kind in the order of their ids, after the given one.
func (s *Store) Documents(ctx context.Context, kind, after string, limit int) ([]persistence.Document, error) {
	return list(ctx, s, key1(nil, famDocument, kind), after, limit, func(id string, body []byte) (persistence.Document, bool, error) {
		return persistence.Document{ID: id, Body: append([]byte{}, body...)}, !bytes.Equal(body, persistence.LostRow), nil
	})
}

// Working returns up to limit ids, after the given one, of executions whose last
// commit said Working.
func (s *Store) Working(ctx context.Context, after string, limit int) ([]string, error) {
	return list(ctx, s, []byte{famWorking}, after, limit, func(id string, _ []byte) (string, bool, error) { return id, true, nil })
}

// OpenEvents returns up to limit receipts of events whose fan-out is not
// finished, in the order of id after the given one. Damaged ones are left out.
func (s *Store) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	return list(ctx, s, []byte{famOpen}, after, limit, func(id string, _ []byte) (*workflow.EventReceipt, bool, error) {
		r, err := event(s.db, id)
		if errors.Is(err, persistence.ErrNotFound) || s.damaged.Leaves(id, err) {
			return nil, false, nil // forgotten since the scan began, or not to be read
		}
		return r, err == nil && r.Fate == workflow.FateAccepted, err // or settled since
	})
}

// list lists what each makes of the rows of a family whose keys end in one id, after the
// given one. A node does not start without these lists: when one is damaged it waits
// until it is mended.
func list[T any](ctx context.Context, s *Store, prefix []byte, after string, limit int, each func(id string, value []byte) (T, bool, error)) ([]T, error) {
	out, err := listOnce(ctx, s, prefix, after, limit, each)
	if pebble.IsCorruptionError(err) {
		s.awaitMending()
		out, err = listOnce(ctx, s, prefix, after, limit, each)
	}
	return out, err
}

func listOnce[T any](ctx context.Context, s *Store, prefix []byte, after string, limit int, each func(string, []byte) (T, bool, error)) ([]T, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	from := prefix
	if after != "" {
		from = append(ordered.ID(prefix[:len(prefix):len(prefix)], after), 0)
	}
	var out []T
	err := scan(ctx, s.db, prefix, from, func(rest, value []byte) (bool, error) {
		p := parts{Rest: rest}
		id := p.ID()
		if err := p.End(); err != nil {
			return false, err
		}
		one, listed, err := each(id, value)
		if listed && err == nil {
			out = append(out, one)
		}
		return len(out) < pageOf(limit), err
	})
	return out, err
}

// scan calls each with what follows prefix in every key of it, from the given
// one on, until each says no more. Key and value are valid during the call.
func scan(ctx context.Context, r reader, prefix, from []byte, each func(rest, value []byte) (bool, error)) error {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: afterAll(prefix)})
	if err != nil {
		return fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err)
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%contextEvery == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		var more bool
		if more, err = each(it.Key()[len(prefix):], it.Value()); err != nil || !more {
			break
		}
	}
	if closing := it.Close(); closing != nil {
		err = errors.Join(err, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, closing))
	}
	return err
}

// pageOf is how many items a call that asks for limit gets at most.
func pageOf(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}
