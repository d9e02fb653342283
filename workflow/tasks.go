package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// start runs a task for the first time or once more. previous is the task that led here.
func (t *transition) start(task *Task, previous string) {
	if t.s.Status.Finished() {
		return
	}
	if t.steps++; t.steps > MaxSteps {
		t.finish(Failed, &Failure{Code: "LOOP_LIMIT", Message: fmt.Sprintf(
			"more than %d tasks started without anything to hold for; the last was %q: put a wait, a sleep or work into the cycle", MaxSteps, task.ID)})
		return
	}
	ts := t.taskState(task)
	if !ts.Status.Finished() && ts.Run > 0 {
		// A task runs once at a time: a second way to it finds it busy.
		return
	}
	*ts = TaskState{ID: ts.ID, Kind: task.Kind, Run: ts.Run + 1, Status: Running, Previous: previous, CreatedAt: t.at, UpdatedAt: t.at}
	t.describe(task, ts)
	if task.Condition != nil && !t.passes(task, ts) {
		return
	}
	if task.Sleep != nil {
		hold, err := t.duration(task.Sleep, task, ts)
		if err != nil {
			t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "sleep: " + err.Error()})
			return
		}
		ts.Status = Pending
		t.arm(TimerSleep, task.ID, t.at.Add(hold))
		t.record(Record{Type: TaskSleeping, Task: task.ID, Data: ValueOf(map[string]Instant{"until": t.at.Add(hold)})})
		return
	}
	t.work(task, ts)
}

// passes reports whether a task runs by its condition. One whose condition is false is
// skipped; a condition without an end says neither, so its task fails.
func (t *transition) passes(task *Task, ts *TaskState) bool {
	verdict := task.Condition.Judge(t.scope(task, ts))
	switch {
	case verdict.Holds:
		return true
	case verdict.Endless:
		t.lose(task, ts, Failed, Failure{Code: "CONDITION_ERROR", Message: "condition: " + verdict.Reason})
	default:
		ts.Status = Skipped
		t.record(Record{Type: TaskSkipped, Task: task.ID, Reason: verdict.Reason})
		t.ended(task, ts)
	}
	return false
}

// describe notes who does the work, for people who look at the execution.
func (t *transition) describe(task *Task, ts *TaskState) {
	ts.Component = "task"
	if task.Work != nil {
		ts.Component = task.Work.Executor
		ts.AgentID, ts.ActionID, ts.ToolID = task.Work.AgentID, task.Work.ActionID, task.Work.ToolID
	}
}

// awake goes on with a task whose sleep is over.
func (t *transition) awake(id string) {
	ts := t.s.Task(id)
	ts.Status = Running
	t.work(t.def.Task(id), ts)
}

// work does what the task is for.
func (t *transition) work(task *Task, ts *TaskState) {
	if task.With != nil {
		with, err := task.With.Render(t.scope(task, ts))
		if err == nil {
			err = fits("the rendered `with`", with)
		}
		if err != nil {
			t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "with: " + err.Error()})
			return
		}
		ts.Input = with
	}
	switch task.Kind {
	case Wait:
		t.open(task, ts)
	case Emit:
		t.emit(task, ts)
	default:
		t.ask(task, ts)
	}
}

// ask gives the first attempt of a basic task to its executor.
func (t *transition) ask(task *Task, ts *TaskState) {
	timeout := DefaultTaskTimeout
	request, err := task.Work.Request.Render(t.scope(task, ts))
	if err == nil {
		err = fits("the rendered request", request)
	}
	if err == nil && task.Timeout != nil {
		timeout, err = t.duration(task.Timeout, task, ts)
	}
	if err != nil {
		t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: err.Error()})
		return
	}
	ts.Request, ts.TimeoutMS, ts.Attempt = request, max(timeout.Milliseconds(), 1), 1
	t.issue(task, ts)
}

// issue asks for the current attempt.
func (t *transition) issue(task *Task, ts *TaskState) {
	ts.Status, ts.UpdatedAt = Running, t.at
	t.effects = append(t.effects, runTask(t.s, task, ts))
	r := Record{Type: TaskStarted, Task: task.ID, Data: noted(t, attempt{ts.Run, ts.Attempt})}
	if task.Parent != "" {
		r.Wait = t.s.Waits[t.worksFor(task)].ID
	}
	t.record(r)
}

