package embedded

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Executions lists newest first. A cursor names the place behind the last
// execution shown, by creation and id, which never change: a page neither repeats
// nor skips an execution because others moved meanwhile.
func (s *Store) Executions(ctx context.Context, q workflow.Query) (page workflow.Page[*workflow.State], err error) {
	s.reread(func() { page, err = s.executions(ctx, q) })
	return page, err
}

func (s *Store) executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error) {
	var page workflow.Page[*workflow.State]
	from, err := decodeCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Key != "" && q.WorkflowID == "" {
		return page, keyAlone(q.Key)
	}
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.leave()
	rows, err := newView(s.db)
	if err != nil {
		return page, err
	}
	src, err := source(ctx, rows, q, from)
	if err != nil {
		return page, rows.close(err)
	}
	limit := pageOf(q.Limit)
	var last place
	for n := 1; src.next(); n++ {
		if n%contextEvery == 0 && ctx.Err() != nil {
			err = ctx.Err()
			break
		}
		at := src.place()
		var state *workflow.State
		if state, err = listed(rows, at); err != nil {
			break
		}
		if !selected(state, q) {
			continue
		}
		if len(page.Items) == limit {
			page.Next = last.cursor()
			break
		}
		page.Items = append(page.Items, state)
		last = at
	}
	return page, rows.close(errors.Join(err, src.close()))
}

// source chooses the index that a query is answered from, the narrowest first:
// who has a key, who waits for a name, who has a label, or the listing of one
// workflow or of all, of one status or of all merged.
func source(ctx context.Context, r reader, q workflow.Query, from *place) (*merge, error) {
	if q.Key != "" {
		return merged(r, q, from, [][]byte{key2(nil, famKey, q.WorkflowID, q.Key)}, listOrder)
	}
	if q.WaitingFor != "" {
		return merged(r, q, from, [][]byte{key1(nil, famWait, q.WaitingFor), key1(nil, famKeyed, q.WaitingFor)}, waitOrder)
	}
	if len(q.Labels) > 0 {
		return merged(r, q, from, [][]byte{key2(nil, famLabel, q.Labels[0].Name, q.Labels[0].Value)}, listOrder)
	}
	if q.WorkflowID == "" {
		return everyWorkflow(ctx, r, q, from)
	}
	var prefixes [][]byte
	for _, status := range workflow.Statuses {
		if wanted(q, status) {
			prefixes = append(prefixes, key2(nil, famWorkflow, q.WorkflowID, string(status)))
		}
	}
	return merged(r, q, from, prefixes, listOrder)
}

// wanted reports whether a query is for executions of that status.
func wanted(q workflow.Query, status workflow.Status) bool {
	return (q.Status == "" || q.Status == status) && !(q.Live && status.Finished())
}

// listed reads an execution that an index lists.
func listed(r reader, at place) (*workflow.State, error) {
	snapshot, err := load(r, at.exec, nil)
	var corrupt *persistence.Corrupt
	switch {
	case errors.As(err, &corrupt):
		return persistence.Damaged(persistence.Listing{CreatedAt: at.created}, corrupt), nil
	case errors.Is(err, persistence.ErrNotFound):
		return persistence.Damaged(persistence.Listing{CreatedAt: at.created},
			&persistence.Corrupt{ExecID: at.exec, Cause: "it is listed, but there is no snapshot of it"}), nil
	case err != nil:
		return nil, err
	}
	return snapshot.State, nil
}

// selected checks what the index did not. A damaged execution is listed where its
// index entry is, because nothing else is known of it.
func selected(state *workflow.State, q workflow.Query) bool {
	if state.Error != nil && state.Error.Code == persistence.CodeCorrupt {
		return true
	}
	return q.Selects(state)
}

// place is where an execution stands in a listing.
type place struct {
	created workflow.Instant
	exec    string
}

// before says whether a place is listed before another: the newest first, and by
// id among those of one moment.
func (p place) before(o place) bool {
	if p.created != o.created {
		return p.created > o.created
	}
	return p.exec < o.exec
}

func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString(ordered.ID(ordered.Past(nil, p.created), p.exec))
}

// decodeCursor returns nil for the first page.
func decodeCursor(cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	p := parts{Rest: b, Err: err}
	at := place{created: p.Past(), exec: p.ID()}
	if p.End() != nil {
		return nil, badCursor(cursor)
	}
	return &at, nil
}

func badCursor(cursor string) error {
	return &workflow.Refusal{
		Code:    workflow.CodeInvalid,
		Message: fmt.Sprintf("the cursor %.60q is none that a page of this list named", cursor),
		Hint:    "leave it out to begin at the first page",
	}
}

// keyAlone refuses to look for a key in all workflows.
func keyAlone(key string) error {
	return &workflow.Refusal{
		Code:    workflow.CodeInvalid,
		Message: fmt.Sprintf("the key %q is looked for without a workflow", key),
		Hint:    "name the workflow, too: each has keys of its own",
	}
}

// order is how the keys of an index name places.
type order struct {
	place   func(rest []byte) (place, error)
	bounds  func(prefix []byte, q workflow.Query, from *place) (lower, upper []byte)
	reverse bool // the last key is the newest
}

