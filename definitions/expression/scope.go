package expression

import (
	"slices"

	"github.com/signalbox/signalbox/workflow"
)

// part names a piece of the scope that is put together only as far as somebody
// looks into it.
type part uint8

const (
	partRoot part = iota
	partWorkflow
	partTasks
	partTask    // one entry of tasks
	partCurrent // the task being rendered, and what came before it
	partTrigger
	partEnv
	partFailure
)

// view is a piece of the scope as a value of an expression.
type view struct {
	part    part
	task    *workflow.TaskState // partTask
	failure *workflow.Failure   // partFailure
}

// found is what looking up one name gave: a value, or JSON text that nobody
// has decoded yet.
type found struct {
	ok     bool
	value  any
	text   workflow.Value // set instead of value
	sealed bool           // text is already masked text, see secret.go
}

func plain(v any) found { return found{ok: true, value: v} }

func word(s string) found {
	if s == "" {
		return found{}
	}
	return found{ok: true, value: s}
}

func text(v workflow.Value) found { return found{ok: v != nil, text: v} }

func sealedText(v workflow.Value) found { return found{ok: v != nil, text: v, sealed: true} }

// names of each part in the order that suggestions and loops use.
var partNames = map[part][]string{
	partWorkflow: {"error", "exec_id", "id", "input", "output", "started_at", "status", "version"},
	partTask:     {"collected", "error", "id", "input", "output", "outputs", "result", "status", "type"},
	partCurrent:  {"error", "id", "input", "output", "status", "timed_out", "type", "with"},
	partTrigger:  {"correlation_id", "event_id", "name", "payload", "type"},
	partFailure:  {"code", "details", "message"},
}

// rootFields are the names that can be asked of each root whose shape is fixed. A
// signal is the envelope that the core makes, and a processor its result.
var rootFields = map[string][]string{
	"workflow":  partNames[partWorkflow],
	"task":      append(slices.Clone(partNames[partCurrent]), "result"), // found by name only
	"trigger":   partNames[partTrigger],
	"signal":    {"correlation_id", "metadata", "payload"},
	"processor": {"error", "output"},
}

// Fields lists the names that a root can have, nil for one whose shape is the
// user's, such as `input`, or that is no object at all.
func Fields(root string) []string { return slices.Clone(rootFields[root]) }

func (r *run) member(v view, name string) found {
	switch v.part {
	case partRoot:
		return r.rootMember(name)
	case partWorkflow:
		return r.workflowMember(name)
	case partTasks:
		if t := r.task(name); t != nil {
			return plain(view{part: partTask, task: t})
		}
	case partTask:
		return taskMember(v.task, name)
	case partCurrent:
		return r.currentMember(name)
	case partTrigger:
		return r.triggerMember(name)
	case partEnv:
		return r.envMember(name)
	case partFailure:
		return failureMember(v.failure, name)
	}
	return found{}
}

func (r *run) rootMember(name string) found {
	switch name {
	case "workflow":
		return plain(view{part: partWorkflow})
	case "tasks":
		return plain(view{part: partTasks})
	case "task":
		return plain(view{part: partCurrent})
	case "env":
		return plain(view{part: partEnv})
	case "trigger":
		return plain(view{part: partTrigger})
	case "input", "with":
		return sealedText(r.scope.Input)
	case "signal":
		return text(r.scope.Signal)
	case "processor":
		return text(r.scope.Processor)
	case "output":
		return text(r.scope.Output)
	case "payload":
		return text(r.scope.Payload)
	case "collected":
		return text(r.scope.Collected())
	case "workflow_id":
		return r.workflowMember("id")
	case "workflow_exec_id":
		return r.workflowMember("exec_id")
	case "status":
		return r.workflowMember("status")
	}
	return found{}
}

func (r *run) workflowMember(name string) found {
	s := r.scope.State
	if s == nil {
		return found{}
	}
	switch name {
	case "id":
		return word(s.WorkflowID)
	case "exec_id":
		return word(s.ExecID)
	case "input":
		return text(s.Input)
	case "output":
		return text(s.Output)
	case "status":
		return word(string(s.Status))
	case "version":
		if r.env.version != "" {
			return word(r.env.version)
		}
		return word(s.Definition)
	case "started_at":
		return word(s.CreatedAt.String())
	case "error":
		return failureOf(s.Error)
	}
	return found{}
}

