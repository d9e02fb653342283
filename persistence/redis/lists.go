package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"

	goredis "github.com/redis/go-redis/v9"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// Executions lists newest first. A cursor names the place behind the last
// execution shown, by creation and id, which never change: a page neither repeats
// nor skips an execution because others moved meanwhile.
func (s *Store) Executions(ctx context.Context, q workflow.Query) (workflow.Page[*workflow.State], error) {
	var page workflow.Page[*workflow.State]
	behind, err := decodeCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	if q.Key != "" && q.WorkflowID == "" {
		return page, keyAlone(q.Key)
	}
	if err := s.begin(ctx); err != nil {
		return page, err
	}
	defer s.gate.leave()
	limit := pageOf(q.Limit)
	l := s.list(q, behind, limit)
	var last place
	for {
		places, err := l.next(ctx, limit-len(page.Items)+1)
		if err != nil {
			return page, err
		}
		if len(places) == 0 {
			return page, nil
		}
		states, err := s.statesOf(ctx, places)
		if err != nil {
			return page, err
		}
		for i, state := range states {
			if !selected(state, q) {
				continue
			}
			if len(page.Items) == limit {
				page.Next = last.cursor()
				return page, nil
			}
			page.Items = append(page.Items, state)
			last = places[i]
		}
	}
}

// statesOf reads the executions of some places. One that was swept since is nil.
func (s *Store) statesOf(ctx context.Context, places []place) ([]*workflow.State, error) {
	rows := make([]*goredis.StringCmd, len(places))
	_, err := s.client.reads.Pipelined(ctx, func(pipe goredis.Pipeliner) error {
		for i, at := range places {
			rows[i] = pipe.Get(ctx, s.home(at.exec).keyOf(keyState, at.exec))
		}
		return nil
	})
	if err != nil && !errors.Is(err, goredis.Nil) {
		return nil, unavailable(ctx, "read the executions of store", s.prefix, err)
	}
	states := make([]*workflow.State, len(places))
	for i, at := range places {
		if errors.Is(rows[i].Err(), goredis.Nil) {
			continue
		}
		snapshot, err := decodeState(at.exec, rows[i].Val())
		var corrupt *persistence.Corrupt
		switch {
		case errors.As(err, &corrupt):
			states[i] = persistence.Damaged(persistence.Listing{CreatedAt: at.created}, corrupt)
		case err != nil:
			return nil, err
		default:
			states[i] = snapshot.State
		}
	}
	return states, nil
}

// selected checks a state again: it was read after the index. A damaged execution
// is listed where its entry is, because nothing else is known of it.
func selected(state *workflow.State, q workflow.Query) bool {
	if state == nil {
		return false
	}
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

// compare orders places as they are listed: the newest first, and by id among
// those of one moment.
func (p place) compare(o place) int {
	switch {
	case p.created > o.created:
		return -1
	case p.created < o.created:
		return 1
	}
	return strings.Compare(p.exec, o.exec)
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
	p := parts{Rest: string(b), Err: err}
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

// Due returns up to limit timers due at or before until, earliest first, that
// are after the given one.
func (s *Store) Due(ctx context.Context, until workflow.Instant, after *persistence.Due, limit int) ([]persistence.Due, error) {
	b := bounds{"-", "+"}
	if until != math.MaxInt64 {
		b.greatest = beyond(ordered.Instant(nil, until+1))
	}
	if after != nil {
		b.least = beyond(timerMember(after.At, after.ExecID, after.Timer))
	}
	if err := s.begin(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	limit = pageOf(limit)
	var out []persistence.Due
	c := s.walk(s.parts, b, limit, keyTimers)
	for len(out) < limit {
		e, ok := c.next(ctx)
		if !ok {
			break
		}
		p := parts{Rest: e.member}
		d := persistence.Due{At: p.Instant(), ExecID: p.ID(), Timer: p.ID()}
		if err := p.End(); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, c.err
}

// NextDue returns the moment of the earliest timer, zero when there is none.
func (s *Store) NextDue(ctx context.Context) (workflow.Instant, error) {
	first, err := s.Due(ctx, math.MaxInt64, nil, 1)
	if err != nil || len(first) == 0 {
		return 0, err
	}
	return first[0].At, nil
}
