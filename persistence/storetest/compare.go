package storetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/workflow"
	"pgregory.net/rapid"
)

// compare reads everything that a store can be asked and compares it.
func (m *model) compare(rt *rapid.T) {
	m.compareExecutions(rt)
	m.compareLists(rt)
	m.compareRest(rt)
}

// good fails the test on an error.
func good[T any](rt *rapid.T, what string) func(T, error) T {
	return func(v T, err error) T {
		rt.Helper()
		if err != nil {
			rt.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func (m *model) compareExecutions(rt *rapid.T) {
	ctx := context.Background()
	var working []string
	for id, e := range m.execs {
		s := good[*persistence.Snapshot](rt, "load")(m.store.Load(ctx, id))
		same(rt, "state", s.State, e.state)
		same(rt, "epoch", s.Epoch, e.epoch)
		rs := good[[]workflow.Record](rt, "records")(m.store.Records(ctx, id, 0, 1000))
		same(rt, "records", rs, e.records)
		for signal, r := range e.receipts {
			got := good[*workflow.Receipt](rt, "receipt")(m.store.Receipt(ctx, signal, id))
			same(rt, "receipt", got, &r)
		}
		if e.working {
			working = append(working, id)
		}
	}
	same(rt, "working", good[[]string](rt, "working")(m.store.Working(ctx, "", 100)), sorted(working))
	for _, signal := range []string{"x", "x\x00y", "z"} {
		var want []workflow.Receipt
		for _, id := range slices.Sorted(maps.Keys(m.execs)) {
			if r, ok := m.execs[id].receipts[signal]; ok {
				want = append(want, r)
			}
		}
		same(rt, "receipts", good[[]workflow.Receipt](rt, "receipts")(m.store.Receipts(ctx, signal, "", 100)), want)
	}
}

func (m *model) compareLists(rt *rapid.T) {
	ctx := context.Background()
	q := workflow.Query{Limit: rapid.IntRange(1, 4).Draw(rt, "limit")}
	if rapid.Bool().Draw(rt, "by status") {
		q.Status = someStatus.Draw(rt, "status")
	}
	if rapid.Bool().Draw(rt, "by wait") {
		q.WaitingFor = someNames.Draw(rt, "name")
	}
	if rapid.Bool().Draw(rt, "by key") {
		q.WorkflowID, q.Key = "orders", someKeys.Draw(rt, "key")
	}
	for _, value := range rapid.SliceOfN(someIDs, 0, 1).Draw(rt, "by label") {
		q.Labels = []workflow.Label{{Name: "l", Value: value}}
	}
	q.Live = rapid.Bool().Draw(rt, "live")
	q.Since = begin + workflow.Instant(moments.Draw(rt, "since"))
	var want []*workflow.State
	for _, e := range m.execs {
		if matches(e.state, q) {
			want = append(want, e.state)
		}
	}
	slices.SortFunc(want, func(a, b *workflow.State) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(a.ExecID, b.ExecID))
	})
	var got []*workflow.State
	for {
		page := good[workflow.Page[*workflow.State]](rt, "executions")(m.store.Executions(ctx, q))
		got = append(got, page.Items...)
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	same(rt, "executions", got, want)
	m.compareHolders(ctx, rt)
	m.compareWaits(ctx, rt)
	m.compareTimers(ctx, rt)
}

func (m *model) compareHolders(ctx context.Context, rt *rapid.T) {
	for _, key := range []string{"k", "k\x00", "key"} {
		got, err := m.store.Holder(ctx, "orders", key)
		if want := m.holder(key); got != want || want == "" && !errors.Is(err, persistence.ErrNotFound) {
			rt.Fatalf("holder of %q is %q, %v, want %q", key, got, err, want)
		}
	}
}

func (m *model) compareWaits(ctx context.Context, rt *rapid.T) {
	var want []workflow.WaitRow
	created := map[string]workflow.Instant{}
	for id, e := range m.execs {
		created[id] = e.state.CreatedAt
		for _, w := range e.state.Waits {
			want = append(want, workflow.WaitRow{ExecID: id, WorkflowID: e.state.WorkflowID, OpenWait: w})
		}
	}
	slices.SortFunc(want, func(a, b workflow.WaitRow) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(created[a.ExecID], created[b.ExecID]),
			cmp.Compare(a.ExecID, b.ExecID), cmp.Compare(a.ID, b.ID))
	})
	got := good[workflow.Page[workflow.WaitRow]](rt, "waits")(m.store.Waits(ctx, workflow.WaitQuery{Limit: 1000}))
	same(rt, "waits", got.Items, want)
	m.compareCorrelation(ctx, rt, want)
	if n := m.store.Stats().Waits; n != -1 {
		same(rt, "count of waits", n, int64(len(want)))
	}
}

