package redis

import (
	"errors"
	"testing"

	"github.com/signalbox/signalbox/persistence"
	"github.com/signalbox/signalbox/persistence/redis/redistest"
	"github.com/signalbox/signalbox/workflow"
)

// prepared is the write of a commit that is not submitted.
func prepared(t *testing.T, s *Store, c *persistence.Commit) *write {
	t.Helper()
	w, err := s.commitment(c)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// stepOf leads an execution from one version to the next, by a commit of that id on
// the one whose id is the version's.
func stepOf(s *Store, exec string, version, id uint64) *persistence.Commit {
	at := func(v uint64) *workflow.State {
		if v == 0 {
			return nil
		}
		return &workflow.State{ExecID: exec, WorkflowID: "w", Version: v, Status: []workflow.Status{workflow.Running, workflow.Waiting}[v%2]}
	}
	return &persistence.Commit{ExecID: exec, Expect: version - 1, Parent: version - 1, ID: id, Epoch: s.Epoch(), Was: at(version - 1), Now: at(version)}
}

// TestWritesShareACall sends at once what depends on each other: each write is judged
// by what those before it, in the same call, leave behind, and the last word holds.
func TestWritesShareACall(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a, err := ParseAddress("redis://" + server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), a, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ev := workflow.Event{ID: "ev", Name: "paid", ReceivedAt: 1}
	settled := persistence.Accepted(ev)
	settled.Fate = workflow.FateConsumed
	settle := &write{kind: writeRows}
	settle.plain(s.home("ev"), keyEvents)
	settle.eventMoved(settled)
	settle.ops.event(settled, eventRow(settled))
	items := []*write{
		prepared(t, s, stepOf(s, "e", 1, 1)),
		prepared(t, s, stepOf(s, "e", 2, 2)),
		prepared(t, s, stepOf(s, "e", 2, 9)), // somebody else's
		prepared(t, s, stepOf(s, "f", 2, 2)), // of an execution that is not there
		prepared(t, s, stepOf(s, "e", 3, 3)),
		prepared(t, s, stepOf(s, "e", 3, 3)), // the same again
		s.acceptance(persistence.Accepted(ev), nil),
		s.acceptance(persistence.Accepted(ev), nil),
		settle,
	}
	if calls := inCalls(items); len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	s.send(t.Context(), items)
	for i, want := range []fate{written, written, refused, refused, written, written, written, written, written} {
		if items[i].fate != want || want == refused && !errors.Is(items[i].err, persistence.ErrConflict) {
			t.Errorf("write %d: fate %d and %v, want fate %d", i, items[i].fate, items[i].err, want)
		}
	}
	if items[6].known || !items[7].known {
		t.Errorf("an event is known the first time (%v) or not the second (%v)", items[6].known, items[7].known)
	}
	page, err := s.Executions(t.Context(), workflow.Query{})
	if err != nil || len(page.Items) != 1 || page.Items[0].Version != 3 || page.Items[0].Status != workflow.Waiting {
		t.Errorf("listed are %+v, %v", page.Items, err)
	}
	if open, err := s.OpenEvents(t.Context(), "", 10); err != nil || len(open) != 0 {
		t.Errorf("open events: %v, %v", open, err)
	}
	books, err := s.Books(t.Context())
	if err != nil || len(books) != 1 || books[0].Accepted != 1 || books[0].Consumed != 1 || !books[0].Balanced() {
		t.Errorf("the books are %+v, %v", books, err)
	}
}

// TestWhatSharesACall: writes of a partition do, in their order, up to one that looks
// at more than a call knows of itself.
func TestWhatSharesACall(t *testing.T) {
	p, q := &partition{number: 0}, &partition{number: 1}
	of := func(p *partition, alone bool) *write { return &write{ops: ops{part: p, alone: alone}} }
	items := []*write{of(p, false), of(q, false), of(p, false), of(p, true), of(q, false), of(p, false), of(p, true), of(p, true)}
	var got [][]int
	for _, call := range inCalls(items) {
		var places []int
		for _, w := range call {
			for i := range items {
				if items[i] == w {
					places = append(places, i)
				}
			}
		}
		got = append(got, places)
	}
	want := [][]int{{0, 2}, {1, 4}, {3}, {5}, {6}, {7}}
	if len(got) != len(want) {
		t.Fatalf("calls of %v, want %v", got, want)
	}
	for i := range want {
		if len(got[i]) != len(want[i]) || got[i][0] != want[i][0] || got[i][len(got[i])-1] != want[i][len(want[i])-1] {
			t.Errorf("call %d has %v, want %v", i, got[i], want[i])
		}
	}
}
