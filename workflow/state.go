package workflow

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// State is everything that an execution is. It is a value: Advance never
// changes the one it is given. Its JSON form is the snapshot.
type State struct {
	ExecID     string `json:"id"`
	WorkflowID string `json:"workflow"`
	Definition string `json:"def"`     // content hash of the version that it runs
	Version    uint64 `json:"version"` // inputs applied so far; the store's expected version
	Seq        uint64 `json:"seq"`     // number of its last record
	Status     Status `json:"status"`
	Paused     bool   `json:"paused,omitempty"`

	Input   Value    `json:"input,omitempty"`
	Trigger *Origin  `json:"trigger,omitempty"`
	Output  Value    `json:"output,omitempty"`
	Error   *Failure `json:"error,omitempty"`

	Key    string  `json:"key,omitempty"`    // business key: what it is about, in the words of whoever started it
	Unique bool    `json:"unique,omitempty"` // no other live execution of its workflow may have its key
	Labels []Label `json:"labels,omitempty"` // by name, which never change

	CreatedAt  Instant `json:"created"`
	UpdatedAt  Instant `json:"updated"`
	FinishedAt Instant `json:"finished,omitempty"`

	Tasks  []TaskState `json:"tasks,omitempty"`  // in the order of their first start
	Waits  []OpenWait  `json:"waits,omitempty"`  // open ones, oldest first
	Buffer []Buffered  `json:"buffer,omitempty"` // signals kept for a later wait, in arrival order
	Timers []Timer     `json:"timers,omitempty"` // armed ones
	Held   []HeldInput `json:"held,omitempty"`   // results that came while paused
	Last   string      `json:"last,omitempty"`   // id of the task that ended last

	// Context counts what can change the verdict on a buffered signal: the end
	// of a task, the opening of a wait.
	Context uint64   `json:"context,omitempty"`
	Recent  []string `json:"recent,omitempty"` // ids of the signals applied last, bounded by MaxRecent
}

// Origin is the message that started an execution: `.trigger` in expressions.
type Origin struct {
	Type          string `json:"type"` // "signal" for an event through a trigger, FromAPI for a start
	Name          string `json:"name,omitempty"`
	Payload       Value  `json:"payload,omitempty"`
	EventID       string `json:"event_id,omitempty"`
	CorrelationID string `json:"correlation_id,omitempty"`
	SignalID      string `json:"signal_id,omitempty"` // of the signal that came with the start
	TraceParent   string `json:"traceparent,omitempty"`
}

// Failure is the error object of an execution or task.
type Failure struct {
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
	Details Value  `json:"details,omitempty"`
}

// TaskState is one task of an execution. A task that runs again, in a loop of
// transitions, keeps its place and raises Run.
type TaskState struct {
	ID        string   `json:"id"`
	Kind      Kind     `json:"kind"`
	Run       int      `json:"run"`               // 1 for the first time it runs
	Attempt   int      `json:"attempt,omitempty"` // of this run, 1 for the first
	Status    Status   `json:"status"`
	Component string   `json:"component,omitempty"` // "agent", "tool" or "task": who does the work
	AgentID   string   `json:"agent,omitempty"`
	ActionID  string   `json:"action,omitempty"`
	ToolID    string   `json:"tool,omitempty"`
	Input     Value    `json:"input,omitempty"`      // rendered `with`
	Request   Value    `json:"request,omitempty"`    // what the executor was asked; only while it works
	TimeoutMS int64    `json:"timeout_ms,omitempty"` // of one attempt; only while it works
	Output    Value    `json:"output,omitempty"`
	Envelope  Value    `json:"envelope,omitempty"` // a wait's signal, when its outputs replaced what held it; see Result
	Error     *Failure `json:"error,omitempty"`
	Previous  string   `json:"previous,omitempty"` // the task that led here
	Parent    string   `json:"parent,omitempty"`   // the wait whose processor this is
	CreatedAt Instant  `json:"created"`
	UpdatedAt Instant  `json:"updated"`

	Gathered *Gathering `json:"gathered,omitempty"` // of an open wait with branches or a quorum
}

// OpenWait is a wait that holds. ID is unique in the execution for ever. A task
// with branches has one for each that is neither satisfied nor out of time.
type OpenWait struct {
	ID         string  `json:"id"` // task/run, or task/run.branch
	Task       string  `json:"task"`
	Name       string  `json:"name"`
	Condition  string  `json:"condition,omitempty"` // source text, for people
	Path       string  `json:"path,omitempty"`      // of the message's part that Key is compared with, as a JSON pointer into the signal
	Key        string  `json:"key,omitempty"`       // what it is indexed by, see KeyText; "": by its name alone
	OpenedAt   Instant `json:"opened"`
	Deadline   Instant `json:"deadline,omitempty"`
	Judging    string  `json:"judging,omitempty"`     // id of the signal that the processor works on
	LastJudged string  `json:"last_judged,omitempty"` // id of the last signal it refused
	LastReason string  `json:"last_reason,omitempty"` // and why
	Branch     string  `json:"branch,omitempty"`
	Have       Weight  `json:"have,omitempty"`  // of Need, collected so far
	Need       Weight  `json:"need,omitempty"`  // 0 when the first signal or a condition satisfies it
	Limit      Instant `json:"limit,omitempty"` // the branch's own deadline
	Whole      string  `json:"whole,omitempty"` // how many branches of the task are satisfied, as in "1 of 2 branches"
}