// task finds the state of a task by its id, spelled exactly or with hyphens
// and underscores exchanged.
func (r *run) task(id string) *workflow.TaskState {
	if r.scope.State == nil {
		return nil
	}
	if t := r.scope.State.Task(id); t != nil {
		return t
	}
	tasks := r.scope.State.Tasks
	for i := range tasks {
		if twin(tasks[i].ID, id) {
			return &tasks[i]
		}
	}
	return nil
}

func taskMember(t *workflow.TaskState, name string) found {
	switch name {
	case "id":
		return word(t.ID)
	case "type":
		return word(string(t.Kind))
	case "input":
		return sealedText(t.Input)
	case "output", "outputs":
		return text(t.Output)
	case "result":
		return text(t.Result())
	case "status":
		return word(string(t.Status))
	case "collected":
		return text((&workflow.Scope{Gathered: t.Gathered}).Collected())
	case "error":
		return failureOf(t.Error)
	}
	return found{}
}

func failureOf(f *workflow.Failure) found {
	if f == nil {
		return found{}
	}
	return plain(view{part: partFailure, failure: f})
}

func failureMember(f *workflow.Failure, name string) found {
	switch name {
	case "message", "Message":
		return plain(f.Message)
	case "code", "Code":
		return word(f.Code)
	case "details", "Details":
		return text(f.Details)
	}
	return found{}
}

// currentMember reads `.task`: what the task is, and the outcome that led to
// it. Where the task's own output is known already, that is its output.
func (r *run) currentMember(name string) found {
	switch name {
	case "id", "type":
		if t := r.scope.Task; t != nil && name == "id" {
			return word(t.ID)
		} else if t != nil {
			return word(string(t.Kind))
		}
		return found{}
	case "with", "input":
		return sealedText(r.scope.Input)
	case "output":
		if r.scope.Output != nil {
			return text(r.scope.Output)
		}
	}
	if name == "timed_out" {
		t := r.previous()
		return plain(t != nil && t.Status == workflow.TimedOut)
	}
	t := r.previous()
	if t == nil {
		return found{}
	}
	switch name {
	case "output", "error", "status", "result":
		return taskMember(t, name)
	}
	return found{}
}

func (r *run) previous() *workflow.TaskState {
	if r.scope.Previous == "" || r.scope.State == nil {
		return nil
	}
	return r.scope.State.Task(r.scope.Previous)
}

func (r *run) triggerMember(name string) found {
	if r.scope.State == nil || r.scope.State.Trigger == nil {
		return found{}
	}
	t := r.scope.State.Trigger
	switch name {
	case "type":
		return word(t.Type)
	case "name":
		return word(t.Name)
	case "payload":
		return text(t.Payload)
	case "event_id":
		return word(t.EventID)
	case "correlation_id":
		return word(t.CorrelationID)
	}
	return found{}
}

func (r *run) envMember(name string) found {
	if s, ok := r.env.secret[name]; ok {
		if r.masked && s != "" {
			r.touched = true
			return plain(sealSecret(name))
		}
		return plain(s)
	}
	if s, ok := r.env.public[name]; ok {
		return plain(s)
	}
	return found{}
}

// names lists what can be asked of a view, sorted.
func (r *run) names(v view) []string {
	switch v.part {
	case partRoot:
		return Roots()
	case partTasks:
		if r.scope.State == nil {
			return nil
		}
		ids := make([]string, 0, len(r.scope.State.Tasks))
		for i := range r.scope.State.Tasks {
			ids = append(ids, r.scope.State.Tasks[i].ID)
		}
		slices.Sort(ids)
		return ids
	case partEnv:
		return r.env.names
	}
	return partNames[v.part]
}

// whole puts a view together as an ordinary map.
func (r *run) whole(v view) (any, error) {
	names := r.names(v)
	m := make(map[string]any, len(names))
	for _, name := range names {
		f := r.member(v, name)
		if !f.ok {
			continue
		}
		value, err := r.open(f)
		if err != nil {
			return nil, err
		}
		if inner, ok := value.(view); ok {
			if value, err = r.whole(inner); err != nil {
				return nil, err
			}
			if len(value.(map[string]any)) == 0 && v.part == partRoot {
				continue
			}
		}
		m[name] = value
	}
	return m, r.step(len(names))
}
