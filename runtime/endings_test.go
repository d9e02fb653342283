package runtime

import (
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// TestEndingsOfOneTurn: all of it may happen within one turn, and a task may begin once more.
func TestEndingsOfOneTurn(t *testing.T) {
	paused, resumed := workflow.Record{Type: workflow.PauseAsked{}.Kind()}, workflow.Record{Type: workflow.ResumeAsked{}.Kind()}
	of := func(kind string) workflow.Record { return workflow.Record{Type: kind, Task: "a"} }
	done, began, bad := of(workflow.TaskDone{}.Kind()), of(workflow.TaskStarted), of(workflow.TaskEnded)
	holding := &workflow.State{Paused: true, Held: []workflow.HeldInput{
		{Done: &workflow.TaskDone{Task: "a"}}, {Done: &workflow.TaskDone{Task: "b"}}, {Failed: &workflow.TaskFailed{Task: "c"}},
	}}
	for name, c := range map[string]struct {
		was     *workflow.State
		records []workflow.Record
		want    int
	}{
		"no pause":                           {nil, []workflow.Record{done, began, bad}, 1},
		"spoiled":                            {nil, []workflow.Record{done, bad}, 0},
		"a pause that is over":               {nil, []workflow.Record{paused, done, resumed}, 1},
		"a pause that goes on":               {nil, []workflow.Record{resumed, paused, done}, 0},
		"begun once more, and stopped":       {nil, []workflow.Record{paused, done, resumed, began, bad}, 1},
		"stopped when the pause is over":     {nil, []workflow.Record{paused, done, resumed, bad}, 0},
		"stopped before the pause is over":   {nil, []workflow.Record{paused, done, bad, resumed}, 0},
		"held since a turn before":           {holding, []workflow.Record{resumed}, 2},
		"one of them is stopped":             {holding, []workflow.Record{resumed, bad}, 1},
		"one of them is stopped at once":     {holding, []workflow.Record{bad, resumed}, 1},
		"a pause that goes on holds them on": {holding, []workflow.Record{done}, 0},
	} {
		ends, got := endingsAfter(c.was), 0
		for i := range c.records {
			got += ends.follow(c.records[i:])
		}
		if got != c.want {
			t.Errorf("%s: %d tasks ended well, want %d", name, got, c.want)
		}
	}
}
