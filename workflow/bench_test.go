package workflow_test

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// BenchmarkSignal is what the core itself costs on a signal's way: the
// transition, its invariants and its receipt.
func BenchmarkSignal(b *testing.B) {
	def := (&workflow.Definition{ID: "w", Hash: "h", Roots: []string{"hold"}, AwaitsAny: true, Tasks: []*workflow.Task{
		{ID: "hold", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal("go")}}},
	}}).Link()
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{ExecID: "x", WorkflowID: "w", Definition: "h", Stamp: workflow.Stamp{At: 1}})
	if err != nil {
		b.Fatal(err)
	}
	sig := workflow.Signal{ID: "s", ExecID: "x", Name: "go", Source: "api", ReceivedAt: 2,
		Payload: workflow.Value(`{"decision":"approved","approved_by":"manager@company.com"}`)}
	b.ReportAllocs()
	for b.Loop() {
		next, records, _, _ := workflow.Advance(def, s, workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: sig})
		if workflow.Check(&next) != nil || len(workflow.FollowInto(nil, &next, records, &sig, nil)) != 1 {
			b.Fatal("the signal was not consumed")
		}
	}
}
