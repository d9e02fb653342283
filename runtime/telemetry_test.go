package runtime_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/runtime"
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

const thinking = `
id: w
tasks:
  - id: think
    agent: {id: a, model: {provider: mock, params: {delay: 1m}}}
    prompt: go
    outputs: {first: "%s"}
  - {id: last, type: wait, wait_for: never}
`

// TestWorkThatEndsDuringAPauseIsCountedOnce: its task ends when the execution goes on, or
// with the execution when that never does.
func TestWorkThatEndsDuringAPauseIsCountedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		steps  []workflow.Input
		want   map[string]float64
	}{
		"it is still paused": {output: "x", want: map[string]float64{}},
		"it goes on":         {output: "x", steps: []workflow.Input{workflow.ResumeAsked{}}, want: map[string]float64{"SUCCESS": 1}},
		"it goes on, and the outputs cannot be made": {output: "{{ index .output.list 3 }}", steps: []workflow.Input{workflow.ResumeAsked{}}, want: map[string]float64{"FAILED": 1}},
		"it is canceled": {output: "x", steps: []workflow.Input{workflow.CancelAsked{}}, want: map[string]float64{"CANCELED": 1}},
		"it goes on, and is canceled in the next wait": {output: "x", steps: []workflow.Input{workflow.ResumeAsked{}, workflow.CancelAsked{}}, want: map[string]float64{"SUCCESS": 1, "CANCELED": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				registry := prometheus.NewRegistry()
				node, stop := inMemory(t, fmt.Sprintf(thinking, c.output), registry, 0)
				defer stop()
				if _, err := node.Begin(t.Context(), workflow.Start{WorkflowID: "w", ExecID: "x"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second) // virtual
				steer(t, node, workflow.PauseAsked{})
				time.Sleep(2 * time.Minute) // virtual
				synctest.Wait()
				for _, in := range c.steps {
					steer(t, node, in)
				}
				if got := counted(t, registry, "signalbox_tasks_total", "status"); !maps.Equal(got, c.want) {
					s, err := node.Execution(t.Context(), "x")
					t.Errorf("tasks by status are %v, want %v; the execution is %+v, %v", got, c.want, s, err)
				}
			})
		})
	}
}

func steer(t *testing.T, node *runtime.Node, in workflow.Input) {
	t.Helper()
	if _, err := node.Steer(t.Context(), "x", in); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
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
