package http

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// fakeLetters are the dead letters and the books of a fakeNode.
type fakeLetters struct {
	kept  []*workflow.DeadLetter
	books []workflow.BookRow
}

func (f *fakeLetters) find(id string) (int, error) {
	i := slices.IndexFunc(f.kept, func(l *workflow.DeadLetter) bool { return l.ID == id })
	if i < 0 {
		return i, &workflow.Refusal{Code: workflow.CodeNoLetter, Message: "there is no dead letter " + id}
	}
	return i, nil
}

func (f *fakeLetters) Letters(_ context.Context, q workflow.LetterQuery) (workflow.Page[*workflow.DeadLetter], error) {
	var selected []*workflow.DeadLetter
	for _, l := range f.kept {
		if q.Selects(l) {
			listed := *l
			listed.Payload = nil
			selected = append(selected, &listed)
		}
	}
	return page(selected, func(l *workflow.DeadLetter) string { return l.ID }, q.Limit, q.Cursor), nil
}

func (f *fakeLetters) LetterGroups(_ context.Context, q workflow.LetterQuery) ([]workflow.LetterGroup, error) {
	var groups []workflow.LetterGroup
	for _, l := range f.kept {
		if q.Selects(l) {
			groups = append(groups, workflow.LetterGroup{Cause: l.Cause, Kind: l.Kind, Name: l.Name, WorkflowID: l.WorkflowID, Count: 1, First: l.At, Last: l.At, Latest: l})
		}
	}
	return groups, nil
}

func (f *fakeLetters) Letter(_ context.Context, id string) (*workflow.DeadLetter, error) {
	i, err := f.find(id)
	if err != nil {
		return nil, err
	}
	return f.kept[i], nil
}

func (f *fakeLetters) Redeliver(_ context.Context, id string, who workflow.Redeliverer) (workflow.Redelivery, error) {
	i, err := f.find(id)
	if err != nil {
		return workflow.Redelivery{}, err
	}
	l := f.kept[i]
	if l.Cause == workflow.CauseFinished && !who.Force {
		return workflow.Redelivery{}, &workflow.Refusal{Code: workflow.CodeFinished, Message: "the execution has finished"}
	}
	f.kept = slices.Delete(f.kept, i, i+1)
	return workflow.Redelivery{LetterID: id, Kind: l.Kind, MessageID: l.MessageID, ExecID: l.ExecID, Name: l.Name, Fate: workflow.FateBuffered,
		Answer: &workflow.Answer{SignalID: l.MessageID, Outcome: workflow.KeptForWait, Reason: "no wait is open"}}, nil
}

func (f *fakeLetters) RedeliverAll(ctx context.Context, q workflow.LetterQuery, who workflow.Redeliverer) (workflow.Redeliveries, error) {
	var done workflow.Redeliveries
	page, err := f.Letters(ctx, q)
	for _, l := range page.Items {
		if _, err := f.Redeliver(ctx, l.ID, who); err != nil {
			done.Refused = append(done.Refused, workflow.RefusedRedelivery{LetterID: l.ID, Code: workflow.CodeFinished, Reason: err.Error()})
			continue
		}
		done.Redelivered++
	}
	done.More = page.Next != ""
	return done, err
}

func (f *fakeLetters) Discard(_ context.Context, id string) error {
	i, err := f.find(id)
	if err == nil {
		f.kept = slices.Delete(f.kept, i, i+1)
	}
	return err
}

func (f *fakeLetters) DiscardAll(ctx context.Context, q workflow.LetterQuery) (int, bool, error) {
	page, err := f.Letters(ctx, q)
	for _, l := range page.Items {
		if err := f.Discard(ctx, l.ID); err != nil {
			return 0, false, err
		}
	}
	return len(page.Items), page.Next != "", err
}

func (f *fakeLetters) Books(context.Context) ([]workflow.BookRow, error) { return f.books, nil }

