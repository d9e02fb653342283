package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// An event that nobody took is kept in the partition of its id: it is kept while it
// stands in keyExpiring. How a commit takes it is told in takes.go.

// manyPaths stands instead of all paths of an event that has more of them than are
// indexed. No path is like it.
const manyPaths = "*"

// keeping adds the entries of an event that is kept; with drop it takes them away.
func (o *ops) keeping(ev *workflow.Event, drop bool) {
	do := o.enter
	if drop {
		do = o.leave
	}
	do(keyExpiring, momentMember(ev.ExpiresAt, ev.ID))
	do(keyKept, keptMember(ev, "", ""))
	keys := workflow.KeysOf(ev)
	paths, whole := keys.Paths(workflow.MaxKeptPaths)
	if !whole {
		do(keyKept, keptMember(ev, manyPaths, ""))
		return
	}
	for _, path := range paths {
		do(keyKept, keptMember(ev, path, keys.At(path)))
	}
}

// stillKept adds the condition that an event is kept.
func (o *ops) stillKept(ev *workflow.Event) {
	o.alone = true
	o.add("?", keyExpiring, momentMember(ev.ExpiresAt, ev.ID))
}

// ReleaseEvent replaces the receipt of an event while it is kept and nobody is
// taking it. One that expired leaves a dead letter.
func (s *Store) ReleaseEvent(r *workflow.EventReceipt, done func(error)) {
	w := &write{kind: writeRelease, done: done, receipt: r, row: eventRow(r)}
	w.part = s.home(r.Event.ID)
	w.begin(w.part.key(keyEvents), "none")
	w.stillKept(&r.Event)
	w.add("-", keyTakers, []byte(r.Event.ID))
	w.eventMoved(r)
	w.ops.event(r, w.row)
	if r.Fate == workflow.FateDead || r.Fate == workflow.FateExpired {
		w.letters([]workflow.DeadLetter{workflow.LetterOfEvent(r)}, nil)
	}
	s.push(w)
}

// flag says in every partition that events are kept somewhere, before the first is.
// A commit that opens a wait looks at it in its own partition, and only when it is
// there at what is kept elsewhere. Whoever keeps an event looks at the waits after
// that, so one of the two sees the other.
func (s *Store) flag(items []*write) {
	keeps := false
	for _, w := range items {
		keeps = keeps || w.keeps
	}
	if !keeps || s.flagged {
		return
	}
	flags := make([]*write, len(s.parts))
	for i, p := range s.parts {
		flags[i] = &write{kind: writeRows}
		flags[i].plain(p, keyKeeps)
		flags[i].set(keyKeeps, []byte{'1'})
	}
	s.deliver(flags)
	for _, f := range flags {
		if f.fate == written {
			continue
		}
		for _, w := range items {
			if w.keeps {
				w.refuseLater(fmt.Errorf("%w: nothing was written: say that events are kept: %w", persistence.ErrUnavailable, f.err))
			}
		}
		return
	}
	s.flagged = true
}

// offer tells the commits that opened waits when events are kept for one of them.
func (s *Store) offer(items []*write) {
	var openers []*write
	for _, w := range items {
		if w.fate == written && w.flag && len(w.opened) > 0 {
			openers = append(openers, w)
		}
	}
	if len(openers) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	found := map[string][]*goredis.StringSliceCmd{}
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for _, w := range openers {
			for _, name := range w.opened {
				for _, p := range s.parts {
					if len(found[name]) == len(s.parts) {
						break
					}
					b := under(ordered.ID(ordered.ID(member1(name), ""), ""))
					found[name] = append(found[name], pipe.ZRangeByLex(ctx, p.key(keyKept), &goredis.ZRangeBy{Min: b.least, Max: b.greatest, Count: 1}))
				}
			}
		}
		return nil
	})
	for _, w := range openers {
		some := err != nil // then it looks in vain, perhaps
		for _, name := range w.opened {
			for _, cmd := range found[name] {
				some = some || len(cmd.Val()) > 0
			}
		}
		if some {
			w.kept()
		}
	}
}

// Kept lists kept events of a name, in the order in which they came; those with a
// key first that are indexed by it.
func (s *Store) Kept(ctx context.Context, q workflow.KeptQuery) (workflow.Page[*workflow.EventReceipt], error) {
	var page workflow.Page[*workflow.EventReceipt]
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.gate.leave()
	lists := [][]byte{ordered.ID(member2(q.Name, ""), "")}
	if q.Path != "" {
		lists = [][]byte{ordered.ID(member2(q.Name, q.Path), q.Key), ordered.ID(member2(q.Name, manyPaths), "")}
	}
	behind, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	for err == nil && q.Cursor != "" && len(lists) > 0 && !strings.HasPrefix(string(behind), string(lists[0])) {
		lists = lists[1:]
	}
	if err != nil || len(lists) == 0 {
		return page, badCursor(q.Cursor)
	}
	limit := pageOf(q.Limit)
	var last string
	for _, prefix := range lists {
		b := under(prefix)
		if len(behind) > 0 {
			b.least = beyond(behind)
			behind = nil
		}
		c := s.walk(s.parts, b, limit+1, keyKept)
		for {
			e, ok := c.next(ctx)
			if !ok {
				break
			}
			p := parts{Rest: e.member[len(prefix):]}
			r, err := s.keptAt(ctx, e.part, &p)
			if err != nil {
				return page, err
			}
			if r == nil || q.Path != "" && workflow.KeysOf(&r.Event).At(q.Path) != q.Key {
				continue
			}
			if len(page.Items) == limit {
				page.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
				return page, nil
			}
			page.Items = append(page.Items, r)
			last = e.member
		}
		if c.err != nil {
			return page, c.err
		}
	}
	return page, nil
}

// keptAt reads the event that an entry ends in, behind an instant; nil when it is
// not kept any more, or somebody is taking it, or it is damaged.
func (s *Store) keptAt(ctx context.Context, part *partition, place *parts) (*workflow.EventReceipt, error) {
	place.Instant()
	id := place.ID()
	if err := place.End(); err != nil {
		return nil, err
	}
	var row *goredis.StringCmd
	var taken *goredis.BoolCmd
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		row, taken = pipe.HGet(ctx, part.key(keyEvents), id), pipe.HExists(ctx, part.key(keyTakers), id)
		return nil
	})
	if errors.Is(row.Err(), goredis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(ctx, "read event", id, err)
	}
	r, err := decodeEvent(id, row.Val())
	if s.damaged.Leaves(id, err) || r.Fate != workflow.FateBuffered || taken.Val() {
		return nil, nil
	}
	return r, nil
}

// Expiring returns kept events by the time of their end, after the given one.
func (s *Store) Expiring(ctx context.Context, until workflow.Instant, after *workflow.EventReceipt, limit int) ([]*workflow.EventReceipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	b := bounds{"-", upTo(ordered.Instant(nil, until))}
	if after != nil {
		b.least = beyond(momentMember(after.Event.ExpiresAt, after.Event.ID))
	}
	limit = pageOf(limit)
	var out []*workflow.EventReceipt
	c := s.walk(s.parts, b, limit, keyExpiring)
	for len(out) < limit {
		e, ok := c.next(ctx)
		if !ok {
			return out, c.err
		}
		r, err := s.keptAt(ctx, e.part, &parts{Rest: e.member})
		if err != nil {
			return nil, err
		}
		if r != nil {
			out = append(out, r)
		}
	}
	return out, nil
}
