package definitions

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/workflow"
)

// TestSeed loads the example of the reference system's documentation as it is
// printed there, and runs it through the core: it waits, takes the decision and
// asks the model with the decision in the prompt.
func TestSeed(t *testing.T) {
	project, found := Load("testdata/seed.yaml")
	if project == nil {
		t.Fatalf("the seed does not load:\n%s", printed(found))
	}
	rules := make(map[string]int)
	for _, d := range found {
		rules[d.Rule]++
	}
	if len(found) != 2 || rules["dangling-timeout"] != 1 || rules["undefined-agent"] != 1 {
		t.Errorf("the seed has two warnings, of its timeout and of its agent; found:\n%s", printed(found))
	}
	def := project.Workflows[0].Definition
	state := advance(t, def, workflow.State{}, workflow.Started{
		Stamp: workflow.Stamp{At: 1}, ExecID: "exec_123", WorkflowID: def.ID, Definition: def.Hash,
	}, nil)
	if state.Status != workflow.Waiting || len(state.Waits) != 1 || state.Waits[0].Name != "approval-decision" || state.Waits[0].Deadline != 0 {
		t.Fatalf("after its start it is %s with the waits %+v", state.Status, state.Waits)
	}
	var effects []workflow.Effect
	state = advance(t, def, state, workflow.Signalled{Stamp: workflow.Stamp{At: 2}, Signal: workflow.Signal{
		ID: "s1", Name: "approval-decision", Payload: workflow.Value(`{"decision":"approved","approved_by":"external-system"}`), ReceivedAt: 2,
	}}, &effects)
	run, ok := effects[0].(workflow.RunTask)
	if len(effects) != 1 || !ok || run.Task != "process-approval" || run.Executor != "agent" {
		t.Fatalf("the signal leads to %+v, wanted the agent to be asked", effects)
	}
	var request struct {
		Agent  struct{ ID string }
		Prompt string
		Model  json.RawMessage
	}
	if err := json.Unmarshal(run.Request, &request); err != nil {
		t.Fatal(err)
	}
	if request.Agent.ID != "processor-agent" || request.Model != nil ||
		!strings.Contains(request.Prompt, "Decision: approved\nApproved by: external-system") {
		t.Errorf("the request is %s", run.Request)
	}
}

func advance(t *testing.T, def *workflow.Definition, s workflow.State, in workflow.Input, effects *[]workflow.Effect) workflow.State {
	t.Helper()
	s, _, out, err := workflow.Advance(def, s, in)
	if err != nil {
		t.Fatal(err)
	}
	if effects != nil {
		*effects = out
	}
	return s
}

// TestRequests starts each task of testdata/flow/models.yaml and compares what
// its executor would be asked.
func TestRequests(t *testing.T) {
	project, found := Load("testdata/flow/models.yaml")
	if project == nil {
		t.Fatalf("it does not load:\n%s", printed(found))
	}
	def := project.Workflows[0].Definition
	state := workflow.State{
		ExecID: "x", Input: workflow.Value(`{"audience":"children"}`),
		Tasks: []workflow.TaskState{{ID: "draft", Status: workflow.Success, Output: workflow.Value(`{"text":"hello"}`)}},
	}
	want := map[string]string{
		"draft": `{"action":{"id":"draft","prompt":"Write about signals."},"agent":{"id":"writer","instructions":"You write for children."},"model":{"model":"tiny","provider":"mock"},` +
			`"schema":{"properties":{"text":{"pattern":"^[^{{]*$","type":"string"}},"type":"object"},"with":{"topic":"signals"}}`,
		"ask":    `{"agent":{"id":"writer","instructions":"You write for children."},"model":{"model":"tiny","provider":"mock"},"prompt":"Anything else?"}`,
		"direct": `{"agent":{"id":""},"model":{"model":"llama3.2:3b","provider":"ollama"},"prompt":"Say hello."}`,
		"fetch":  `{"schema":{"type":"object"},"tool":{"headers":{"x-a":"b"},"id":"fetch","timeout":"5s","type":"http","url":"https://example.com/7"},"with":{"id":7}}`,
		"run":    `{"tool":{"argv":["cat"],"env":{"A":1},"id":"run","output":"text","type":"process"},"with":{"a":1}}`,
		"shape":  `{"tool":{"id":"shape","output":{"both":"1-2"},"type":"transform"},"with":{"a":1,"b":2}}`,
		"inline": `{"tool":{"command":"true","id":"","type":"process"}}`,
	}
	for id, request := range want {
		task := def.Task(id)
		scope := &workflow.Scope{State: &state, Task: task}
		if task.With != nil {
			with, err := task.With.Render(scope)
			if err != nil {
				t.Errorf("%s: %v", id, err)
			}
			scope.Input = with
		}
		got, err := task.Work.Request.Render(scope)
		if err != nil {
			t.Errorf("%s: %v", id, err)
		} else if string(got) != request {
			t.Errorf("%s asks\n  %s\nwanted\n  %s", id, got, request)
		}
	}
}