// withLetters is a door whose node has dead letters: three signals and an event.
func withLetters(t *testing.T) *door {
	d := newDoor(t)
	for i := range 3 {
		d.node.kept = append(d.node.kept, &workflow.DeadLetter{
			ID: fmt.Sprint("l", i), Kind: workflow.KindSignal, MessageID: fmt.Sprint("s", i), ExecID: "e1", WorkflowID: "approval", Name: "go",
			Payload: workflow.Value(`{"iban":"DE89"}`), Cause: workflow.CauseExpired, Accepted: true, ReceivedAt: 1000, At: workflow.Instant(9000 - i),
			Near: &workflow.NearMiss{Wait: "hold/1", Closed: 7000, Reason: "wait hold/1 was satisfied 2s earlier"},
		})
	}
	d.node.kept[2].Cause = workflow.CauseFinished
	d.node.kept = append(d.node.kept, &workflow.DeadLetter{ID: "l3", Kind: workflow.KindEvent, MessageID: "ev", Name: "piad", Cause: workflow.CauseUnmatched, ReceivedAt: 90, At: 100})
	return d
}

func TestDeadLettersAreListedWithoutAndShownWithTheirPayload(t *testing.T) {
	d := withLetters(t)
	a := d.get("/api/v0/deadletters?limit=3").want(200)
	list := data[DeadLetterList](a)
	if len(list.DeadLetters) != 3 || list.Page.NextCursor == "" || strings.Contains(string(a.Body), "DE89") || list.DeadLetters[0].Near.WaitID != "hold/1" {
		t.Fatalf("%s", a.Body)
	}
	list = data[DeadLetterList](d.get("/api/v0/deadletters?limit=3&cursor=" + list.Page.NextCursor).want(200))
	if len(list.DeadLetters) != 1 || list.DeadLetters[0].MessageID != "ev" || list.Page.NextCursor != "" {
		t.Fatalf("%+v", list)
	}
	for filter, want := range map[string]int{"cause=expired": 2, "name=piad": 1, "exec_id=e1": 3, "workflow_id=other": 0, "kind=event": 1, "since=1970-01-01T00:00:08.999Z": 2} {
		if got := data[DeadLetterList](d.get("/api/v0/deadletters?" + filter).want(200)); len(got.DeadLetters) != want {
			t.Errorf("%s: %d letters, want %d", filter, len(got.DeadLetters), want)
		}
	}
	if groups := data[DeadLetterList](d.get("/api/v0/deadletters?grouped=true&cause=unmatched").want(200)).Groups; len(groups) != 1 || groups[0].Count != 1 || groups[0].Latest.ID != "l3" {
		t.Fatalf("%+v", groups)
	}
	if l := data[DeadLetter](d.get("/api/v0/deadletters/l0").want(200)); string(l.Payload) != `{"iban":"DE89"}` {
		t.Fatalf("%+v", l)
	}
	d.get("/api/v0/deadletters/nobody").problem(404, workflow.CodeNoLetter)
	for _, bad := range []string{"cause=bad-luck", "kind=letter", "since=yesterday", "limit=0", "grouped=maybe", "colour=red"} {
		d.get("/api/v0/deadletters?"+bad).problem(400, workflow.CodeInvalid)
	}
}

