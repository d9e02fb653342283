package embedded

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// kept counts the events that are kept, by name: the writer asks it for every
// wait that opens, so it is in memory. What a group changes is taken back when
// the group is not written.
type kept struct {
	names  map[string]int
	total  int
	change []keptChange // by the group
}

type keptChange struct {
	name string
	by   int
}

func (k *kept) add(name string, by int) {
	k.count(name, by)
	k.change = append(k.change, keptChange{name, by})
}

func (k *kept) count(name string, by int) {
	k.total += by
	if k.names[name] += by; k.names[name] == 0 {
		delete(k.names, name)
	}
}

func (k *kept) shown() { k.change = k.change[:0] }

func (k *kept) undo() {
	for _, c := range k.change {
		k.count(c.name, -c.by)
	}
	k.change = k.change[:0]
}

// openKept counts what is kept.
func openKept(r reader) (kept, error) {
	k := kept{names: map[string]int{}}
	prefix := []byte{famExpiring}
	err := scan(context.Background(), r, prefix, prefix, func(_, name []byte) (bool, error) {
		k.count(string(name), 1)
		return true, nil
	})
	if pebble.IsCorruptionError(err) {
		err = nil // what can be read is still found by its name
	}
	return k, err
}

// manyPaths stands instead of all paths of an event that has more of them than are
// indexed. No path is like it.
const manyPaths = "*"

// keeping adds the rows of an event that is kept; with drop it takes them away.
func (o *ops) keeping(ev *workflow.Event, drop bool) {
	row := func(path, key string) {
		k := ordered.ID(ordered.Instant(ordered.ID(key2(o.key[:0], famKept, ev.Name, path), key), ev.ReceivedAt), ev.ID)
		if drop {
			o.delete(k)
		} else {
			o.set(k, nil)
		}
	}
	row("", "")
	keys := workflow.KeysOf(ev)
	paths, whole := keys.Paths(workflow.MaxKeptPaths)
	if !whole {
		paths = nil
		row(manyPaths, "")
	}
	for _, path := range paths {
		row(path, keys.At(path))
	}
	k := expiringKey(o.key[:0], ev.ExpiresAt, ev.ID)
	if drop {
		o.delete(k)
	} else {
		o.set(k, []byte(ev.Name))
	}
}

// release takes an event out of what is kept.
func (s *Store) release(ev *workflow.Event) {
	var before ops
	before.keeping(ev, true)
	s.group.add(&before)
	s.kept.add(ev.Name, -1)
}

// judgeKeeping takes care of an event that is settled, when it was kept or will be.
func (s *Store) judgeKeeping(was workflow.Fate, r *workflow.EventReceipt) error {
	if r.Fate == workflow.FateBuffered && was != workflow.FateBuffered && s.kept.total >= workflow.MaxKept {
		return fmt.Errorf("event %q: %w: %d events", r.Event.ID, persistence.ErrFull, s.kept.total)
	}
	if was == workflow.FateBuffered {
		stored, err := s.eventNow(r.Event.ID)
		if err != nil {
			return err
		}
		s.release(&stored.Event)
	}
	if r.Fate == workflow.FateBuffered {
		s.kept.add(r.Event.Name, 1)
	}
	return nil
}

// stillKept returns the receipt of a kept event, or persistence.ErrConflict.
func (s *Store) stillKept(id string) (*workflow.EventReceipt, error) {
	stored, err := s.eventNow(id)
	if err == nil && (stored == nil || stored.Fate != workflow.FateBuffered) {
		err = fmt.Errorf("event %q is not kept any more: %w", id, persistence.ErrConflict)
	}
	return stored, err
}

// judgeTaken refuses a commit that takes an event which somebody has taken.
func (s *Store) judgeTaken(w *write) error {
	for _, r := range w.taken {
		if _, err := s.stillKept(r.Event.ID); err != nil {
			return err
		}
	}
	return nil
}

// take settles the events that a commit takes, into the group's room for operations.
func (s *Store) take(w *write) {
	g := &s.group
	for _, r := range w.taken {
		g.ops.keeping(&r.Event, true)
		g.ops.event(r)
		s.kept.add(r.Event.Name, -1)
		s.books.move(r.Event.Name, workflow.FateBuffered, r.Fate)
		g.events[r.Event.ID] = r
	}
}

