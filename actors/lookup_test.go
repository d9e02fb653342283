package actors_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/workflow"
)

// listeningTwice is a workflow of two waits for "go" at a time: of the key "k" and
// of none, or both of none. The second one takes nothing.
func listeningTwice(key workflow.Template, first workflow.Condition) *workflow.Definition {
	return waiting("twice", func(d *workflow.Definition) {
		d.Tasks[0].Wait.Correlate, d.Tasks[0].Wait.Condition = key, first
		d.Roots = append(d.Roots, "second")
		d.Tasks = append(d.Tasks, &workflow.Task{ID: "second", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go"), Condition: never}}})
	})
}

var never = condition(func(*workflow.Scope) bool { return false })

// An event finds an execution by both of its waits, and whatever that answers the
// second time, it is counted once: when the two are on different pages of the
// index, and when more have the event's key than are remembered.
func TestAnExecutionThatIsFoundTwiceIsCountedOnce(t *testing.T) {
	for _, c := range []struct {
		name string
		def  *workflow.Definition
		n    int
		want workflow.Counts
	}{
		{"taken, two pages", listeningTwice(nil, nil), actors.FanoutWindow + 1, workflow.Counts{Delivered: actors.FanoutWindow + 1}},
		{"passed, two pages", listeningTwice(nil, never), actors.FanoutWindow + 1, workflow.Counts{Passed: actors.FanoutWindow + 1}},
		{"taken, many", listeningTwice(literal("k"), nil), actors.MaxSeen + 50, workflow.Counts{Delivered: actors.MaxSeen + 50}},
		{"passed, many", listeningTwice(literal("k"), never), actors.MaxSeen + 50, workflow.Counts{Passed: actors.MaxSeen + 50}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if testing.Short() && c.n > actors.MaxSeen {
				t.Skip("so many take the race detector most of a minute")
			}
			w := newWorld(t, c.def)
			s, stop := w.start(w.store)
			defer stop()
			one := waiting("one", func(d *workflow.Definition) { d.Tasks[0].Wait.Condition = never })
			w.defs[one.Hash] = one
			if err := w.begin(s, one, "0"); err != nil { // of one wait, so that a page ends between two
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for first := range 100 {
				all.Go(func() {
					for i := first; i < c.n; i += 100 {
						if err := w.begin(s, c.def, fmt.Sprint("x", i)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			ev := workflow.Event{ID: "e", Name: "go", CorrelationID: "k", ReceivedAt: stamp().At, Source: "api"}
			if _, _, err := s.Event(t.Context(), ev); err != nil {
				t.Fatal(err)
			}
			r := w.fate("e", workflow.FateConsumed, workflow.FateDead)
			c.want.Passed++
			if r.Counts != c.want {
				t.Fatalf("of %d executions the receipt tells %+v", c.n, r.Counts)
			}
		})
	}
}
