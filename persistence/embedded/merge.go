package embedded

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// merge walks several indexes of one order as if they were one, newest first,
// and shows every place once.
type merge struct {
	order order
	from  *place // show only what comes after it; nil for everything
	heads []*head
	at    place
	some  bool // at was shown
	err   error

	shared *pebble.Iterator // of all heads; nil: each has its own
}

// head is the next places of one index: in one that is read backwards those of one
// moment together, because it has their ids in the reverse order.
type head struct {
	it     *pebble.Iterator
	prefix int
	valid  bool
	places []place // in the order of the listing

	next, upper []byte // shared: where its next places begin, and where all of them end
	batch       int    // and how many were wanted last time
}

func merged(r reader, q workflow.Query, from *place, prefixes [][]byte, o order) (*merge, error) {
	m := &merge{order: o, from: from}
	for _, prefix := range prefixes {
		lower, upper := o.bounds(prefix, q, from)
		it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err), m.close())
		}
		h := &head{it: it, prefix: len(prefix)}
		if o.reverse {
			h.valid = it.Last()
		} else {
			h.valid = it.First()
		}
		m.heads = append(m.heads, h)
	}
	return m, nil
}

// next goes to the next place, false at the end or after an error.
func (m *merge) next() bool {
	for {
		first := m.first()
		if first == nil || m.err != nil {
			return false
		}
		at := first.places[0]
		first.places = first.places[1:]
		if m.some && at == m.at || m.from != nil && !m.from.before(at) {
			continue
		}
		m.at, m.some = at, true
		return true
	}
}

// first is the head with the next place, nil when all are at their end.
func (m *merge) first() *head {
	var first *head
	for _, h := range m.heads {
		if len(h.places) == 0 {
			m.refill(h)
		}
		if len(h.places) > 0 && (first == nil || h.places[0].before(first.places[0])) {
			first = h
		}
	}
	return first
}

// refill reads the next place, and in an index that is read backwards all that
// are of the same moment.
func (m *merge) refill(h *head) {
	h.places = h.places[:0]
	if m.shared != nil && h.valid && m.err == nil {
		m.gather(h)
		return
	}
	for h.valid && m.err == nil {
		at, err := m.order.place(h.it.Key()[h.prefix:])
		if err != nil {
			m.err = err
			return
		}
		if len(h.places) > 0 && h.places[0].created != at.created {
			break
		}
		h.places = append(h.places, at)
		if !m.order.reverse {
			h.valid = h.it.Next()
			return
		}
		h.valid = h.it.Prev()
	}
	slices.Reverse(h.places)
}

func (m *merge) place() place { return m.at }

func (m *merge) close() error {
	err := m.err
	its := []*pebble.Iterator{m.shared}
	for _, h := range m.heads {
		its = append(its, h.it)
	}
	for _, it := range its {
		if it == nil {
			continue
		}
		if closing := it.Close(); closing != nil {
			err = errors.Join(err, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, closing))
		}
	}
	return err
}
