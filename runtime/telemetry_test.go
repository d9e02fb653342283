package runtime_test

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/workflow"
)

const endings = `
id: endings
tasks:
  - {id: good, tool: echo, with: {list: []}}
  - {id: spoiled, tool: echo, with: {list: []}, outputs: {first: "{{ index .output.list 3 }}"}, on_error: late}
  - {id: late, type: wait, wait_for: never, timeout: 1m, on_timeout: open}
  - {id: open, type: wait, wait_for: never}
`

// TestTasksAreCountedByHowTheyEnded: each task is counted once, under its own status.
func TestTasksAreCountedByHowTheyEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		node, stop := inMemory(t, endings, registry, 0)
		defer stop()
		if _, err := node.Begin(t.Context(), workflow.Start{WorkflowID: "endings", ExecID: "x"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute) // virtual
		synctest.Wait()
		if _, err := node.Steer(t.Context(), "x", workflow.CancelAsked{}); err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{"SUCCESS": 1, "FAILED": 1, "TIMED_OUT": 1, "CANCELED": 1}
		if got := counted(t, registry, "signalbox_tasks_total", "status"); !maps.Equal(got, want) {
			s, err := node.Execution(t.Context(), "x")
			t.Errorf("tasks by status are %v, want %v; the execution is %+v, %v", got, want, s, err)
		}
	})
}

// counted is a counter by the values of one of its labels.
func counted(t *testing.T, registry *prometheus.Registry, name, label string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label {
					found[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	return found
}
