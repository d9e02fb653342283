package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
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
	defer s.gate.leave()
	row, err := s.client.reads.Get(ctx, s.home(execID).keyOf(keyState, execID)).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, fmt.Errorf("execution %q: %w", execID, persistence.ErrNotFound)
	case err != nil:
		return nil, unavailable(ctx, "read execution", execID, err)
	}
	return decodeState(execID, row)
}

// decodeState decodes a stamp and the snapshot row behind it, which has the same.
func decodeState(execID, row string) (*persistence.Snapshot, error) {
	if len(row) < stampBytes {
		return nil, &persistence.Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row has %d bytes, fewer than any", len(row))}
	}
	snapshot, err := persistence.DecodeSnapshot(execID, []byte(row[stampBytes:]))
	if err == nil && snapshot.Stamp != stampOf(row) {
		return nil, &persistence.Corrupt{ExecID: execID, Cause: fmt.Sprintf("the row is of commit %v and the snapshot in it of %v", stampOf(row), snapshot.Stamp)}
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
	defer s.gate.leave()
	limit = pageOf(limit)
	p := s.home(execID)
	var out []workflow.Record
	for next := after + 1; ; {
		rows := min(limit-len(out)+1, recordChunk)
		cmds, err := s.evaluateEach(ctx, []*partition{p}, recordsScript, func(p *partition) ([]string, []any) {
			return []string{p.keyOf(keyRecords, execID)}, []any{ordered.Number(nil, next), rows}
		})
		if err != nil {
			return nil, unavailable(ctx, "read the records of execution", execID, err)
		}
		answer, err := cmds[0].StringSlice()
		if err != nil {
			return nil, unavailable(ctx, "read the records of execution", execID, err)
		}
		before := next
		if out, next, err = takeRecords(out, execID, answer, next, after, limit); err != nil {
			return nil, err
		}
		if len(out) >= limit || len(answer) < rows || next == before {
			return out, nil
		}
	}
}

// takeRecords appends to out the records from next on, and returns the number of the one to come.
func takeRecords(out []workflow.Record, execID string, rows []string, next, after uint64, limit int) ([]workflow.Record, uint64, error) {
	for _, row := range rows {
		if len(row) < 8 {
			return nil, 0, &persistence.Corrupt{ExecID: execID, Cause: "a row of its records is shorter than its number"}
		}
		records, err := persistence.DecodeRecords([]byte(row[8:]))
		if err != nil {
			return nil, 0, &persistence.Corrupt{ExecID: execID, Cause: "a row of its records: " + err.Error()}
		}
		if first := binary.BigEndian.Uint64([]byte(row[:8])); first > after+1 && len(out) == 0 && len(records) > 0 {
			out = append(out, folded(records[0]))
		}
		for _, r := range records {
			if r.Seq >= next && len(out) < limit {
				out = append(out, r)
				next = r.Seq + 1
			}
		}
	}
	return out, next, nil
}

// folded stands for all records before the first one that is kept.
func folded(first workflow.Record) workflow.Record {
	gone := first.Seq - 1
	return workflow.Record{
		Seq: gone, At: first.At, Type: workflow.HistoryFolded,
		Reason: fmt.Sprintf("the %d records before this one were folded away; at most about %d are kept", gone, workflow.MaxRecords),
	}
}

// Receipt returns the receipt of one signal to one execution, or persistence.ErrNotFound.
func (s *Store) Receipt(ctx context.Context, signalID, execID string) (*workflow.Receipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	row, err := s.client.reads.HGet(ctx, s.home(execID).keyOf(keyReceipts, execID), signalID).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, fmt.Errorf("signal %q to execution %q: %w", signalID, execID, persistence.ErrNotFound)
	case err != nil:
		return nil, unavailable(ctx, "read the receipt of signal", signalID, err)
	}
	return decodeReceipt(signalID, execID, row)
}

func decodeReceipt(signalID, execID, row string) (*workflow.Receipt, error) {
	r, err := persistence.DecodeReceipt([]byte(row))
	if err != nil {
		return nil, fmt.Errorf("%w: decode the receipt of signal %q: %w", persistence.ErrUnavailable, signalID, err)
	}
	r.SignalID, r.ExecID = signalID, execID
	return r, nil
}

