package workflow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// vote is one signal of a model check.
type vote struct {
	id, name, by string
	n            int
	veto         bool
}

func (v vote) at(at workflow.Instant) workflow.Input {
	return workflow.Signalled{Stamp: workflow.Stamp{At: at}, Signal: workflow.Signal{ID: v.id, Name: v.name, ReceivedAt: at, Source: "api",
		Payload: workflow.ValueOf(map[string]any{"by": v.by, "n": v.n, "veto": v.veto})}}
}

// said reads the payload of the signal that is judged.
func said(s *workflow.Scope) (v struct {
	Payload struct {
		By   string
		N    int
		Veto bool
	}
}) {
	_ = json.Unmarshal(s.Signal, &v)
	return v
}

// everyOrder calls visit with every order of n things.
func everyOrder(n int, visit func([]int)) {
	order := make([]int, 0, n)
	var next func()
	next = func() {
		if len(order) == n {
			visit(order)
			return
		}
		for i := range n {
			if !slices.Contains(order, i) {
				order = append(order, i)
				next()
				order = order[:len(order)-1]
			}
		}
	}
	next()
}

func begin(t *testing.T, def *workflow.Definition) workflow.State {
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func applied(t *testing.T, def *workflow.Definition, s workflow.State, in workflow.Input) workflow.State {
	next, _, _, err := workflow.Advance(def, s, in)
	if err == nil {
		err = workflow.Check(&next)
	}
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// TestEveryOrderOfVotes holds a quorum of distinct voters with weights and a
// veto against a model of a few lines.
func TestEveryOrderOfVotes(t *testing.T) {
	votes := []vote{{id: "1", by: "ada", n: 1}, {id: "2", by: "ada", n: 1}, {id: "3", by: "bob", n: 2}, {id: "4", by: "eve"}, {id: "5", by: "dan", n: 1}, {id: "6", by: "zed", n: 1, veto: true}}
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"votes"}, Tasks: []*workflow.Task{{ID: "votes", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{
		Name: literal("vote"), Quorum: &workflow.Quorum{
			Count:    literal(3),
			Distinct: render(func(s *workflow.Scope) (workflow.Value, error) { return workflow.ValueOf(said(s).Payload.By), nil }),
			Weigh:    render(func(s *workflow.Scope) (workflow.Value, error) { return workflow.ValueOf(said(s).Payload.N), nil }),
			Veto:     judge{"veto", func(s *workflow.Scope) bool { return said(s).Payload.Veto }},
		}}}}}}).Link()
	everyOrder(len(votes), func(order []int) {
		s, sum, want := begin(t, def), 0, workflow.Waiting
		var counted []string
		for at, i := range order {
			v := votes[i]
			v.name = "vote"
			s = applied(t, def, s, v.at(workflow.Instant(at+2)))
			switch {
			case want != workflow.Waiting:
			case v.veto:
				want = workflow.Failed
			case v.n > 0 && !slices.Contains(counted, v.by):
				counted, sum = append(counted, v.by), sum+v.n
				if sum >= 3 {
					want = workflow.Success
				}
			}
			if s.Status != want {
				t.Fatalf("order %v: after vote %s it is %s, want %s", order, v.id, s.Status, want)
			}
		}
		var out struct{ Collected []struct{ By string } }
		if err := json.Unmarshal(s.Task("votes").Output, &out); err != nil {
			t.Fatalf("order %v: %v", order, err)
		}
		var got []string
		for _, c := range out.Collected {
			got = append(got, c.By)
		}
		if !slices.Equal(got, counted) {
			t.Fatalf("order %v: it counted %v, want %v", order, got, counted)
		}
	})
}

// TestEveryOrderOfSignals lets six signals and a deadline come in every order to
// two waits with conditions, and compares with a model of a few lines.
func TestEveryOrderOfSignals(t *testing.T) {
	signals := []vote{{id: "a1", name: "a", n: 1}, {id: "a2", name: "a", n: 2}, {id: "a3", name: "a", n: 3}, {id: "b1", name: "b", n: 1}, {id: "b2", name: "b", n: 2}, {id: "c", name: "c"}}
	above := judge{"n > 1", func(s *workflow.Scope) bool { return said(s).Payload.N > 1 }}
	def := (&workflow.Definition{ID: "w", Hash: "h", AwaitsAny: true, Roots: []string{"a", "b"}, Tasks: []*workflow.Task{
		{ID: "a", Kind: workflow.Wait, Timeout: literal("1h"), Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("a"), Condition: above}}},
		{ID: "b", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("b"), Condition: above}}},
	}}).Link()
	everyOrder(len(signals)+1, func(order []int) {
		s, took, late := begin(t, def), map[string]string{}, false
		for at, i := range order {
			if i == len(signals) {
				s = applied(t, def, s, workflow.TimerFired{Stamp: workflow.Stamp{At: workflow.Instant(4_000_000 + at)}, Timer: "deadline:a/1"})
				late = late || took["a"] == ""
				continue
			}
			v := signals[i]
			s = applied(t, def, s, v.at(workflow.Instant(at+2)))
			if !late && v.n > 1 && took[v.name] == "" {
				took[v.name] = v.id
			}
		}
		want := workflow.Success
		if late {
			want = workflow.TimedOut
		}
		got := map[string]string{}
		for _, id := range []string{"a", "b"} {
			var held struct{ Metadata struct{ Signal_ID string } }
			if json.Unmarshal(s.Task(id).Result(), &held) == nil {
				got[id] = held.Metadata.Signal_ID
			}
		}
		if s.Status != want || fmt.Sprint(got) != fmt.Sprint(took) {
			t.Fatalf("order %v: it is %s and took %v, want %s and %v", order, s.Status, got, want, took)
		}
	})
}
