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

// A commit takes a kept event, once. In a store with one partition the script that
// writes the commit looks whether the event is kept, and settles it. In one with
// several, event and execution may be on different nodes of a Redis Cluster, and it
// goes in steps, as with unique keys: the event is claimed, in its partition; the
// commit is written, and in the same script the receipt of the event is left in an
// outbox of the execution's partition; then the receipt is brought to the event, which
// ends the claim, and taken out of the outbox.
//
// A crash between the steps leaves a claim. What the outbox of its holder says decides:
// a receipt is brought home. Without one the commit is barred, should it still come,
// and the event is free again. All steps may be done twice.

var errNotKept = fmt.Errorf("an event that it takes, or decides about, does not stand as it did, or somebody else is just taking it: %w", persistence.ErrConflict)

// takes adds what a commit takes.
func (s *Store) takes(w *write, taken []*workflow.EventReceipt) {
	if len(taken) == 0 {
		return
	}
	w.alone = true
	if len(s.parts) == 1 {
		for _, r := range taken {
			w.stillKept(&r.Event)
		}
		return
	}
	w.taken = taken
	w.add("!", keyBarred+w.exec, ordered.Number(nil, w.stamp.Commit))
}

// settleTaken adds the receipts of what a commit takes: where they belong with one
// partition, and to the outbox otherwise.
func (s *Store) settleTaken(w *write, taken []*workflow.EventReceipt) {
	for _, r := range taken {
		if len(s.parts) > 1 {
			w.put(keyTaken, []byte(r.Event.ID), append(ordered.ID(ordered.Number(nil, w.stamp.Commit), w.exec), eventRow(r)...))
			continue
		}
		w.eventMoved(r)
		w.ops.event(r, eventRow(r))
	}
}

// takeFirst makes the claims of what a group takes, and returns the writes that may be sent.
func (s *Store) takeFirst(items []*write) []*write {
	var claims, of []*write
	for _, w := range items {
		for _, r := range w.taken {
			c := &write{kind: writeClaim}
			c.part = s.home(r.Event.ID)
			c.begin(c.part.key(keyTakers), "take", []byte(r.Event.ID), ordered.Number(nil, w.stamp.Commit))
			c.stillKept(&r.Event)
			c.add("C", keyTakers, []byte(r.Event.ID), ordered.Number(nil, w.stamp.Commit), []byte(w.exec))
			claims, of = append(claims, c), append(of, w)
		}
	}
	if len(claims) == 0 {
		return items
	}
	s.deliver(claims)
	for i, c := range claims {
		switch {
		case c.fate == written, of[i].fate == refused:
		case errors.Is(c.err, errMoved) || errors.Is(c.err, persistence.ErrConflict):
			of[i].refuseLater(errNotKept)
		default:
			of[i].refuseLater(c.err)
		}
	}
	var sent []*write
	for _, w := range items {
		if w.fate != refused {
			sent = append(sent, w)
		}
	}
	return sent
}

// take is what one commit takes, as its claim and the outbox know it.
type take struct {
	id     string // of the event
	commit uint64
	exec   string
	row    []byte // receipt
}

// untake gives back the claims of commits that were refused.
func (s *Store) untake(items []*write) {
	var free []*write
	for _, w := range items {
		if w.fate != refused {
			continue // one whose fate is not known is left for repair
		}
		for _, r := range w.taken {
			free = append(free, s.freed(take{id: r.Event.ID, commit: w.stamp.Commit, exec: w.exec}))
		}
	}
	if len(free) > 0 && s.fault.Load() == nil {
		s.deliver(free)
	}
}

// freed is the write that ends a claim without a take.
func (s *Store) freed(t take) *write {
	w := &write{kind: writeRows}
	w.plain(s.home(t.id), keyTakers)
	w.add("U", keyTakers, []byte(t.id), []byte(t.exec), ordered.Number(nil, t.commit))
	return w
}

// confirm brings the receipts of what commits took to the events. What cannot be
// brought stays in the outbox until repairTakes comes by.
func (s *Store) confirm(items []*write) {
	var home, out []*write
	for _, w := range items {
		if w.fate != written {
			continue
		}
		for _, r := range w.taken {
			h, o := s.settlement(w.part, take{r.Event.ID, w.stamp.Commit, w.exec, eventRow(r)}, r)
			home, out = append(home, h), append(out, o)
		}
	}
	if len(home) == 0 {
		return
	}
	if err := s.bring(home, out); err != nil {
		s.log.Warn("receipts of events that were taken wait in an outbox", "error", err)
	}
}

