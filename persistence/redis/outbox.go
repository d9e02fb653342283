package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
)

// An event that a commit emits belongs into the partition of its id, which is
// seldom that of the execution. The commit leaves it in the outbox of its own
// partition, in the same script; then it is carried home and taken out. Both
// may happen twice. Whoever asks for events looks into the outboxes too, so an
// event is never missing between the two, and what a node that died has left
// is carried by the others.

// carry brings the events of commits home. What cannot be carried stays in the
// outbox until drain comes by: the commit is durable all the same.
func (s *Store) carry(commits []*write) {
	var home, out []*write
	for _, c := range commits {
		for _, ev := range c.away {
			if w := s.homecoming(ev.id, string(ev.row)); w != nil {
				home = append(home, w)
				out = append(out, takenOut(c.part, ev.id))
			}
		}
	}
	if err := s.bring(home, out); err != nil {
		s.log.Warn("events wait in an outbox", "error", err)
	}
}

// bring writes events where they belong, and then takes them out of the outboxes.
func (s *Store) bring(home, out []*write) error {
	s.deliver(home)
	var arrived []*write
	for i, w := range home {
		brought := w.kind == writeConfirm && errors.Is(w.err, errMoved) || w.kind == writeAccept && s.damaged.Leaves(w.receipt.Event.ID, w.err)
		if w.fate == written || brought { // perhaps by somebody else, and damaged there since
			w.fate = written
			arrived = append(arrived, out[i])
		}
	}
	if s.fault.Load() == nil {
		s.deliver(arrived)
	}
	for _, w := range append(home, arrived...) {
		if w.fate != written {
			s.undelivered = true
			return fmt.Errorf("carry events from an outbox: %w", w.err)
		}
	}
	return nil
}

// homecoming is the write that brings an event home; nil when it is damaged, so that it
// stays in the outbox.
func (s *Store) homecoming(id, row string) *write {
	r, err := decodeEvent(id, row)
	if s.damaged.Leaves(id, err) {
		return nil
	}
	return s.acceptance(r, nil)
}

func takenOut(p *partition, id string) *write {
	w := &write{kind: writeRows}
	w.part = p
	w.begin(p.key(keyOutbox), "none")
	w.drop(keyOutbox, []byte(id))
	return w
}

// drain carries what is left in all outboxes, this node's and that of others.
func (s *Store) drain(ctx context.Context) error {
	if len(s.parts) == 1 {
		return nil
	}
	if err := s.repairTakes(ctx); err != nil {
		return err
	}
	for _, p := range s.parts {
		if err := s.empty(ctx, p); err != nil {
			return err
		}
	}
	s.undelivered = false
	return nil
}

// empty carries what is left in the outbox of a partition. Events are drawn from it at
// random, so as many more are drawn as were damaged the last time.
func (s *Store) empty(ctx context.Context, p *partition) error {
	for draw := drainChunk; ; {
		home, out, drawn, err := s.left(ctx, p, draw)
		if err != nil {
			return unavailable(ctx, "read the outbox of partition", p.base, err)
		}
		if len(home) == 0 && drawn < draw {
			return nil
		}
		if err := s.bring(home, out); err != nil {
			return err
		}
		draw = drainChunk + drawn - len(home)
	}
}

// left reads a part of an outbox, of which it draws so many events.
func (s *Store) left(ctx context.Context, p *partition, draw int) (home, out []*write, drawn int, err error) {
	pairs, err := s.client.reads.HRandFieldWithValues(ctx, p.key(keyOutbox), draw).Result()
	for _, pair := range pairs {
		if w := s.homecoming(pair.Key, pair.Value); w != nil {
			home = append(home, w)
			out = append(out, takenOut(p, pair.Key))
		}
	}
	return home, out, len(pairs), err
}

// settled waits until no event is in an outbox that was there when it was called, but
// those that are damaged.
func (s *Store) settled(ctx context.Context) error {
	if len(s.parts) == 1 {
		return nil
	}
	counts := make([]*goredis.IntCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			counts[i] = pipe.HLen(ctx, p.key(keyOutbox))
			counts = append(counts, pipe.HLen(ctx, p.key(keyTaken)), pipe.HLen(ctx, p.key(keyTakers)))
		}
		return nil
	})
	if err != nil {
		return unavailable(ctx, "read the outboxes of store", s.prefix, err)
	}
	for _, c := range counts {
		if c.Val() > 0 {
			return s.drained(ctx)
		}
	}
	return nil
}

// drained has the writer drain the outboxes.
func (s *Store) drained(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.draining <- answer:
	case <-s.ended:
		return persistence.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// outboxed looks for an event in the outboxes of a kind; "" when it is in none.
func (s *Store) outboxed(ctx context.Context, box, id string) (string, error) {
	if len(s.parts) == 1 {
		return "", nil
	}
	rows := make([]*goredis.StringCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			rows[i] = pipe.HGet(ctx, p.key(box), id)
		}
		return nil
	})
	if err != nil && err != goredis.Nil {
		return "", err
	}
	for _, r := range rows {
		if r.Val() != "" {
			return r.Val(), nil
		}
	}
	return "", nil
}
