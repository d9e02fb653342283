package workflow_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/signalbox/signalbox/workflow"
)

// foretold makes a transition and holds its forecast to it.
func foretold(t *testing.T, seed uint64, def *workflow.Definition, s workflow.State, in workflow.Input) workflow.State {
	t.Helper()
	next, records, effects, err := workflow.Advance(def, s, in)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	was := &s
	if s.Version == 0 {
		was = nil
	}
	f := workflow.Foretell(was, &next, records, effects)
	if f.Was != s.Status || f.Status != next.Status || f.Started != (was == nil) || !reflect.DeepEqual(f.Records, records) {
		t.Fatalf("seed %d: %T: %s to %s, started=%t, with %d records of %d", seed, in, f.Was, f.Status, f.Started, len(f.Records), len(records))
	}
	if len(f.Runs)+len(f.Stops)+len(f.Emits) != len(effects) {
		t.Fatalf("seed %d: %T: %+v of %+v", seed, in, f, effects)
	}
	open := map[string]bool{}
	for _, w := range s.Waits {
		open[w.ID] = true
	}
	for _, w := range f.Closed {
		delete(open, w.ID)
	}
	for _, w := range f.Opened {
		open[w.ID] = true
	}
	if len(open) != len(next.Waits) {
		t.Fatalf("seed %d: %T: %v are said to be open, %+v are", seed, in, open, next.Waits)
	}
	for _, w := range next.Waits {
		if !open[w.ID] {
			t.Fatalf("seed %d: %T: nobody said that %s opens", seed, in, w.ID)
		}
	}
	for _, timer := range next.Timers {
		if slices.Contains(s.Timers, timer) == slices.Contains(f.Armed, timer) {
			t.Fatalf("seed %d: %T: timer %+v, foretold %+v", seed, in, timer, f.Armed)
		}
	}
	if next.Status.Finished() != (f.Output != nil || f.Error != nil) {
		t.Fatalf("seed %d: %T: %s with %s, %+v", seed, in, f.Status, f.Output, f.Error)
	}
	return next
}

func TestForetell(t *testing.T) {
	if f := workflow.Foretell(nil, nil, nil, nil); !reflect.DeepEqual(f, workflow.Forecast{}) {
		t.Errorf("nothing before and nothing after: %+v", f)
	}
	s := sound()
	if f := workflow.Foretell(&s, nil, nil, nil); f.ExecID != "x" || f.WorkflowID != "w" || f.Was != workflow.Running || f.Status != workflow.Running || f.Started {
		t.Errorf("a refusal leaves it where it is: %+v", f)
	}
	emit := &workflow.Task{ID: "tell", Kind: workflow.Emit, After: []string{"go"}, Signal: &workflow.SignalSpec{Name: literal("told")}}
	next := holdFor("next", "more")
	next.After, next.Timeout = []string{"go"}, literal("1m")
	def := flowOf(holdFor("go", "go"), toolTask("call"), emit, next)
	said := func(was *workflow.State, in workflow.Input) (workflow.State, string) {
		var before workflow.State
		if was != nil {
			before = *was
		}
		now, records, effects, err := workflow.Advance(def, before, in)
		if err != nil {
			t.Fatal(err)
		}
		f := workflow.Foretell(was, &now, records, effects)
		text := fmt.Sprintf("%s>%s", f.Was, f.Status)
		for _, r := range f.Runs {
			text += " run " + r.Task
		}
		for _, c := range f.Stops {
			text += " stop " + c.Task
		}
		for _, e := range f.Emits {
			text += " emit " + e.Name
		}
		for _, timer := range f.Armed {
			text += " arm " + timer.ID
		}
		for _, w := range f.Opened {
			text += " open " + w.ID
		}
		for _, w := range f.Closed {
			text += " close " + w.ID
		}
		if f.Error != nil {
			text += " error " + f.Error.Code
		}
		return now, text + " " + string(f.Output)
	}
	begun, text := said(nil, workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	if want := ">RUNNING run call open go/1 "; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	went, text := said(&begun, vote{id: "1", name: "go"}.at(2))
	if want := "RUNNING>RUNNING emit told arm deadline:next/1 open next/1 close go/1 "; text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	if _, text = said(&went, workflow.CancelAsked{Stamp: workflow.Stamp{At: 3}}); text != "RUNNING>CANCELED stop call close next/1 error CANCELED " {
		t.Errorf("got %q", text)
	}
	went = applied(t, def, went, workflow.TaskDone{Stamp: workflow.Stamp{At: 3}, Task: "call", Run: 1, Attempt: 1})
	went.Tasks = went.Tasks[1:] // the output of the first wait is long
	went.Tasks[0].Output = nil
	if ended, _ := said(&went, vote{id: "2", name: "more"}.at(4)); ended.Status != workflow.Success {
		t.Errorf("it is %s", ended.Status)
	}
}
