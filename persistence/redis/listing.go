package redis

import (
	"context"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/persistence/ordered"
	"github.com/signalbox/signalbox/workflow"
)

// listing walks the indexes that a query of executions is answered from as if they
// were one, over all partitions, the newest first, and shows every place once.
//
// An execution that moves from one status to another between two reads must not
// be missed. So all ranges of a partition are read by one script, as of one
// moment, and each read begins behind the last place that was shown.
type listing struct {
	store    *Store
	query    workflow.Query
	indexes  []string
	prefixes [][]byte // each is looked for in every index
	down     bool     // the index has the oldest first
	heads    []*placeHead
	chunk    int
}

// placeHead is what was read of one partition and not shown yet.
type placeHead struct {
	part   *partition
	behind *place // read on behind this
	places []place
	chunk  int
	end    bool
}

// greatestExec sorts behind every id.
var greatestExec = strings.Repeat("\xff", workflow.MaxNameBytes+1)

func (s *Store) list(q workflow.Query, behind *place, want int) *listing {
	l := &listing{store: s, query: q}
	statuses := workflow.Statuses
	switch {
	case q.Status != "":
		statuses = []workflow.Status{q.Status}
	case q.Live:
		statuses = slices.DeleteFunc(slices.Clone(statuses), workflow.Status.Finished)
	}
	switch { // the narrowest index first
	case q.Key != "":
		l.indexes = []string{keyKeys}
		l.prefixes = [][]byte{member2(q.WorkflowID, q.Key)}
	case q.WaitingFor != "":
		l.indexes, l.down = []string{keyWaits, keyKeyed}, true
		l.prefixes = [][]byte{member1(q.WaitingFor)}
	case len(q.Labels) > 0:
		l.indexes = []string{keyLabels}
		l.prefixes = [][]byte{member2(q.Labels[0].Name, q.Labels[0].Value)}
	case q.WorkflowID != "":
		l.indexes = []string{keyWorkflow}
		for _, status := range statuses {
			l.prefixes = append(l.prefixes, member2(q.WorkflowID, string(status)))
		}
	default:
		l.indexes = []string{keyStatus}
		for _, status := range statuses {
			l.prefixes = append(l.prefixes, member1(string(status)))
		}
	}
	l.chunk = min(max(want/len(s.parts)+2, leastChunk), mostChunk)
	for _, p := range s.parts {
		l.heads = append(l.heads, &placeHead{part: p, behind: behind, chunk: l.chunk})
	}
	return l
}

// next returns up to limit places, none at the end.
func (l *listing) next(ctx context.Context, limit int) ([]place, error) {
	var out []place
	for len(out) < limit {
		if err := l.fill(ctx); err != nil {
			return nil, err
		}
		var first *placeHead
		for _, h := range l.heads {
			if len(h.places) > 0 && (first == nil || h.places[0].compare(first.places[0]) < 0) {
				first = h
			}
		}
		if first == nil {
			break
		}
		out = append(out, first.places[0])
		first.places = first.places[1:]
	}
	return out, nil
}

// fill reads on in every partition of which nothing is at hand.
func (l *listing) fill(ctx context.Context) error {
	for {
		var empty []*placeHead
		var in []*partition
		for _, h := range l.heads {
			if len(h.places) == 0 && !h.end {
				empty = append(empty, h)
				in = append(in, h.part)
			}
		}
		if len(empty) == 0 {
			return nil
		}
		at := 0
		cmds, err := l.store.evaluateEach(ctx, in, rangesScript, func(p *partition) ([]string, []any) {
			h := empty[at]
			at = (at + 1) % len(empty)
			keys := make([]string, len(l.indexes))
			for i, index := range l.indexes {
				keys[i] = p.key(index)
			}
			return keys, l.ranges(h)
		})
		if err != nil {
			return unavailable(ctx, "read the index", l.indexes[0], err)
		}
		for i, h := range empty {
			answer, err := cmds[i].Slice()
			if err != nil {
				return unavailable(ctx, "read the index", l.indexes[0], err)
			}
			if err := l.take(h, answer); err != nil {
				return err
			}
		}
	}
}

// ranges are the arguments of the script for what follows in a partition.
func (l *listing) ranges(h *placeHead) []any {
	direction := "up"
	if l.down {
		direction = "down"
	}
	args := []any{direction, h.chunk}
	for _, prefix := range l.prefixes {
		b := under(prefix)
		switch {
		case l.down:
			// Those of one moment come in the reverse order of their ids, so the whole
			// moment of the place is read again.
			if h.behind != nil {
				b.greatest = upTo(ordered.Instant(slices.Clone(prefix), h.behind.created))
			}
			if l.query.Since != 0 {
				b.least = from(ordered.Instant(slices.Clone(prefix), l.query.Since))
			}
		default:
			if h.behind != nil {
				b.least = beyond(ordered.ID(ordered.Past(slices.Clone(prefix), h.behind.created), h.behind.exec))
			}
			if l.query.Since != 0 {
				b.greatest = upTo(ordered.Past(slices.Clone(prefix), l.query.Since))
			}
		}
		for i := range l.indexes {
			args = append(args, i+1, b.least, b.greatest)
		}
	}
	return args
}

// take takes the answer of a partition: as much of it as is complete.
func (l *listing) take(h *placeHead, answer []any) error {
	var known *place // nothing is known behind it
	h.end = true
	for i := range answer {
		prefix := l.prefixes[i/len(l.indexes)]
		members, _ := answer[i].([]any)
		var last place
		for _, m := range members {
			text, _ := m.(string)
			p := parts{Rest: text[len(prefix):]}
			if l.down {
				last = place{created: p.Instant(), exec: p.ID()}
				p.ID()
			} else {
				last = place{created: p.Past(), exec: p.ID()}
			}
			if err := p.End(); err != nil {
				return err
			}
			h.places = append(h.places, last)
		}
		if len(members) < h.chunk {
			continue
		}
		h.end = false
		if l.down {
			last = place{created: last.created + 1, exec: greatestExec} // its moment is not complete
		}
		if known == nil || last.compare(*known) < 0 {
			known = &last
		}
	}
	slices.SortFunc(h.places, place.compare)
	h.places = slices.Compact(h.places)
	h.places = slices.DeleteFunc(h.places, func(at place) bool {
		return known != nil && at.compare(*known) > 0 || h.behind != nil && at.compare(*h.behind) <= 0
	})
	switch {
	case len(h.places) > 0:
		last := h.places[len(h.places)-1]
		h.behind = &last
		h.chunk = l.chunk
	case !h.end:
		h.chunk *= 2 // a moment with more executions than that
	}
	return nil
}
