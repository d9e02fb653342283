package workflow_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// errorOf is the failure of an execution of that workflow, after its start.
func errorOf(t *testing.T, def *workflow.Definition) string {
	s, _, _, err := workflow.Advance(def, workflow.State{}, workflow.Started{Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h"})
	if err = errors.Join(err, workflow.Check(&s)); err != nil {
		t.Fatal(err)
	}
	if s.Error == nil {
		return string(s.Status)
	}
	return s.Error.Code + ": " + s.Error.Message
}

func TestATemplateThatFailsSaysWhichOneItIs(t *testing.T) {
	huge := literal(strings.Repeat("x", workflow.MaxValue))
	long := literal(strings.Repeat("x", workflow.MaxNameBytes+1))
	branches := func(task *workflow.Task) *workflow.Branch {
		task.Wait.Name = nil
		task.Wait.Branches = []*workflow.Branch{{ID: "b", Hold: workflow.Hold{Name: literal("a")}}, {ID: "c", Hold: workflow.Hold{Name: literal("a")}}}
		return task.Wait.Branches[1]
	}
	quorum := func(task *workflow.Task, count any) { task.Wait.Quorum = &workflow.Quorum{Count: literal(count)} }
	const never = "this template never renders"
	for _, c := range []struct {
		want  string
		kind  workflow.Kind
		spoil func(*workflow.Task)
	}{
		{"sleep: " + never, workflow.Basic, func(task *workflow.Task) { task.Sleep = broken }},
		{`sleep: "soon" is no duration`, workflow.Basic, func(task *workflow.Task) { task.Sleep = literal("soon") }},
		{"with: " + never, workflow.Basic, func(task *workflow.Task) { task.With = broken }},
		{"with: the rendered `with` are 1048578 bytes", workflow.Wait, func(task *workflow.Task) { task.With = huge }},
		{never, workflow.Basic, func(task *workflow.Task) { task.Work.Request = broken }},
		{"the rendered request are 1048578 bytes", workflow.Basic, func(task *workflow.Task) { task.Work.Request = huge }},
		{never, workflow.Basic, func(task *workflow.Task) { task.Timeout = broken }},
		{"signal: " + never, workflow.Emit, func(task *workflow.Task) { task.Signal.Name = broken }},
		{"signal: it renders to nothing", workflow.Emit, func(task *workflow.Task) { task.Signal.Name = literal(nil) }},
		{"signal: it renders to 257 bytes, and a name has at most 256", workflow.Emit, func(task *workflow.Task) { task.Signal.Name = long }},
		{`signal: it renders to "a\nb", and a name has no line breaks`, workflow.Emit, func(task *workflow.Task) { task.Signal.Name = literal("a\nb") }},
		{"signal: " + never, workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = broken }},
		{"signal: the rendered payload are 1048578 bytes", workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = huge }},
		{"signal: the payload is a number, not an object", workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = literal(5) }},
		{"signal: the payload is a text, not an object", workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = literal("{}") }},
		{"signal: the payload is a list, not an object", workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = literal([]int{}) }},
		{"signal: the payload is true or false, not an object", workflow.Emit, func(task *workflow.Task) { task.Signal.Payload = literal(false) }},
		{"outputs: " + never, workflow.Emit, func(task *workflow.Task) { task.Outputs = broken }},
		{"outputs: the rendered outputs are 1048578 bytes", workflow.Emit, func(task *workflow.Task) { task.Outputs = huge }},
		{"on_success.next: " + never, workflow.Emit, func(task *workflow.Task) { task.OnSuccess = broken }},
		{"on_success.next: it renders to 257 bytes", workflow.Emit, func(task *workflow.Task) { task.OnSuccess = long }},
		{"on_success.next: it renders to nothing", workflow.Emit, func(task *workflow.Task) { task.OnSuccess = literal("") }},
		{`on_success.next names "nowhere", which is no task of this workflow`, workflow.Emit, func(task *workflow.Task) { task.OnSuccess = literal("nowhere") }},
		{`on_success.next names "look", which is no task of this workflow`, workflow.Emit, func(task *workflow.Task) { task.OnSuccess = literal("look") }},
		{"wait: " + never, workflow.Wait, func(task *workflow.Task) { task.Timeout = broken }},
		{`wait: "2027-01-31 18:00" is neither`, workflow.Wait, func(task *workflow.Task) { task.Wait.Deadline = literal("2027-01-31 18:00") }},
		{"wait: " + never, workflow.Wait, func(task *workflow.Task) { task.Wait.Name = broken }},
		{"wait: it renders to nothing", workflow.Wait, func(task *workflow.Task) { task.Wait.Name = literal(nil) }},
		{"wait: it renders to 257 bytes, and a name has at most 256", workflow.Wait, func(task *workflow.Task) { task.Wait.Name = long }},
		{`wait: it renders to "a\u0085", and a name has no line breaks`, workflow.Wait, func(task *workflow.Task) { task.Wait.Name = literal("a\u0085") }},
		{"wait: branch c: it renders to 257 bytes", workflow.Wait, func(task *workflow.Task) { branches(task).Name = long }},
		{"wait: it renders to 257 bytes", workflow.Wait, func(task *workflow.Task) {
			task.Wait.Extend = &workflow.Extension{Hold: workflow.Hold{Name: long}, By: literal("1h")}
		}},
		{"wait: correlate: " + never, workflow.Wait, func(task *workflow.Task) { task.Wait.Correlate = broken }},
		{"wait: count: it is 0, and a wait for nothing", workflow.Wait, func(task *workflow.Task) { quorum(task, 0) }},
		{"wait: count: ", workflow.Wait, func(task *workflow.Task) { quorum(task, "many") }},
		{"wait: count: " + never, workflow.Wait, func(task *workflow.Task) { branches(task); task.Wait.Need = broken }},
		{`wait: count: "3" is no number of branches, of which there are 2`, workflow.Wait, func(task *workflow.Task) { branches(task); task.Wait.Need = literal(3) }},
		{"wait: branch c: " + never, workflow.Wait, func(task *workflow.Task) { branches(task).Timeout = broken }},
		{"wait: branch c: " + never, workflow.Wait, func(task *workflow.Task) { branches(task).Name = broken }},
		{"wait: reminder 1: " + never, workflow.Wait, func(task *workflow.Task) { task.Wait.Remind = []workflow.Reminder{{After: broken, Task: "t"}} }},
	} {
		task := holdFor("t", "a")
		switch task.Kind = c.kind; c.kind {
		case workflow.Basic:
			task = toolTask("t")
		case workflow.Emit:
			task = &workflow.Task{ID: "t", Kind: workflow.Emit, Signal: &workflow.SignalSpec{Name: literal("told")}}
		}
		c.spoil(task)
		later := holdFor("later", "a")
		later.Wait.Processor = toolTask("look")
		got := errorOf(t, flowOf(task, later))
		code := "TEMPLATE_ERROR"
		if strings.Contains(c.want, "is no task") {
			code = "UNKNOWN_TASK"
		}
		if !strings.HasPrefix(got, code+": task t: "+c.want) {
			t.Errorf("want %q, got %q", c.want, got)
		}
	}
}

