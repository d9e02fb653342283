package redis

import (
	"context"
	"errors"
	"slices"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Sweep forgets executions that finished before the instant and settled events
// received before it, up to limit of each. What changes while it looks is left
// for another time; what is damaged is left for a person.
func (s *Store) Sweep(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	writes, err := s.gather(ctx, before, pageOf(limit))
	if err != nil || len(writes) == 0 {
		return 0, err
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	forgot := 0
	var failure error
	for _, w := range writes {
		all.Add(1)
		w.done = func(err error) {
			defer all.Done()
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				forgot++
			case !errors.Is(err, errMoved):
				failure = err
			}
		}
		s.push(w)
	}
	all.Wait()
	if forgot > 0 {
		failure = nil // the rest is forgotten another time
	}
	return forgot, failure
}

// gather finds what to forget, with the writes that do it.
func (s *Store) gather(ctx context.Context, before workflow.Instant, limit int) ([]*write, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	var writes []*write
	for _, old := range []struct {
		index  string
		forget func(context.Context, workflow.Instant, string) (*write, error)
	}{{keyFinished, s.forgetExecution}, {keySettled, s.forgetEvent}} {
		found := 0
		c := s.walk(s.parts, bounds{"-", beyond(ordered.Instant(nil, before))}, limit, old.index)
		for found < limit {
			e, ok := c.next(ctx)
			if !ok {
				break
			}
			p := parts{Rest: e.member}
			at, id := p.Instant(), p.ID()
			if err := p.End(); err != nil {
				return nil, err
			}
			w, err := old.forget(ctx, at, id)
			if err != nil {
				return nil, err
			}
			if w != nil {
				writes = append(writes, w)
				found++
			}
		}
		if c.err != nil {
			return nil, c.err
		}
	}
	return writes, nil
}

// LastFinished returns executions, those that finished last first.
func (s *Store) LastFinished(ctx context.Context, limit int) ([]*workflow.State, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	limit = pageOf(limit)
	rows := make([]*goredis.StringSliceCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			rows[i] = pipe.ZRevRangeByLex(ctx, p.key(keyFinished), &goredis.ZRangeBy{Min: "-", Max: "+", Count: int64(limit)})
		}
		return nil
	})
	if err != nil {
		return nil, unavailable(ctx, "read the index", keyFinished, err)
	}
	var members []string
	for _, r := range rows {
		members = append(members, r.Val()...)
	}
	slices.Sort(members)
	slices.Reverse(members)
	var places []place
	for _, member := range members[:min(limit, len(members))] {
		p := parts{Rest: member}
		p.Instant()
		places = append(places, place{exec: p.ID()})
		if err := p.End(); err != nil {
			return nil, err
		}
	}
	states, err := s.statesOf(ctx, places)
	return slices.DeleteFunc(states, func(state *workflow.State) bool {
		return state == nil || state.Error != nil && state.Error.Code == persistence.CodeCorrupt
	}), err
}

// forgetExecution is the write that forgets an execution if it is still what it
// is now; nil when it must stay.
func (s *Store) forgetExecution(ctx context.Context, at workflow.Instant, exec string) (*write, error) {
	p := s.home(exec)
	row, err := s.client.reads.Get(ctx, p.keyOf(keyState, exec)).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(ctx, "read execution", exec, err)
	}
	snapshot, err := decodeState(exec, row)
	var corrupt *persistence.Corrupt
	if errors.As(err, &corrupt) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	signals, err := s.client.reads.HKeys(ctx, p.keyOf(keyReceipts, exec)).Result()
	if err != nil {
		return nil, unavailable(ctx, "read the receipts of execution", exec, err)
	}
	w := &write{kind: writeForget}
	w.part = p
	w.begin(p.keyOf(keyState, exec), "stamp", appendStamp(nil, snapshot.Stamp))
	var c persistence.Changes
	c.Derive(snapshot.State, nil)
	w.changes(exec, &c)
	w.leave(keyFinished, momentMember(at, exec))
	w.leave(keyWorking, member1(exec))
	for _, signal := range signals {
		w.leave(keySignals, member2(signal, exec))
	}
	for _, key := range []string{keyState, keyRecords, keyReceipts} {
		w.forget(key + exec)
	}
	return w, nil
}

// forgetEvent is the write that forgets an event if it is still settled as it is now;
// nil when it must stay.
func (s *Store) forgetEvent(ctx context.Context, at workflow.Instant, id string) (*write, error) {
	p := s.home(id)
	row, err := s.client.reads.HGet(ctx, p.key(keyEvents), id).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(ctx, "read event", id, err)
	}
	r, err := decodeEvent(id, row)
	if s.damaged.Leaves(id, err) || !r.Fate.Final() { // opened again since
		return nil, nil
	}
	w := &write{kind: writeForget}
	w.part = p
	w.begin(p.key(keyEvents), "same", []byte(id), still([]byte(row)))
	w.drop(keyEvents, []byte(id))
	w.drop(keyUndecided, []byte(id))
	w.leave(keySettled, momentMember(at, id))
	return w, nil
}