type attempt struct {
	Run     int `json:"run"`
	Attempt int `json:"attempt"`
}

func runTask(s *State, task *Task, ts *TaskState) RunTask {
	return RunTask{
		ExecID: s.ExecID, Task: ts.ID, Run: ts.Run, Attempt: ts.Attempt, TraceParent: s.traceParent(),
		Executor: task.Work.Executor, Request: ts.Request, Timeout: time.Duration(ts.TimeoutMS) * time.Millisecond,
	}
}

// emit sends an event; its id derives from the task's run, so a repeat is the same event.
func (t *transition) emit(task *Task, ts *TaskState) {
	ev, err := t.event(task.Signal, t.scope(task, ts), t.s.ExecID+":"+task.ID+":"+strconv.Itoa(ts.Run))
	if err != nil {
		t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "signal: " + err.Error()})
		return
	}
	t.effects = append(t.effects, EmitEvent{Event: ev})
	t.record(Record{Type: EventEmitted, Task: task.ID, Data: ValueOf(ev)})
	t.won(task, ts, ValueOf(struct {
		Dispatched bool   `json:"signal_dispatched"`
		Name       string `json:"signal_id"`
		EventID    string `json:"event_id"`
	}{true, ev.Name, ev.ID}), Scope{})
}

// event renders what is sent.
func (t *transition) event(spec *SignalSpec, scope *Scope, id string) (Event, error) {
	name, err := t.name(spec.Name, scope)
	var payload Value
	if err == nil {
		payload, err = payloadOf(spec.Payload, scope)
	}
	return Event{
		ID: id, Name: name, Payload: payload,
		CorrelationID: t.s.ExecID, Source: "workflow:" + t.s.WorkflowID, ReceivedAt: t.at,
		TraceParent: t.s.traceParent(),
	}, err
}

// payloadOf renders a payload: an object, as of every other sender, so that those who
// take the event need not look for anything else. Nothing and null are an empty one.
func payloadOf(source Template, scope *Scope) (v Value, err error) {
	if source != nil {
		v, err = source.Render(scope)
	}
	if err == nil {
		err = fits("the rendered payload", v)
	}
	if v = object(v); err == nil && v[0] != '{' {
		err = fmt.Errorf("the payload is %s, not an object; write a mapping, such as {value: ...}", kindOf(v))
	}
	return v, err
}

// kindOf says what a value is that is no object.
func kindOf(v Value) string {
	switch v[0] {
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	}
	return "a number"
}

// taskDone and taskFailed take the result of an attempt, or keep it while paused.
func (t *transition) taskDone(in TaskDone) bool {
	if !t.inFlight(in.Task, in.Run, in.Attempt) {
		return false
	}
	t.input(Record{Task: in.Task})
	if t.s.Paused {
		t.s.Held = append(t.s.Held, HeldInput{Done: &in})
		return true
	}
	t.succeed(in)
	return true
}

func (t *transition) taskFailed(in TaskFailed) bool {
	if !t.inFlight(in.Task, in.Run, in.Attempt) {
		return false
	}
	t.input(Record{Task: in.Task, Reason: in.Failure.Message})
	if t.s.Paused {
		t.s.Held = append(t.s.Held, HeldInput{Failed: &in})
		return true
	}
	t.fail(in)
	return true
}

// inFlight reports whether this attempt is the one whose result is awaited.
func (t *transition) inFlight(id string, run, attempt int) bool {
	ts := t.s.Task(id)
	return ts != nil && ts.Status == Running && ts.Run == run && ts.Attempt == attempt && !held(t.s, ts.ID)
}

func (t *transition) succeed(in TaskDone) {
	task, ts := t.def.Task(in.Task), t.s.Task(in.Task)
	output := in.Output
	if output == nil {
		output = Value("null")
	}
	t.won(task, ts, output, Scope{})
}

// won ends a task well. extra brings what only this kind of task can see.
func (t *transition) won(task *Task, ts *TaskState, output Value, extra Scope) {
	ts.Output = output
	if task.Outputs != nil {
		scope := t.scope(task, ts)
		scope.Output, scope.Processor, scope.Gathered = output, extra.Processor, extra.Gathered
		if task.Parent == "" { // the outputs of a processor see the signal that it works on
			scope.Signal = extra.Signal
		}
		shaped, err := task.Outputs.Render(scope)
		if err == nil {
			err = fits("the rendered outputs", shaped)
		}
		if err != nil {
			t.lose(task, ts, Failed, Failure{Code: "TEMPLATE_ERROR", Message: "outputs: " + err.Error()})
			return
		}
		ts.Output = shaped
	}
	ts.Status, ts.Request, ts.TimeoutMS, ts.Error, ts.UpdatedAt = Success, nil, 0, nil, t.at
	if task.Kind == Wait {
		t.silence(task, ts)
	}
	t.ended(task, ts)
}

