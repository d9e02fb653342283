package workflow

import (
	"slices"
	"time"
)

// Definition is a workflow after compilation: every id resolved, every
// expression parsed, the listed order lowered into explicit dependencies.
// Package definitions makes it; the core only reads it. It is immutable and
// shared by all executions of that version.
type Definition struct {
	ID          string
	Version     string
	Description string
	Hash        string   // content hash of the bundle that it was compiled from
	Tasks       []*Task  // every top-level task, in the order listed
	Roots       []string // tasks that start with the execution
	Input       Schema   // nil: anything
	Outputs     Template // nil: the outputs of all tasks
	Triggers    []Trigger
	Key         *KeySpec // nil: an execution has a key only when its start names one
	Labels      Template // an object of texts; nil: none but those of the start
	OnError     string   // task that handles a failure no task handled; "" for none

	// Awaits holds every literal signal name that some wait of this workflow
	// can open for. AwaitsAny is true when at least one name is a template,
	// so that no name can be called impossible.
	Awaits    []string
	AwaitsAny bool

	byID      map[string]*Task
	followers map[string][]*Task // by the task that they come after
}

// MayAwait reports whether a wait of this workflow can open for a name.
func (d *Definition) MayAwait(name string) bool {
	return d.AwaitsAny || slices.Contains(d.Awaits, name)
}

// Kind is what a task does when it runs.
type Kind string

// The kinds of task that the core knows how to run.
const (
	Basic Kind = "basic"  // work done by an executor
	Wait  Kind = "wait"   // holds until a signal or event satisfies it
	Emit  Kind = "signal" // sends an event to whoever listens
)

// Task is one node of a workflow.
type Task struct {
	ID   string
	Kind Kind

	// After names the tasks that must have ended well before this one starts
	// by itself. Empty means that it is a root or only the target of a transition.
	After []string

	OnSuccess Template // id of the task to run next, rendered after this one's output is known; nil for none
	OnError   string   // "" for none
	OnTimeout string   // "" for none
	OnVeto    string   // of a wait; "" for none
	Final     bool     // the execution ends after this task
	Reminds   bool     // it runs only as a reminder: its failure ends nothing

	Condition Condition // nil: always; false: the task is skipped
	Sleep     Template  // duration text to hold before the task runs; nil for none
	Timeout   Template  // duration text for one attempt, or a wait's deadline; nil for none
	Retry     Retry
	Outputs   Template // replaces the output, rendered with .output; nil keeps it
	With      Template // the task's input; nil for none

	Parent string // id of the wait that this task is the processor of; set by Link
	Branch string // of that wait; set by Link

	Work   *Work       // Basic
	Wait   *WaitSpec   // Wait
	Signal *SignalSpec // Emit
}

// Work is what an executor is asked to do.
type Work struct {
	Executor string   // "agent" or "tool"
	Request  Template // the whole request as one JSON object, secrets still masked
	AgentID  string
	ActionID string
	ToolID   string
}

// SignalSpec is what a signal task sends.
type SignalSpec struct {
	Name    Template
	Payload Template // nil: no payload
}

// Trigger starts an execution of its workflow for each event of its name.
type Trigger struct {
	Name   string
	Schema Schema    // nil: any payload
	Filter Condition // nil: every event
}

// Retry says how often a failed attempt is repeated and how long to hold before.
type Retry struct {
	Attempts     int           // at most, the first included; 0 and 1 mean no retry
	Initial      time.Duration // before the second attempt
	Coefficient  float64       // each further hold is this many times the last
	Maximum      time.Duration // of one hold
	NonRetryable []string      // failure codes that end the task at once
}

// Template renders to a Value. Rendering is total: it ends within the work
// budget of its implementation, in a value or an error.
type Template interface {
	Render(*Scope) (Value, error)
}

// Condition judges a scope. Judging is total: a missing key, a type mismatch
// or an exhausted budget make it false with a reason, never a failure.
type Condition interface {
	Judge(*Scope) Verdict
	Source() string
}

// Explainer is a Condition that can show itself to a person with the values of a
// scope filled in. Explaining is total, like judging, and never shows a secret.
type Explainer interface {
	Explain(*Scope) string
}

// Verdict is the result of judging a condition.
type Verdict struct {
	Holds   bool
	Endless bool   // it does not hold because its budget has stopped it
	Reason  string // why not, with the values that decided; of one that holds, why, when Scope.Grounds asks for it
}

// Schema checks a value.
type Schema interface {
	// Default returns v with the schema's top-level property defaults filled in.
	Default(v Value) Value
	// Check returns what is wrong with v, nothing when it conforms.
	Check(v Value) []Violation
}

// Violation is one place where a value breaks its schema.
type Violation struct {
	Pointer string `json:"pointer"` // JSON pointer into the value, "" for the whole
	Message string `json:"message"`
}

// Link finishes a Definition whose fields are set. Compilers call it once.
func (d *Definition) Link() *Definition {
	d.byID = make(map[string]*Task, len(d.Tasks))
	d.followers = make(map[string][]*Task)
	for _, t := range d.Tasks {
		d.byID[t.ID] = t
		for _, before := range t.After {
			d.followers[before] = append(d.followers[before], t)
		}
		if t.Kind == Wait {
			d.linkProcessor(t, "", &t.Wait.Hold)
			for _, b := range t.Wait.Branches {
				d.linkProcessor(t, b.ID, &b.Hold)
			}
		}
	}
	return d
}

// linkProcessor lets the processor of a wait, or of a branch of one, be found.
func (d *Definition) linkProcessor(wait *Task, branch string, hold *Hold) {
	if p := hold.Processor; p != nil {
		p.Parent, p.Branch = wait.ID, branch
		d.byID[p.ID] = p
	}
}

// Task returns the task of that id, processors of waits included, or nil.
func (d *Definition) Task(id string) *Task { return d.byID[id] }

// Scope is what an expression can see. The core fills the fields that exist at
// that point; nil Values are absent. Implementations decode only what an
// expression refers to.
type Scope struct {
	State     *State
	Task      *Task      // the task being rendered; nil outside a task
	Input     Value      // the current task's `with` (.input and .with)
	Signal    Value      // envelope {payload, metadata}: wait conditions, processors, wait outputs
	Processor Value      // {output} or {error} of the wait's processor
	Gathered  *Gathering // what the wait has gathered; see Collected
	Branch    string     // whose signals Collected gives; "" for all of the wait
	Output    Value      // raw output: task outputs and on_success
	Payload   Value      // a trigger filter's event payload
	Previous  string     // id of the task that ended before this one, for .task.output
	Grounds   bool       // a condition that holds says why, too
	Now       Instant    // for templates that ask for the time: the input's time, never the clock's
}