// offers reports whether events are kept for a wait that a commit opens or changes,
// or judges otherwise now.
func (s *Store) offers(w *write) bool {
	if w.kept == nil || s.kept.total == 0 {
		return false
	}
	for i := range w.changes.Opened {
		if s.kept.names[w.changes.Opened[i].Name] > 0 {
			return true
		}
	}
	for _, name := range w.changes.Rejudged {
		if s.kept.names[name] > 0 {
			return true
		}
	}
	return false
}

// judgeRelease replaces the receipt of an event that is kept.
func (s *Store) judgeRelease(w *write) error {
	stored, err := s.stillKept(w.receipt.Event.ID)
	if err != nil {
		return err
	}
	s.books.move(w.receipt.Event.Name, stored.Fate, w.receipt.Fate)
	if err := s.judgeKeeping(stored.Fate, w.receipt); err != nil {
		return err
	}
	s.group.events[w.receipt.Event.ID] = w.receipt
	return nil
}

// ReleaseEvent replaces the receipt of an event while it is kept. One that
// expired leaves a dead letter.
func (s *Store) ReleaseEvent(r *workflow.EventReceipt, done func(error)) {
	w := newWrite(writeRelease)
	w.done = done
	w.receipt = r
	w.ops.event(r)
	if r.Fate == workflow.FateDead || r.Fate == workflow.FateExpired {
		l := workflow.LetterOfEvent(r)
		w.letter(&l)
	}
	s.push(w)
}

// Kept lists kept events of a name, in the order in which they came; those with a
// key first that are indexed by it. Damaged ones are left out.
func (s *Store) Kept(ctx context.Context, q workflow.KeptQuery) (workflow.Page[*workflow.EventReceipt], error) {
	var page workflow.Page[*workflow.EventReceipt]
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.leave()
	lists := [][]byte{ordered.ID(key2(nil, famKept, q.Name, ""), "")}
	if q.Path != "" {
		lists = [][]byte{ordered.ID(key2(nil, famKept, q.Name, q.Path), q.Key), ordered.ID(key2(nil, famKept, q.Name, manyPaths), "")}
	}
	var from []byte
	if q.Cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		for err == nil && len(lists) > 0 && !bytes.HasPrefix(b, lists[0]) {
			lists = lists[1:]
		}
		if err != nil || len(lists) == 0 {
			return page, badCursor(q.Cursor)
		}
		from = append(b, 0)
	}
	limit := pageOf(q.Limit)
	var last []byte
	for _, prefix := range lists {
		if from == nil {
			from = prefix
		}
		err := scan(ctx, s.db, prefix, from, func(rest, _ []byte) (bool, error) {
			r, err := s.keptAt(rest)
			if err != nil || r == nil || q.Path != "" && workflow.KeysOf(&r.Event).At(q.Path) != q.Key {
				return err == nil, err
			}
			if len(page.Items) == limit {
				page.Next = base64.RawURLEncoding.EncodeToString(last)
				return false, nil
			}
			page.Items = append(page.Items, r)
			last = append(append(last[:0], prefix...), rest...)
			return true, nil
		})
		if from = nil; err != nil || page.Next != "" {
			return page, err
		}
	}
	return page, nil
}

// keptAt reads the event that an entry stands for, nil when it is not kept any more or
// is damaged.
func (s *Store) keptAt(place []byte) (*workflow.EventReceipt, error) {
	p := parts{Rest: place}
	p.Instant()
	id := p.ID()
	if err := p.End(); err != nil {
		return nil, err
	}
	r, err := event(s.db, id)
	if errors.Is(err, persistence.ErrNotFound) || s.damaged.Leaves(id, err) || err == nil && r.Fate != workflow.FateBuffered {
		return nil, nil
	}
	return r, err
}

// Expiring returns kept events by the time of their end, after the given one. Damaged
// ones are left out.
func (s *Store) Expiring(ctx context.Context, until workflow.Instant, after *workflow.EventReceipt, limit int) ([]*workflow.EventReceipt, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	prefix := []byte{famExpiring}
	from := prefix
	if after != nil {
		from = append(ordered.ID(ordered.Instant([]byte{famExpiring}, after.Event.ExpiresAt), after.Event.ID), 0)
	}
	var out []*workflow.EventReceipt
	err := scan(ctx, s.db, prefix, from, func(rest, _ []byte) (bool, error) {
		if p := (parts{Rest: rest}); p.Instant() > until {
			return false, nil
		}
		r, err := s.keptAt(rest)
		if err == nil && r != nil {
			out = append(out, r)
		}
		return len(out) < pageOf(limit), err
	})
	return out, err
}