// fail repeats an attempt after a hold, as the task's policy says, or ends the task.
func (t *transition) fail(in TaskFailed) {
	task, ts := t.def.Task(in.Task), t.s.Task(in.Task)
	policy := task.Retry
	if in.Permanent || ts.Attempt >= min(policy.Attempts, MaxRetries) || slices.Contains(policy.NonRetryable, in.Failure.Code) {
		status := Failed
		if in.TimedOut {
			status = TimedOut
		}
		t.lose(task, ts, status, in.Failure)
		return
	}
	hold := min(max(policy.hold(ts.Attempt), time.Duration(in.RetryAfterMS)*time.Millisecond), MaxHold)
	failure := in.Failure
	ts.Status, ts.Error, ts.UpdatedAt = Pending, &failure, t.at
	t.arm(TimerRetry, task.ID, t.at.Add(hold))
	t.record(Record{Type: TaskRetrying, Task: task.ID, Reason: in.Failure.Message, Data: ValueOf(map[string]Instant{"until": t.at.Add(hold)})})
}

// hold is how long to hold after the attempt of that number.
func (r Retry) hold(attempt int) time.Duration {
	hold := float64(r.Initial)
	for range attempt - 1 {
		hold *= max(r.Coefficient, 1)
		if r.Maximum > 0 && hold >= float64(r.Maximum) {
			return r.Maximum
		}
		if hold >= float64(MaxHold) {
			return MaxHold
		}
	}
	return time.Duration(hold)
}

// retry issues the next attempt with the same request.
func (t *transition) retry(id string) {
	ts := t.s.Task(id)
	ts.Attempt++
	t.issue(t.def.Task(id), ts)
}

// lose ends a task badly and follows its way out, if it has one.
func (t *transition) lose(task *Task, ts *TaskState, status Status, failure Failure) {
	ts.Status, ts.Request, ts.TimeoutMS, ts.Error, ts.UpdatedAt = status, nil, 0, &failure, t.at
	t.record(Record{Type: TaskEnded, Task: task.ID, Reason: failure.Message, Data: ValueOf(finished{Status: status, Error: &failure})})
	if task.Parent != "" {
		t.processed(task, ts)
		return
	}
	if task.Kind == Wait {
		t.silence(task, ts)
	}
	t.s.Last = task.ID
	t.s.Context++
	way := t.def.wayOut(task, status == TimedOut, failure.Code == codeVetoed)
	if way == "" && task.Reminds {
		return // whoever is reminded in vain still waits
	}
	if next := t.def.Task(way); next != nil {
		t.start(next, task.ID)
		return
	}
	t.finish(status, &Failure{Code: failure.Code, Details: failure.Details, Message: "task " + task.ID + ": " + failure.Message})
}

// wayOut is the task that follows one which ends badly, "" when the execution
// ends with it.
func (d *Definition) wayOut(task *Task, timedOut, vetoed bool) string {
	way := task.OnError
	if timedOut && task.OnTimeout != "" {
		way = task.OnTimeout
	}
	if vetoed && task.OnVeto != "" {
		way = task.OnVeto
	}
	if way == "" && d.OnError != task.ID && !task.Reminds {
		way = d.OnError
	}
	if d.Task(way) == nil {
		return ""
	}
	return way
}

// ended follows the transitions of a task that ended well or was skipped.
func (t *transition) ended(task *Task, ts *TaskState) {
	if task.Parent != "" {
		t.processed(task, ts)
		return
	}
	t.s.Last = task.ID
	t.s.Context++
	if task.Final && ts.Status == Success {
		t.finish(Success, nil)
		return
	}
	if task.OnSuccess != nil {
		t.follow(task, ts)
	}
	for _, next := range t.def.followers[task.ID] {
		if t.ready(next) {
			t.start(next, task.ID)
		}
	}
}

