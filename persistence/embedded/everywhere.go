package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
)

// everyWorkflow merges the listings of all workflows. An index of its own for that
// would be a row more at every start and two at every end. There may be thousands
// of workflows, so their heads share an iterator, which goes to a head when it
// wants places.
func everyWorkflow(ctx context.Context, r reader, q workflow.Query, from *place) (*merge, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: []byte{famWorkflow}, UpperBound: []byte{famWorkflow + 1}})
	if err != nil {
		return nil, fmt.Errorf("%w: scan the rows: %w", persistence.ErrUnavailable, err)
	}
	m := &merge{order: listOrder, from: from, shared: it}
	ok := it.First()
	for n := 1; ok; n++ {
		if n%contextEvery == 0 && ctx.Err() != nil {
			return nil, errors.Join(ctx.Err(), m.close())
		}
		p := parts{Rest: it.Key()[1:]}
		id, status := p.ID(), p.ID()
		if p.Err != nil {
			return nil, errors.Join(p.Err, m.close())
		}
		prefix := key2(nil, famWorkflow, id, status)
		if wanted(q, workflow.Status(status)) {
			lower, upper := m.order.bounds(prefix, q, from)
			m.heads = append(m.heads, &head{prefix: len(prefix), valid: true, next: lower, upper: upper})
		}
		ok = it.SeekGE(afterAll(prefix))
	}
	return m, nil
}

// gather reads the next places of a head that shares its iterator: more each time,
// because of most workflows a page shows none or few.
func (m *merge) gather(h *head) {
	h.batch = min(2*h.batch+1, placesAtOnce)
	for ok := m.shared.SeekGE(h.next); ok && bytes.Compare(m.shared.Key(), h.upper) < 0; ok = m.shared.Next() {
		if len(h.places) == h.batch {
			h.next = append(h.next[:0], m.shared.Key()...)
			return
		}
		at, err := m.order.place(m.shared.Key()[h.prefix:])
		if err != nil {
			m.err = err
			return
		}
		h.places = append(h.places, at)
	}
	h.valid = false
}
