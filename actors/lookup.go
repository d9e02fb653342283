package actors

import (
	"context"

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
}

// next reads a page of waits, at most one of each execution; done on the last one.
func (l *lookup) next(ctx context.Context, s *System, limit int) (rows []workflow.WaitRow, done bool, err error) {
	if !l.ready {
		if err := l.plan(ctx, s); err != nil {
			return nil, false, err
		}
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
		l.queries = l.queries[1:]
	}
	return rows, len(l.queries) == 0, nil
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
