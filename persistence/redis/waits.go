package redis

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Waits lists open waits by name, then by the creation and the id of their
// executions, oldest first; those of a key in the order of its index.
func (s *Store) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	if err := s.begin(ctx); err != nil {
		return workflow.Page[workflow.WaitRow]{}, err
	}
	defer s.gate.leave()
	if q.Key != "" {
		return s.correlated(ctx, q)
	}
	var prefix []byte
	if q.Name != "" {
		prefix = member1(q.Name)
	}
	b := under(prefix)
	if q.Cursor != "" {
		at, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err != nil || len(at) == 0 || !strings.HasPrefix(string(at), string(prefix)) {
			return workflow.Page[workflow.WaitRow]{}, badCursor(q.Cursor)
		}
		b.least = beyond(at)
	}
	indexes := []string{keyWaits, keyKeyed}
	if q.Unkeyed {
		indexes = indexes[:1]
	}
	page := waitPage{query: q, limit: pageOf(q.Limit)}
	err := page.fill(ctx, s.walk(s.parts, b, page.limit+1, indexes...).with(rowsScript, keyWaitRows), placeOfWait)
	return page.page, err
}

// waitPage is a page that is being filled.
type waitPage struct {
	query workflow.WaitQuery
	limit int
	page  workflow.Page[workflow.WaitRow]
	last  string
}

// fill adds waits from a cursor, until the page is full: then Next is set.
func (w *waitPage) fill(ctx context.Context, c *cursor, exec func(member string) (string, error)) error {
	for {
		e, ok := c.next(ctx)
		if !ok {
			return c.err
		}
		id, err := exec(e.member)
		if err != nil {
			return err
		}
		if !e.some {
			continue
		}
		row, err := persistence.DecodeWaitRow(id, []byte(e.row))
		if err != nil {
			return err
		}
		if w.query.WorkflowID != "" && row.WorkflowID != w.query.WorkflowID {
			continue
		}
		if len(w.page.Items) == w.limit {
			w.page.Next = base64.RawURLEncoding.EncodeToString([]byte(w.last))
			return nil
		}
		w.page.Items = append(w.page.Items, row)
		w.last = e.member
	}
}

// placeOfWait is the execution in a member of keyWaits and keyKeyed.
func placeOfWait(member string) (string, error) {
	p := parts{Rest: member}
	p.ID()
	p.Instant()
	exec := p.ID()
	p.ID()
	return exec, p.End()
}

// placeOfKeyed is the execution in a member of keyCorrelation.
func placeOfKeyed(member string) (string, error) {
	p := parts{Rest: member}
	p.ID()
	p.ID()
	p.ID()
	p.Instant()
	exec := p.ID()
	p.ID()
	return exec, p.End()
}

// correlated lists the waits that are indexed by a key: those of a name and a
// path, or of every one that there is. The order is that of the index.
func (s *Store) correlated(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	page := waitPage{query: q, limit: pageOf(q.Limit)}
	var prefix []byte
	begins := []string{""}
	var err error
	switch {
	case q.Name != "" && q.Path != "":
		prefix = ordered.ID(member2(q.Name, q.Path), q.Key)
		begins[0] = string(member2(q.Name, q.Path))
	case q.Name != "":
		prefix = member1(q.Name)
		begins, err = s.paths(ctx, prefix)
	default:
		begins, err = s.paths(ctx, nil)
	}
	var at []byte
	if err == nil && q.Cursor != "" {
		at, err = keyCursor(q.Cursor, prefix)
	}
	if err != nil {
		return page.page, err
	}
	for _, begin := range begins {
		key := ordered.ID([]byte(begin), q.Key)
		b := under(key)
		switch {
		case at == nil || string(at) < string(key):
		case strings.HasPrefix(string(at), string(key)):
			b.least = beyond(at)
		default:
			continue // behind us
		}
		if q.Path != "" && !strings.HasSuffix(begin, string(member1(q.Path))) {
			continue
		}
		if err := page.fill(ctx, s.walk(s.parts, b, page.limit+1, keyCorrelation).with(keyedScript, keyWaitRows), placeOfKeyed); err != nil || page.page.Next != "" {
			return page.page, err
		}
	}
	return page.page, nil
}

// keyCursor is the member behind which a page begins.
func keyCursor(cursor string, prefix []byte) ([]byte, error) {
	at, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = placeOfKeyed(string(at))
	}
	if err != nil || !strings.HasPrefix(string(at), string(prefix)) {
		return nil, badCursor(cursor)
	}
	return at, nil
}

// KeyPaths returns the paths on which open waits of a name are indexed, out of
// the index itself, so there is nothing beside it that could disagree with it.
func (s *Store) KeyPaths(ctx context.Context, name string) ([]string, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	prefix := member1(name)
	begins, err := s.paths(ctx, prefix)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, begin := range begins {
		p := parts{Rest: begin[len(prefix):]}
		out = append(out, p.ID())
		if err := p.End(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// paths returns what begins the members of the index of waits by key under a
// prefix, name and path, in their order.
func (s *Store) paths(ctx context.Context, prefix []byte) ([]string, error) {
	var out []string
	b := under(prefix)
	least := make([]string, len(s.parts))
	for i := range least {
		least[i] = b.least
	}
	for in := s.parts; len(in) > 0; {
		cmds, err := s.evaluateEach(ctx, in, pathsScript, func(p *partition) ([]string, []any) {
			return []string{p.key(keyCorrelation)}, []any{least[p.number], b.greatest, mostChunk}
		})
		if err != nil {
			return nil, unavailable(ctx, "read the index", keyCorrelation, err)
		}
		var more []*partition
		for i, p := range in {
			found, err := cmds[i].StringSlice()
			if err != nil {
				return nil, unavailable(ctx, "read the index", keyCorrelation, err)
			}
			out = append(out, found...)
			if len(found) == mostChunk {
				least[p.number] = "[" + string(ordered.After([]byte(found[mostChunk-1])))
				more = append(more, p)
			}
		}
		in = more
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