func (m *model) compareTimers(ctx context.Context, rt *rapid.T) {
	var want []persistence.Due
	for id, e := range m.execs {
		for _, t := range e.state.Alarms() {
			want = append(want, persistence.Due{ExecID: id, Timer: t.ID, At: t.Due})
		}
	}
	slices.SortFunc(want, func(a, b persistence.Due) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ExecID, b.ExecID), cmp.Compare(a.Timer, b.Timer))
	})
	same(rt, "timers", good[[]persistence.Due](rt, "due")(m.store.Due(ctx, begin+1000, nil, 1000)), want)
	var first workflow.Instant
	if len(want) > 0 {
		first = want[0].At
	}
	same(rt, "next due", good[workflow.Instant](rt, "next due")(m.store.NextDue(ctx)), first)
}

func (m *model) compareRest(rt *rapid.T) {
	ctx := context.Background()
	var open []*workflow.EventReceipt
	for _, id := range slices.Sorted(maps.Keys(m.events)) {
		got := good[*workflow.EventReceipt](rt, "event")(m.store.Event(ctx, id))
		same(rt, "event", got, m.events[id])
		if m.events[id].Fate == workflow.FateAccepted {
			open = append(open, m.events[id])
		}
	}
	same(rt, "open events", good[[]*workflow.EventReceipt](rt, "open events")(m.store.OpenEvents(ctx, "", 100)), open)
	var documents []persistence.Document
	for _, id := range slices.Sorted(maps.Keys(m.documents)) {
		documents = append(documents, persistence.Document{ID: id, Body: []byte(m.documents[id])})
	}
	same(rt, "documents", good[[]persistence.Document](rt, "documents")(m.store.Documents(ctx, "kind", "", 100)), documents)
	m.compareKept(ctx, rt)
	m.compareBooks(ctx, rt)
	m.compareLetters(ctx, rt)
}

func (m *model) compareBooks(ctx context.Context, rt *rapid.T) {
	var want []workflow.BookRow
	for _, name := range slices.Sorted(maps.Keys(m.books)) {
		want = append(want, workflow.BookRow{Name: name, Tally: m.books[name]})
	}
	got := good[[]workflow.BookRow](rt, "books")(m.store.Books(ctx))
	same(rt, "books", got, want)
	for _, row := range got {
		if !row.Balanced() {
			rt.Fatalf("the books of %q do not balance: %+v", row.Name, row.Tally)
		}
	}
}

func (m *model) compareLetters(ctx context.Context, rt *rapid.T) {
	var want []*workflow.DeadLetter
	for id, l := range m.letters {
		got := good[*workflow.DeadLetter](rt, "letter")(m.store.Letter(ctx, id))
		same(rt, "letter", got, &l)
		l.Payload = nil
		want = append(want, &l)
	}
	slices.SortFunc(want, func(a, b *workflow.DeadLetter) int {
		return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.ID, b.ID))
	})
	page := good[workflow.Page[*workflow.DeadLetter]](rt, "letters")(m.store.Letters(ctx, workflow.LetterQuery{Limit: 1000}))
	same(rt, "letters", page.Items, want)
	same(rt, "count of letters", m.store.Stats().Letters, int64(len(want)))
}