// follow goes to the task that on_success names.
func (t *transition) follow(task *Task, ts *TaskState) {
	scope := t.brief(task, ts)
	scope.Output, scope.Previous = ts.Output, task.ID
	id, err := t.name(task.OnSuccess, scope)
	next := t.def.Task(id)
	switch {
	case err != nil:
		t.finish(Failed, &Failure{Code: "TEMPLATE_ERROR", Message: "task " + task.ID + ": on_success.next: " + err.Error()})
	case next == nil || next.Parent != "":
		t.finish(Failed, &Failure{Code: "UNKNOWN_TASK", Message: fmt.Sprintf("task %s: on_success.next names %q, which is no task of this workflow", task.ID, id)})
	default:
		t.start(next, task.ID)
	}
}

// ready reports whether every task that this one comes after has ended well
// more often than this one has run.
func (t *transition) ready(task *Task) bool {
	runs := 0
	if ts := t.s.Task(task.ID); ts != nil {
		runs = ts.Run
	}
	for _, before := range task.After {
		ts := t.s.Task(before)
		if ts == nil || ts.Run <= runs || ts.Status != Success && ts.Status != Skipped {
			return false
		}
	}
	return true
}

// taskState finds the task's place, making one at its first start.
func (t *transition) taskState(task *Task) *TaskState {
	if ts := t.s.Task(task.ID); ts != nil {
		return ts
	}
	t.s.Tasks = append(t.s.Tasks, TaskState{ID: task.ID})
	return &t.s.Tasks[len(t.s.Tasks)-1]
}

// scope is what the task's expressions see.
func (t *transition) scope(task *Task, ts *TaskState) *Scope {
	scope := &Scope{State: t.s, Task: task, Input: ts.Input, Previous: ts.Previous, Now: t.at}
	if task.Parent != "" {
		scope.Signal = t.signalOf(task)
	}
	return scope
}

// brief is scope for a template that is rendered at once: the next call of brief
// overwrites it.
func (t *transition) brief(task *Task, ts *TaskState) *Scope {
	if task.Parent != "" {
		return t.scope(task, ts)
	}
	t.room = Scope{State: t.s, Task: task, Input: ts.Input, Previous: ts.Previous, Now: t.at}
	return &t.room
}

func (t *transition) duration(source Template, task *Task, ts *TaskState) (time.Duration, error) {
	s, err := text(source, t.brief(task, ts))
	if err != nil {
		return 0, err
	}
	return ParseDuration(s)
}

// name is text for a template that often renders a name which the definition has:
// then that one is it.
func (t *transition) name(source Template, scope *Scope) (string, error) {
	v, err := source.Render(scope)
	if err != nil {
		return "", err
	}
	if plain := plainText(v); plain != nil {
		if task := t.def.byID[string(plain)]; task != nil {
			return task.ID, nil
		}
		for _, awaited := range t.def.Awaits {
			if awaited == string(plain) {
				return awaited, nil
			}
		}
	}
	name, err := textOf(v)
	if err != nil {
		return "", err
	}
	return name, checkName(name)
}

// checkName says what is wrong with a rendered name: nobody can send what the front
// door does not let in.
func checkName(name string) error {
	switch {
	case len(name) > MaxNameBytes:
		return fmt.Errorf("it renders to %d bytes, and a name has at most %d: what is long belongs into the payload", len(name), MaxNameBytes)
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f && r <= 0x9f }):
		return fmt.Errorf("it renders to %q, and a name has no line breaks or other control characters", name)
	}
	return nil
}

// text renders a template whose value must be a text, as names and durations are.
func text(source Template, scope *Scope) (string, error) {
	v, err := source.Render(scope)
	if err != nil {
		return "", err
	}
	return textOf(v)
}

// plainText is the text that a JSON string without escapes stands for, as nearly
// every name is; nil of any other value, and of an empty one.
func plainText(v Value) []byte {
	if n := len(v) - 1; n > 1 && v[0] == '"' && bytes.IndexByte(v, '\\') < 0 {
		return v[1:n]
	}
	return nil
}

func textOf(v Value) (string, error) {
	var s string
	if plain := plainText(v); plain != nil {
		s = string(plain)
	} else if json.Unmarshal(v, &s) != nil {
		// A lone reference to a number keeps its type; its text will do.
		s = string(v)
	}
	if s == "" || s == "null" {
		return "", errors.New("it renders to nothing")
	}
	return s, nil
}