func TestDeadLettersAreRedeliveredAndDiscarded(t *testing.T) {
	d := withLetters(t)
	r := data[RedeliveryAnswer](d.do("POST", "/api/v0/deadletters/l0/redeliver", "").want(200))
	if r.MessageID != "s0" || r.State != workflow.FateBuffered || r.Outcome != workflow.KeptForWait || r.ReceiptURL != "/api/v0/signals/s0" {
		t.Fatalf("%+v", r)
	}
	d.do("POST", "/api/v0/deadletters/l0/redeliver", "").problem(404, workflow.CodeNoLetter)
	d.do("POST", "/api/v0/deadletters/l2/redeliver", "").problem(409, workflow.CodeFinished)
	d.do("POST", "/api/v0/redeliveries", "").problem(400, workflow.CodeInvalid)
	d.do("DELETE", "/api/v0/deadletters", "").problem(400, workflow.CodeInvalid)
	all := data[RedeliveriesAnswer](d.do("POST", "/api/v0/redeliveries?name=go", "").want(200))
	if all.Redelivered != 1 || len(all.Refused) != 1 || all.Refused[0].Code != workflow.CodeFinished {
		t.Fatalf("%+v", all)
	}
	if got := data[DiscardAnswer](d.do("DELETE", "/api/v0/deadletters?cause=execution_finished", "").want(200)); got.Discarded != 1 || got.More {
		t.Fatalf("%+v", got)
	}
	d.do("DELETE", "/api/v0/deadletters/l3", "").want(200)
	d.do("DELETE", "/api/v0/deadletters/l3", "").problem(404, workflow.CodeNoLetter)
	if len(d.node.kept) != 0 {
		t.Fatalf("%d letters are left", len(d.node.kept))
	}
}

func TestTheBooksSayWhetherTheyBalance(t *testing.T) {
	d := newDoor(t)
	if books := data[Books](d.get("/api/v0/books").want(200)); !books.Balanced || len(books.Rows) != 0 {
		t.Fatalf("%+v", books)
	}
	d.node.books = []workflow.BookRow{
		{Name: "go", Tally: workflow.Tally{Accepted: 4, Consumed: 1, Buffered: 1, Expired: 1, Dead: 1}},
		{Rest: true, Tally: workflow.Tally{Accepted: 2, Consumed: 1}},
	}
	a := d.get("/api/v0/books").want(200)
	books := data[Books](a)
	if books.Balanced || books.Total.Accepted != 6 || books.Rows[1].Name != restName || !books.Rows[1].Rest {
		t.Fatalf("%s", a.Body)
	}
	if books = data[Books](d.get("/api/v0/books?name=go").want(200)); !books.Balanced || len(books.Rows) != 1 || books.Total.Dead != 1 {
		t.Fatalf("%+v", books)
	}
}

// clientOfLetters calls the client's methods for dead letters and the books.
func clientOfLetters(t *testing.T, c *Client, n *fakeNode) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		n.kept = append(n.kept, &workflow.DeadLetter{ID: fmt.Sprint("l ", i), Kind: workflow.KindEvent, MessageID: "ev", Name: "go", Cause: workflow.CauseUnmatched, ReceivedAt: 1, At: 5})
	}
	list, err := c.DeadLetters(ctx, workflow.LetterQuery{Name: "go", Since: 5, Limit: 2})
	must(err)
	groups, err := c.DeadLetterGroups(ctx, workflow.LetterQuery{Cause: workflow.CauseUnmatched})
	must(err)
	one, err := c.DeadLetter(ctx, "l 0")
	must(err)
	redelivered, err := c.Redeliver(ctx, "l 0", true)
	must(err)
	if len(list.DeadLetters) != 2 || len(groups) != 4 || one.ID != "l 0" || redelivered.LetterID != "l 0" {
		t.Fatalf("%+v %+v %+v %+v", list, groups, one, redelivered)
	}
	discarded, err := c.Discard(ctx, "l 1")
	must(err)
	more, err := c.RedeliverAll(ctx, workflow.LetterQuery{Name: "other"}, false)
	must(err)
	all, err := c.DiscardAll(ctx, workflow.LetterQuery{Kind: workflow.KindEvent})
	must(err)
	if discarded.Discarded != 1 || more.Redelivered != 0 || all.Discarded != 2 {
		t.Fatalf("%+v %+v %+v", discarded, more, all)
	}
	if books, err := c.Books(ctx, ""); err != nil || !books.Balanced {
		t.Fatalf("%+v %v", books, err)
	}
}
