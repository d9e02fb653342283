package workflow

// Input is everything that can happen to an execution: a closed set.
type Input interface {
	// Kind names the input in records; When is the moment it happened.
	Kind() string
	When() Instant
}

// Stamp is the moment of an input. Identity is each input's own: a signal's id,
// a task's run and attempt, a timer's id; applying the same one twice changes nothing.
type Stamp struct {
	At Instant `json:"at"`
}

// When is the moment the input happened.
func (s Stamp) When() Instant { return s.At }

// Started begins an execution. It is the only input an empty state takes.
type Started struct {
	Stamp
	ExecID     string  `json:"exec"`
	WorkflowID string  `json:"workflow"`
	Definition string  `json:"def"`
	Input      Value   `json:"input,omitempty"`
	Origin     *Origin `json:"origin,omitempty"`
	By         string  `json:"by,omitempty"`
	Key        string  `json:"key,omitempty"`
	Unique     bool    `json:"unique,omitempty"`
	Labels     []Label `json:"labels,omitempty"`
}

// Signalled brings a signal. OnlyIfMatched marks an event's delivery: it is
// consumed by an open wait now or forgotten, never buffered.
type Signalled struct {
	Stamp
	Signal        Signal `json:"signal"`
	OnlyIfMatched bool   `json:"only_if_matched,omitempty"`
}

// TimerFired says that a timer came due.
type TimerFired struct {
	Stamp
	Timer string `json:"timer"`
}

// TaskDone brings the output of an attempt.
type TaskDone struct {
	Stamp
	Task    string `json:"task"`
	Run     int    `json:"run"`
	Attempt int    `json:"attempt"`
	Output  Value  `json:"output,omitempty"`
}

// TaskFailed brings the failure of an attempt.
type TaskFailed struct {
	Stamp
	Task      string  `json:"task"`
	Run       int     `json:"run"`
	Attempt   int     `json:"attempt"`
	Failure   Failure `json:"failure"`
	TimedOut  bool    `json:"timed_out,omitempty"`
	Permanent bool    `json:"permanent,omitempty"` // no retry can help

	RetryAfterMS int64 `json:"retry_after_ms,omitempty"` // the least hold that the far side asked for
}

// PauseAsked, ResumeAsked and CancelAsked steer an execution.
type (
	PauseAsked struct {
		Stamp
		By string `json:"by,omitempty"`
	}
	ResumeAsked struct {
		Stamp
		By string `json:"by,omitempty"`
	}
	CancelAsked struct {
		Stamp
		By     string `json:"by,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
)

// The kinds of input, which are also the types of their records.
func (Started) Kind() string     { return "execution.started" }
func (Signalled) Kind() string   { return "signal.accepted" }
func (TimerFired) Kind() string  { return "timer.fired" }
func (TaskDone) Kind() string    { return "task.done" }
func (TaskFailed) Kind() string  { return "task.failed" }
func (PauseAsked) Kind() string  { return "execution.paused" }
func (ResumeAsked) Kind() string { return "execution.resumed" }
func (CancelAsked) Kind() string { return "execution.canceled" }

// HeldInput is a task's result that came while the execution was paused; it is
// applied at resume. Exactly one field is set.
type HeldInput struct {
	Done   *TaskDone   `json:"done,omitempty"`
	Failed *TaskFailed `json:"failed,omitempty"`
}
