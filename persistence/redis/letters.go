package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// The classes of dead letters, each with bounds of its own. The bounds hold in each
// partition: a letter is bounded in the script that keeps it.
var letterClasses = []struct {
	name        string
	most, bytes int
}{
	{"0", workflow.MaxRefusedLetters, workflow.MaxRefusedLetterBytes},
	{"1", workflow.MaxLetters, workflow.MaxLetterBytes},
}

// letterHome is the partition of a dead letter: the one of the commit or event that
// keeps it.
func (s *Store) letterHome(l *workflow.DeadLetter) *partition {
	if l.ExecID != "" {
		return s.home(l.ExecID)
	}
	return s.home(l.MessageID)
}

// letterKeys names the keys of the letters, which stand together, and returns the
// place of the first.
func (o *ops) letterKeys() keyAt {
	first := o.key(o.part.key(keyLetterIDs))
	for _, key := range []string{keyLetters, keyLetterHeads, keyLetterBytes, keyRefused, keyAccepted} {
		o.key(o.part.key(key))
	}
	return first
}

// letters drops the letters that are revived, keeps others, and bounds them.
func (o *ops) letters(kept []workflow.DeadLetter, revived []string) {
	if len(kept)+len(revived) == 0 {
		return
	}
	k := o.letterKeys()
	for _, id := range revived {
		o.args = append(o.args, "G", k, id)
	}
	for i := range kept {
		l := &kept[i]
		class := "0"
		if l.Accepted {
			class = "1"
		}
		row := persistence.AppendDeadLetter(nil, l)
		head := *l
		head.Payload = nil
		o.size += len(row)
		o.args = append(o.args, "K", k, l.ID, class, deathMember(l.At, l.ID), l.Size(), row, persistence.AppendDeadLetter(nil, &head))
	}
	if len(kept) == 0 {
		return
	}
	for _, c := range letterClasses {
		o.args = append(o.args, "O", k, c.name, c.most, c.bytes)
	}
}

// KeepLetters keeps dead letters of refused messages. Those of different
// executions are kept in steps of their own.
func (s *Store) KeepLetters(kept []workflow.DeadLetter, done func(error)) {
	byHome := map[*partition][]workflow.DeadLetter{}
	for i := range kept {
		home := s.letterHome(&kept[i])
		byHome[home] = append(byHome[home], kept[i])
	}
	var all collected
	all.left, all.done = len(byHome), done
	if len(byHome) == 0 {
		byHome[s.parts[0]], all.left = nil, 1
	}
	for home, some := range byHome {
		w := &write{kind: writeRows, done: all.answer}
		w.part = home
		w.begin(home.mark, "none")
		w.letters(some, nil)
		s.push(w)
	}
}

// collected answers once for several writes, with what went wrong in any.
type collected struct {
	mu   sync.Mutex
	left int
	errs []error
	done func(error)
}

func (c *collected) answer(err error) {
	c.mu.Lock()
	c.left--
	if err != nil {
		c.errs = append(c.errs, err)
	}
	last := c.left == 0
	c.mu.Unlock()
	if last {
		c.done(errors.Join(c.errs...))
	}
}

// DropLetters forgets dead letters.
func (s *Store) DropLetters(ctx context.Context, ids []string) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	s.gate.leave()
	if len(ids) == 0 {
		return 0, nil
	}
	sum := 0
	for _, p := range s.parts { // an id does not tell where its letter is
		w := &write{kind: writeRows}
		w.part = p
		w.begin(p.mark, "none")
		w.letters(nil, ids)
		if err := s.await(ctx, w); err != nil {
			return sum, err
		}
		sum += int(w.gone)
	}
	return sum, nil
}

// SweepLetters forgets the dead letters that died before the instant.
func (s *Store) SweepLetters(ctx context.Context, before workflow.Instant, limit int) (int, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	s.gate.leave()
	limit = pageOf(limit)
	sum := 0
	for _, p := range s.parts {
		for _, class := range letterClasses {
			if sum >= limit {
				return sum, nil
			}
			w := &write{kind: writeRows}
			w.part = p
			w.begin(p.mark, "none")
			w.args = append(w.args, "Y", w.letterKeys(), class.name, from(ordered.Past(nil, before-1)), limit-sum)
			if err := s.await(ctx, w); err != nil {
				return sum, err
			}
			sum += int(w.gone)
		}
	}
	return sum, nil
}

// Letter returns a dead letter whole.
func (s *Store) Letter(ctx context.Context, id string) (*workflow.DeadLetter, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	cmds, err := s.evaluateEach(ctx, s.parts, letterScript, func(p *partition) ([]string, []any) {
		return []string{p.key(keyLetterIDs), p.key(keyLetters)}, []any{id}
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, unavailable(ctx, "read dead letter", id, err)
	}
	for _, c := range cmds {
		row, err := c.Text()
		if errors.Is(err, goredis.Nil) {
			continue
		}
		if err != nil {
			return nil, unavailable(ctx, "read dead letter", id, err)
		}
		l, err := persistence.DecodeDeadLetter([]byte(row))
		if err != nil {
			return nil, unavailable(ctx, "decode dead letter", id, err)
		}
		return l, nil
	}
	return nil, fmt.Errorf("dead letter %q: %w", id, persistence.ErrNotFound)
}

// Letters lists dead letters, those that died last first. A cursor names the last
// one shown, by its death and id.
func (s *Store) Letters(ctx context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error) {
	var page workflow.Page[*workflow.DeadLetter]
	behind, err := decodeCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.gate.leave()
	b := bounds{"-", "+"}
	if behind != nil {
		b.least = beyond(deathMember(behind.created, behind.exec))
	}
	if q.Since != 0 {
		b.greatest = upTo(ordered.Past(nil, q.Since))
	}
	limit := pageOf(q.Limit)
	c := s.walk(s.parts, b, limit+1, keyRefused, keyAccepted).with(rowsScript, keyLetterHeads)
	for {
		e, ok := c.next(ctx)
		if !ok {
			return page, c.err
		}
		if !e.some {
			continue
		}
		l, err := persistence.DecodeDeadLetter([]byte(e.row))
		if err != nil {
			return page, unavailable(ctx, "decode a dead letter of store", s.prefix, err)
		}
		if !q.Selects(l) {
			continue
		}
		if len(page.Items) == limit {
			last := page.Items[limit-1]
			page.Next = place{created: last.At, exec: last.ID}.cursor()
			return page, nil
		}
		page.Items = append(page.Items, l)
	}
}