// listOrder is that of famWorkflow, famKey and famLabel. The place of the cursor comes
// back as the first one when it is still there, and merge skips it.
var listOrder = order{
	place: func(rest []byte) (place, error) {
		p := parts{Rest: rest}
		at := place{created: p.Past(), exec: p.ID()}
		return at, p.End()
	},
	bounds: func(prefix []byte, q workflow.Query, from *place) ([]byte, []byte) {
		lower, upper := prefix, afterAll(prefix)
		if from != nil {
			lower = ordered.ID(ordered.Past(bytes.Clone(prefix), from.created), from.exec)
		}
		if q.Since != 0 {
			upper = afterAll(ordered.Past(bytes.Clone(prefix), q.Since))
		}
		return lower, upper
	},
}

// waitOrder is that of famWait and famKeyed, read backwards. Executions of one moment come in
// the reverse order of their ids there, which merge puts right.
var waitOrder = order{
	place: func(rest []byte) (place, error) {
		p := parts{Rest: rest}
		at := place{created: p.Instant(), exec: p.ID()}
		p.ID()
		return at, p.End()
	},
	bounds: func(prefix []byte, q workflow.Query, from *place) ([]byte, []byte) {
		lower, upper := prefix, afterAll(prefix)
		if from != nil {
			upper = afterAll(ordered.Instant(bytes.Clone(prefix), from.created))
		}
		if q.Since != 0 {
			lower = ordered.Instant(bytes.Clone(prefix), q.Since)
		}
		return lower, upper
	},
	reverse: true,
}

// Waits lists open waits by name, then by the creation and the id of their
// executions, oldest first; those of a key in the order of its index.
func (s *Store) Waits(ctx context.Context, q workflow.WaitQuery) (workflow.Page[workflow.WaitRow], error) {
	var page workflow.Page[workflow.WaitRow]
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.leave()
	if q.Key != "" {
		return s.correlated(ctx, q)
	}
	var known *silence
	if q.Unkeyed && q.Name != "" && q.WorkflowID == "" && q.Cursor == "" {
		if known = s.unawaited.of(q.Name); known.unkeyed.Load() {
			return page, nil
		}
	}
	prefix := []byte{famWait}
	if q.Name != "" {
		prefix = key1(nil, famWait, q.Name)
	}
	from := prefix
	if q.Cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err != nil || !bytes.HasPrefix(b, prefix) {
			return page, badCursor(q.Cursor)
		}
		from = append(b, 0)
	}
	families := []byte{famWait, famKeyed}
	if q.Unkeyed {
		families = families[:1]
	}
	list, err := listWaits(s.db, prefix, from, families...)
	if err != nil {
		return page, err
	}
	err = errors.Join(waitPage(ctx, list, q, &page), list.close())
	if known != nil && err == nil && len(page.Items) == 0 {
		known.unkeyed.Store(true)
	}
	return page, err
}

// waitPage fills a page from a list.
func waitPage(ctx context.Context, list *twoLists, q workflow.WaitQuery, page *workflow.Page[workflow.WaitRow]) error {
	limit := pageOf(q.Limit)
	var last []byte
	n := 0
	for at := list.head(); at >= 0; at = list.head() {
		if n++; n%contextEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		key := list.its[at].Key()
		p := parts{Rest: key[1:]}
		p.ID()
		p.Instant()
		exec := p.ID()
		p.ID()
		if err := p.End(); err != nil {
			return err
		}
		row, err := persistence.DecodeWaitRow(exec, list.its[at].Value())
		if err != nil {
			return err
		}
		if q.WorkflowID == "" || row.WorkflowID == q.WorkflowID {
			if len(page.Items) == limit {
				page.Next = base64.RawURLEncoding.EncodeToString(last)
				return nil
			}
			page.Items = append(page.Items, row)
			last = append(append(last[:0], famWait), key[1:]...)
		}
		list.next(at)
	}
	return nil
}

// Due returns up to limit timers due at or before until, earliest first, that
// are after the given one.
func (s *Store) Due(ctx context.Context, until workflow.Instant, after *persistence.Due, limit int) ([]persistence.Due, error) {
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if after != nil {
		from := append(timerKey(nil, after.At, after.ExecID, after.Timer), 0)
		out, _, err := s.timersFrom(ctx, from, until, pageOf(limit))
		return out, err
	}
	out, none, err := s.timersFrom(ctx, s.floorKey(), until, pageOf(limit))
	s.timers.end(none)
	return out, err
}

// floorKey begins a scan of timers; whoever calls it calls s.timers.end.
func (s *Store) floorKey() []byte { return ordered.Instant([]byte{famTimer}, s.timers.begin()) }

// timersFrom also returns an instant before which no timer was seen.
func (s *Store) timersFrom(ctx context.Context, from []byte, until workflow.Instant, limit int) ([]persistence.Due, workflow.Instant, error) {
	var out []persistence.Due
	none := never
	err := scan(ctx, s.db, []byte{famTimer}, from, func(rest, _ []byte) (bool, error) {
		p := parts{Rest: rest}
		d := persistence.Due{At: p.Instant(), ExecID: p.ID(), Timer: p.ID()}
		if err := p.End(); err != nil {
			return false, err
		}
		none = min(none, d.At)
		if d.At > until {
			return false, nil
		}
		out = append(out, d)
		return len(out) < limit, nil
	})
	if err != nil {
		return nil, newFloor().at, err
	}
	return out, none, nil
}

// NextDue returns the moment of the earliest timer, zero when there is none.
func (s *Store) NextDue(ctx context.Context) (workflow.Instant, error) {
	if err := s.begin(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	_, none, err := s.timersFrom(ctx, s.floorKey(), never, 1)
	s.timers.end(none)
	if err != nil || none == never {
		return 0, err
	}
	return none, nil
}