// settlement is the write that settles a taken event while the claim is still there,
// and the one that takes the receipt out of the outbox of a partition.
func (s *Store) settlement(from *partition, t take, r *workflow.EventReceipt) (home, out *write) {
	home = &write{kind: writeConfirm}
	home.part = s.home(t.id)
	home.begin(home.part.key(keyTakers), "held", []byte(t.id), ordered.Number(nil, t.commit))
	home.eventMoved(r)
	home.ops.event(r, t.row)
	home.drop(keyTakers, []byte(t.id))
	out = &write{kind: writeRows}
	out.plain(from, keyTaken)
	out.drop(keyTaken, []byte(t.id))
	return home, out
}

// decodeTake reads a value of the outbox, with the receipt in it. Its only error is
// that they are damaged.
func decodeTake(id, value string) (take, *workflow.EventReceipt, error) {
	p := parts{Rest: value}
	t := take{id: id, commit: p.Number(), exec: p.ID()}
	if p.Err != nil {
		return t, nil, persistence.DamagedEvent(id, p.Err)
	}
	t.row = []byte(p.Rest)
	r, err := decodeEvent(id, p.Rest)
	return t, r, err
}

// repairTakes ends the takes that a crash or a lost connection left in the middle: the
// receipts in all outboxes are brought home, and claims that are old by the clock of
// Redis and whose commit is not there are freed.
func (s *Store) repairTakes(ctx context.Context) error {
	if len(s.parts) == 1 {
		return nil
	}
	claims := make([]*goredis.MapStringStringCmd, len(s.parts))
	taken := make([]*goredis.MapStringStringCmd, len(s.parts))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, p := range s.parts {
			claims[i], taken[i] = pipe.HGetAll(ctx, p.key(keyTakers)), pipe.HGetAll(ctx, p.key(keyTaken))
		}
		return nil
	})
	if err != nil {
		return unavailable(ctx, "read the takes of store", s.prefix, err)
	}
	for i, p := range s.parts {
		for id, value := range taken[i].Val() {
			if err := s.bringTake(p, id, value); err != nil {
				return err
			}
		}
	}
	for i, p := range s.parts {
		for id, claim := range claims[i].Val() {
			if err := s.repairClaim(ctx, p, id, claim); err != nil {
				return err
			}
		}
	}
	return nil
}

// bringTake brings a receipt home. One that is damaged stays in the outbox, and so does
// the claim: the event must not be taken twice.
func (s *Store) bringTake(p *partition, id, value string) error {
	t, r, err := decodeTake(id, value)
	if s.damaged.Leaves(id, err) {
		return nil
	}
	home, out := s.settlement(p, t, r)
	return s.bring([]*write{home}, []*write{out})
}

// repairClaim frees an event whose claim is old, after it has barred the commit. When
// that came meanwhile, its receipt is in the outbox, and the next repair brings it.
func (s *Store) repairClaim(ctx context.Context, p *partition, id, claim string) error {
	if len(claim) < claimHeader {
		return nil // no claim that this store writes
	}
	master, err := s.client.master(ctx, p.mark)
	if err != nil {
		return err
	}
	now, err := master.Time(ctx).Result()
	if err != nil {
		return err
	}
	if now.UnixMilli()-int64(binary.BigEndian.Uint64([]byte(claim[8:claimHeader]))) < claimGrace.Milliseconds() {
		return nil
	}
	t := take{id: id, commit: binary.BigEndian.Uint64([]byte(claim[:8])), exec: holderOf(claim)}
	bar := &write{kind: writeForget}
	bar.part = s.home(t.exec)
	bar.begin(bar.part.key(keyTaken), "same", []byte(id), nil)
	bar.add("B", keyBarred+t.exec, ordered.Number(nil, t.commit), fmt.Append(nil, int(barredFor.Seconds())))
	s.deliver([]*write{bar})
	if bar.fate != written {
		if errors.Is(bar.err, errMoved) {
			return nil
		}
		return bar.err
	}
	free := s.freed(t)
	s.deliver([]*write{free})
	return free.err
}

// takenOf looks for the receipt of an event in the outboxes of takes; nil when it is in none.
func (s *Store) takenOf(ctx context.Context, id string) (*workflow.EventReceipt, error) {
	value, err := s.outboxed(ctx, keyTaken, id)
	if err != nil {
		return nil, unavailable(ctx, "read event", id, err)
	}
	if value == "" {
		return nil, nil
	}
	_, r, err := decodeTake(id, value)
	return r, err
}