// Buffered is a signal that was accepted and that no wait has consumed yet.
type Buffered struct {
	Signal
	Reason    string   `json:"reason,omitempty"`    // why no wait has taken it
	JudgedAt  uint64   `json:"judged_at,omitempty"` // State.Context when the open waits last judged it
	Busy      []string `json:"busy,omitempty"`      // waits of its name that were busy with another signal
	Transient bool     `json:"transient,omitempty"` // an event: it stays while processors work on it, or the execution is paused
	Taken     bool     `json:"taken,omitempty"`     // of such an event: some wait has consumed it already
}

// Timer is a durable alarm of an execution.
type Timer struct {
	ID   string    `json:"id"`
	Kind TimerKind `json:"kind"`
	Of   string    `json:"of"` // task id, wait id, signal id or rung of a wait (task/run#rung), as its kind says
	Due  Instant   `json:"due"`
}

// TimerKind is what a timer is for.
type TimerKind string

// The kinds of timer.
const (
	TimerDeadline TimerKind = "deadline" // of a wait
	TimerRetry    TimerKind = "retry"    // of a task
	TimerSleep    TimerKind = "sleep"    // of a task
	TimerExpiry   TimerKind = "expiry"   // of a buffered signal
	TimerRemind   TimerKind = "reminder" // of a rung of a wait
)

// TimerTask is the task that a timer's id says is held: by a sleep, or until its
// next attempt. It is "" of a timer of something else.
func TimerTask(id string) string {
	kind, of, _ := strings.Cut(id, ":")
	if kind == string(TimerRetry) || kind == string(TimerSleep) {
		return of
	}
	return ""
}

// traceParent is the trace that the execution continues, "" for none.
func (s *State) traceParent() string {
	if s.Trigger == nil {
		return ""
	}
	return s.Trigger.TraceParent
}

// Alarms returns the timers that must fire: none while paused.
func (s *State) Alarms() []Timer {
	if s.Paused || s.Status.Finished() {
		return nil
	}
	return s.Timers
}

// Overdue returns the timers that must fire before an input at that moment,
// earliest first, so that a deadline which has passed wins over a signal that
// comes after it.
func (s *State) Overdue(at Instant) []TimerFired {
	var due []Timer
	for _, t := range s.Alarms() {
		if t.Due <= at {
			due = append(due, t)
		}
	}
	slices.SortFunc(due, func(a, b Timer) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
	fired := make([]TimerFired, len(due))
	for i, t := range due {
		fired[i] = TimerFired{Stamp: Stamp{At: at}, Timer: t.ID}
	}
	return fired
}

// Task returns the state of the task of that id, or nil when it never started.
func (s *State) Task(id string) *TaskState {
	for i := range s.Tasks {
		if s.Tasks[i].ID == id {
			return &s.Tasks[i]
		}
	}
	return nil
}

// Result is what the execution gives: what its workflow declares, or else
// {"<task>": {"output": ...}} of every task that ended well, in the order in
// which they ran. The latter is not kept, because the tasks hold it already.
func (s *State) Result() Value {
	if s.Output != nil || s.Status != Success {
		return s.Output
	}
	out := []byte{'{'}
	for i := range s.Tasks {
		ts := &s.Tasks[i]
		if ts.Status != Success || ts.Parent != "" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, ValueOf(ts.ID)...)
		out = append(out, `:{"output":`...)
		if ts.Output == nil {
			out = append(out, "null"...)
		}
		out = append(append(out, ts.Output...), '}')
	}
	return append(out, '}')
}

// Result is `.tasks.X.result`: the signal that a wait consumed, of any other
// task its output.
func (ts *TaskState) Result() Value {
	switch {
	case ts.Envelope != nil:
		return ts.Envelope
	case ts.Kind != Wait:
		return ts.Output
	}
	var held struct {
		Signal Value `json:"signal"`
	}
	if json.Unmarshal(ts.Output, &held) != nil {
		return nil
	}
	return held.Signal
}

// Wait returns the open wait of that id, or nil.
func (s *State) Wait(id string) *OpenWait {
	for i := range s.Waits {
		if s.Waits[i].ID == id {
			return &s.Waits[i]
		}
	}
	return nil
}