// TestANumberIsANameToo lets a lone reference to a number name a signal, and a
// text with a quote in it, or one that is as long as a name can be.
func TestANumberIsANameToo(t *testing.T) {
	longest := strings.Repeat("é", workflow.MaxNameBytes/2)
	for want, name := range map[string]any{"17": 17, `say "go"`: `say "go"`, "true": true, longest: longest} {
		s := begin(t, flowOf(&workflow.Task{ID: "t", Kind: workflow.Wait, Wait: &workflow.WaitSpec{Hold: workflow.Hold{Name: literal(name)}}}))
		if len(s.Waits) != 1 || s.Waits[0].Name != want {
			t.Errorf("want a wait for %s, got %+v", want, s.Waits)
		}
	}
}

func TestTheTraceOfTheOriginGoesOn(t *testing.T) {
	def := flowOf(toolTask("call"), &workflow.Task{ID: "tell", Kind: workflow.Emit, Signal: &workflow.SignalSpec{Name: literal("told")}})
	_, _, effects, err := workflow.Advance(def, workflow.State{}, workflow.Started{
		Stamp: workflow.Stamp{At: 1}, ExecID: "x", WorkflowID: "w", Definition: "h", Origin: &workflow.Origin{Type: "api", TraceParent: "00-1"}})
	if err != nil || len(effects) != 2 {
		t.Fatalf("%+v, %v", effects, err)
	}
	if run, told := effects[0].(workflow.RunTask), effects[1].(workflow.EmitEvent); run.TraceParent != "00-1" || told.Event.TraceParent != "00-1" {
		t.Errorf("%+v and %+v", run, told)
	}
}

// TestAHoldBeforeARetryHasABound compares what the history says with the timer.
func TestAHoldBeforeARetryHasABound(t *testing.T) {
	for want, c := range map[time.Duration]struct {
		retry   workflow.Retry
		attempt int
		after   int64
	}{
		time.Second:      {workflow.Retry{Attempts: 9, Initial: time.Second, Coefficient: 0}, 4, 0},
		8 * time.Second:  {workflow.Retry{Attempts: 9, Initial: time.Second, Coefficient: 2}, 4, 0},
		5 * time.Second:  {workflow.Retry{Attempts: 9, Initial: time.Second, Coefficient: 2, Maximum: 5 * time.Second}, 4, 0},
		time.Minute:      {workflow.Retry{Attempts: 9, Initial: time.Second, Coefficient: 2}, 4, 60_000},
		workflow.MaxHold: {workflow.Retry{Attempts: 9, Initial: time.Hour, Coefficient: 1e9}, 4, 0},
	} {
		held(t, c.retry, c.attempt, c.after, want)
	}
	held(t, workflow.Retry{Attempts: 9, Initial: time.Second}, 1, (11 * 365 * 24 * time.Hour).Milliseconds(), workflow.MaxHold)
}

func held(t *testing.T, retry workflow.Retry, attempt int, after int64, want time.Duration) {
	t.Helper()
	task := toolTask("call")
	task.Retry = retry
	def := flowOf(task)
	s := begin(t, def)
	s.Tasks[0].Attempt = attempt
	next, records, _, err := workflow.Advance(def, s, workflow.TaskFailed{
		Stamp: workflow.Stamp{At: 1}, Task: "call", Run: 1, Attempt: attempt, RetryAfterMS: after, Failure: workflow.Failure{Message: "no"}})
	if err != nil || len(next.Timers) != 1 {
		t.Fatalf("%+v, %v", next.Timers, err)
	}
	due := workflow.Instant(1).Add(want)
	if next.Timers[0].Due != due {
		t.Errorf("after attempt %d with %+v: it holds %d ms, want %s", attempt, retry, next.Timers[0].Due-1, want)
	}
	last := records[len(records)-1]
	if told := string(workflow.ValueOf(map[string]workflow.Instant{"until": due})); last.Type != workflow.TaskRetrying || string(last.Data) != told {
		t.Errorf("the history says %s, the timer is due at %s", last.Data, told)
	}
}