// TestProcessorSeesTheSignal wants the signal in the `with` of a processor,
// whether or not it has one of its own.
func TestProcessorSeesTheSignal(t *testing.T) {
	project, found := Load("testdata/flow/waits.yaml")
	if project == nil {
		t.Fatalf("it does not load:\n%s", printed(found))
	}
	signal := workflow.Value(`{"payload":{"ok":true}}`)
	for _, one := range []struct{ wait, want string }{
		{"decision", `{"ok":true,"signal":{"payload":{"ok":true}}}`},
		{"named", `{"signal":{"payload":{"ok":true}}}`},
	} {
		for _, w := range project.Workflows {
			wait := w.Task(one.wait)
			if wait == nil {
				continue
			}
			scope := &workflow.Scope{State: &workflow.State{}, Task: wait.Wait.Processor, Signal: signal}
			with, err := wait.Wait.Processor.With.Render(scope)
			if err != nil || string(with) != one.want {
				t.Errorf("the processor of %s is given %s, %v; wanted %s", one.wait, with, err, one.want)
			}
			scope.Input = with
			request, err := wait.Wait.Processor.Work.Request.Render(scope)
			if err != nil || !strings.Contains(string(request), `"with":`+one.want) {
				t.Errorf("the processor of %s asks %s, %v", one.wait, request, err)
			}
		}
	}
}

// TestSecretsStayOut wants no secret in a bundle or in what is stored of a task.
func TestSecretsStayOut(t *testing.T) {
	project, found := Load("testdata/projects/inherit")
	if project == nil {
		t.Fatalf("it does not load:\n%s", printed(found))
	}
	secret := project.Secret["TOKEN"]
	if secret != `s3cr"et` {
		t.Fatalf("the secret reads %q", secret)
	}
	w := project.Workflows[0]
	request, err := w.Task("tell").Work.Request.Render(&workflow.Scope{State: &workflow.State{}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"bundle": string(w.Bundle), "request": string(request)} {
		if strings.Contains(text, "s3cr") {
			t.Errorf("the %s holds the secret: %s", name, text)
		}
	}
	if !strings.Contains(string(request), "https://example.com/eu") {
		t.Errorf("the request lacks the public variable: %s", request)
	}
}

// TestNextFindsBothSpellings wants a rendered `on_success.next` to find its
// task under either spelling, as expressions do.
func TestNextFindsBothSpellings(t *testing.T) {
	project, found := Load("testdata/flow/transitions.yaml")
	if project == nil {
		t.Fatalf("it does not load:\n%s", printed(found))
	}
	for _, w := range project.Workflows {
		if w.ID != "transitions" {
			continue
		}
		next, err := w.Task("first").OnSuccess.Render(&workflow.Scope{State: &workflow.State{}, Output: workflow.Value(`{"ok":true}`)})
		if err != nil || string(next) != `"a-b"` {
			t.Errorf("next is %s, %v; wanted \"a-b\"", next, err)
		}
	}
}

// TestFieldsAreThoseOfRunTime holds the names that validation knows of a signal
// and of a processor against what the core shows of them.
func TestFieldsAreThoseOfRunTime(t *testing.T) {
	def := mustLoad(t, `id: fields
tasks:
  - id: ask
    type: wait
    wait_for: answer
    processor: { id: look, tool: echo }
    condition: "true"
    outputs: { signal: "{{ .signal }}", processor: "{{ .processor }}" }
`).Workflows[0].Definition
	shown := map[string]map[string]bool{"signal": {}, "processor": {}}
	for _, broken := range []bool{false, true} {
		state := advance(t, def, workflow.State{}, workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: def.ID, Definition: def.Hash}, nil)
		state = advance(t, def, state, workflow.Signalled{Stamp: workflow.Stamp{At: 3}, Signal: workflow.Signal{ID: "s", Name: "answer", CorrelationID: "c", ReceivedAt: 3}}, nil)
		var done workflow.Input = workflow.TaskDone{Stamp: workflow.Stamp{At: 4}, Task: "look", Run: 1, Attempt: 1, Output: workflow.Value(`{}`)}
		if broken {
			done = workflow.TaskFailed{Stamp: workflow.Stamp{At: 4}, Task: "look", Run: 1, Attempt: 1, Failure: workflow.Failure{Code: "X"}}
		}
		state = advance(t, def, state, done, nil)
		var output map[string]map[string]any
		if err := json.Unmarshal(state.Task("ask").Output, &output); err != nil {
			t.Fatalf("%v: %s", err, state.Task("ask").Output)
		}
		for root := range shown {
			for name := range output[root] {
				shown[root][name] = true
			}
		}
	}
	for root, names := range shown {
		if got, want := slices.Sorted(maps.Keys(names)), expression.Fields(root); !slices.Equal(got, want) {
			t.Errorf("a %s has %v, validation knows %v", root, got, want)
		}
	}
}
