package actors

import (
	"context"
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// lookup finds the open waits that an event can satisfy: for each part of a
// message that waits of its name are indexed on, those with the key that this one
// has there; and then those without a key, all of them. It is a filter that
// misses nobody; whether a condition holds is judged by the execution.
type lookup struct {
	event   workflow.Event
	queries []workflow.WaitQuery // that are left
	ready   bool
	seen    map[string]bool // executions found by a key, which may be found again
	last    string          // execution that was found last

	asked  []workflow.WaitQuery // that are done
	before []workflow.WaitQuery // those of them that may have found executions of this page which are not in seen
}

// next reads a page of waits, at most one of each execution; done on the last one.
func (l *lookup) next(ctx context.Context, s *System, limit int) (rows []workflow.WaitRow, done bool, err error) {
	if !l.ready {
		if err := l.plan(ctx, s); err != nil {
			return nil, false, err
		}
	}
	if len(l.seen) >= MaxSeen {
		l.before = l.asked
	}
	q := l.queries[0]
	q.Limit = limit
	page, err := s.Store.Waits(ctx, q)
	if err != nil {
		return nil, false, err
	}
	for _, row := range page.Items {
		if row.ExecID == l.last || l.seen[row.ExecID] {
			continue // an execution that is given an event looks at all of its waits
		}
		l.last = row.ExecID
		if q.Key != "" && len(l.seen) < MaxSeen {
			l.seen[row.ExecID] = true
		}
		rows = append(rows, row)
	}
	l.queries[0].Cursor = page.Next
	if page.Next == "" {
		l.asked, l.queries = append(l.asked, q), l.queries[1:]
	}
	return rows, len(l.queries) == 0, nil
}

// given reports whether an execution, which answered now, may have been found by
// one of the queries and given the event then: it says so itself, or passes it by
// with a wait that such a query finds.
func given(ev *workflow.Event, before []workflow.WaitQuery, r *Reply) bool {
	switch {
	case len(before) == 0:
		return false
	case r.Known:
		return true
	case r.Matched || r.State == nil:
		return false
	}
	return slices.ContainsFunc(r.State.Waits, func(w workflow.OpenWait) bool {
		return w.Name == ev.Name && slices.ContainsFunc(before, func(q workflow.WaitQuery) bool { return q.Path == w.Path && q.Key == w.Key })
	})
}

// plan asks the index which parts of a message matter.
func (l *lookup) plan(ctx context.Context, s *System) error {
	paths, err := s.Store.KeyPaths(ctx, l.event.Name)
	if err != nil {
		return err
	}
	keys := workflow.KeysOf(&l.event)
	for _, path := range paths {
		if key := keys.At(path); key != "" {
			l.queries = append(l.queries, workflow.WaitQuery{Name: l.event.Name, Path: path, Key: key})
		}
	}
	if len(l.queries) > 0 {
		l.seen = make(map[string]bool)
	}
	l.queries = append(l.queries, workflow.WaitQuery{Name: l.event.Name, Unkeyed: true})
	l.ready = true
	return nil
}