// Receipts returns up to limit receipts of a signal id, in the order of the
// executions' ids after the given one.
func (s *Store) Receipts(ctx context.Context, signalID, last string, limit int) ([]workflow.Receipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	limit = pageOf(limit)
	prefix := member1(signalID)
	var execs []string
	b := under(prefix)
	if last != "" {
		b.least = beyond(member2(signalID, last))
	}
	c := s.walk(s.parts, b, limit, keySignals)
	for len(execs) < limit {
		e, ok := c.next(ctx)
		if !ok {
			break
		}
		p := parts{Rest: e.member[len(prefix):]}
		exec := p.ID()
		if err := p.End(); err != nil {
			return nil, err
		}
		execs = append(execs, exec)
	}
	if c.err != nil {
		return nil, c.err
	}
	rows := make([]*goredis.StringCmd, len(execs))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, exec := range execs {
			rows[i] = pipe.HGet(ctx, s.home(exec).keyOf(keyReceipts, exec), signalID)
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, unavailable(ctx, "read the receipts of signal", signalID, err)
	}
	var out []workflow.Receipt
	for i, exec := range execs {
		if errors.Is(rows[i].Err(), goredis.Nil) {
			continue // swept since
		}
		r, err := decodeReceipt(signalID, exec, rows[i].Val())
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

// Event returns the receipt of an event, or persistence.ErrNotFound.
func (s *Store) Event(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	key := s.home(id).key(keyEvents)
	row, err := s.client.reads.HGet(ctx, key, id).Result()
	if errors.Is(err, goredis.Nil) {
		if row, err = s.outboxed(ctx, keyOutbox, id); err == nil && row == "" {
			// It may have been carried home between the two looks.
			row, err = s.client.reads.HGet(ctx, key, id).Result()
		}
	}
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, fmt.Errorf("event %q: %w", id, persistence.ErrNotFound)
	case err != nil:
		return nil, unavailable(ctx, "read event", id, err)
	}
	r, err := decodeEvent(id, row)
	if err != nil || r.Fate != workflow.FateBuffered || len(s.parts) == 1 {
		return r, err
	}
	// Who took it may not have brought the receipt home yet.
	taken, err := s.takenOf(ctx, id)
	if err != nil || taken != nil {
		return taken, err
	}
	return r, nil
}

// decodeEvent decodes the row of an event. Its only error is that the row is damaged.
func decodeEvent(id, row string) (*workflow.EventReceipt, error) {
	r, err := persistence.DecodeEventReceipt([]byte(row[min(1, len(row)):]))
	if err != nil {
		return nil, persistence.DamagedEvent(id, err)
	}
	r.Event.ID = id
	return r, nil
}

// OpenEvents returns up to limit receipts of events whose fan-out is not
// finished, in the order of id after the given one.
func (s *Store) OpenEvents(ctx context.Context, after string, limit int) ([]*workflow.EventReceipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	if err := s.settled(ctx); err != nil {
		return nil, err
	}
	limit = pageOf(limit)
	var out []*workflow.EventReceipt
	for {
		ids, err := s.ids(ctx, s.parts, keyOpen, nil, after, limit)
		if err != nil {
			return nil, err
		}
		events, err := s.eventsOf(ctx, ids)
		if err != nil {
			return nil, err
		}
		for _, r := range events {
			if len(out) < limit && !r.Fate.Final() { // it may be settled since
				out = append(out, r)
			}
		}
		if len(out) >= limit || len(ids) < limit {
			return out, nil
		}
		after = ids[len(ids)-1]
	}
}

// eventsOf reads events, leaving out those that are gone or damaged.
func (s *Store) eventsOf(ctx context.Context, ids []string) ([]*workflow.EventReceipt, error) {
	rows := make([]*goredis.StringCmd, len(ids))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, id := range ids {
			rows[i] = pipe.HGet(ctx, s.home(id).key(keyEvents), id)
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, unavailable(ctx, "read events of store", s.prefix, err)
	}
	var out []*workflow.EventReceipt
	for i, id := range ids {
		if errors.Is(rows[i].Err(), goredis.Nil) {
			continue
		}
		if err := rows[i].Err(); err != nil { // a pipeline tells only the first
			return nil, unavailable(ctx, "read event", id, err)
		}
		if r, err := decodeEvent(id, rows[i].Val()); !s.damaged.Leaves(id, err) {
			out = append(out, r)
		}
	}
	return out, nil
}

// ids reads up to limit ids, which are what follows a prefix in an index, after the given one.
func (s *Store) ids(ctx context.Context, in []*partition, index string, prefix []byte, after string, limit int) ([]string, error) {
	b := under(prefix)
	if after != "" {
		b.least = beyond(ordered.ID(append([]byte(nil), prefix...), after))
	}
	var out []string
	c := s.walk(in, b, limit, index)
	for len(out) < limit {
		e, ok := c.next(ctx)
		if !ok {
			break
		}
		p := parts{Rest: e.member[len(prefix):]}
		id := p.ID()
		if err := p.End(); err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, c.err
}

// Working returns up to limit ids, after the given one, of executions whose last
// commit said Working.
func (s *Store) Working(ctx context.Context, after string, limit int) ([]string, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return s.ids(ctx, s.parts, keyWorking, nil, after, pageOf(limit))
}

// Document returns the body of a document, or persistence.ErrNotFound.
func (s *Store) Document(ctx context.Context, kind, id string) ([]byte, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	body, err := s.client.reads.HGet(ctx, s.home(kind).key(keyDocuments), string(member2(kind, id))).Result()
	switch {
	case errors.Is(err, goredis.Nil):
		return nil, fmt.Errorf("%s %q: %w", kind, id, persistence.ErrNotFound)
	case err != nil:
		return nil, unavailable(ctx, "read the "+kind, id, err)
	}
	return []byte(body), nil
}

// Documents lists up to limit documents of a kind in the order of their ids, after the given one.
func (s *Store) Documents(ctx context.Context, kind, after string, limit int) ([]persistence.Document, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	limit = pageOf(limit)
	prefix := member1(kind)
	b := under(prefix)
	if after != "" {
		b.least = beyond(member2(kind, after))
	}
	var out []persistence.Document
	c := s.walk([]*partition{s.home(kind)}, b, limit, keyDocumentIDs).with(rowsScript, keyDocuments)
	for len(out) < limit {
		e, ok := c.next(ctx)
		if !ok {
			break
		}
		p := parts{Rest: e.member[len(prefix):]}
		id := p.ID()
		if err := p.End(); err != nil {
			return nil, err
		}
		out = append(out, persistence.Document{ID: id, Body: []byte(e.row)})
	}
	return out, c.err
}
