package workflow

import (
	"strconv"
	"time"
)

// Effect is something the outside world must do, after the commit: a closed set.
type Effect interface{ isEffect() }

// RunTask asks an executor for one attempt of a task.
type RunTask struct {
	ExecID   string
	Task     string
	Run      int
	Attempt  int
	Executor string
	Request  Value
	Timeout  time.Duration // of this attempt

	TraceParent string // that it continues, "" for none
}

// Key is stable over crashes and repeats, so that the far side can deduplicate:
// execution/task/run.attempt.
func (e RunTask) Key() string {
	return e.ExecID + "/" + e.Task + "/" + strconv.Itoa(e.Run) + "." + strconv.Itoa(e.Attempt)
}

// CancelTask asks to stop an attempt whose result no longer matters.
type CancelTask struct {
	ExecID  string
	Task    string
	Run     int
	Attempt int
}

// EmitEvent sends an event to whoever listens. It is written in the same commit.
type EmitEvent struct {
	Event Event
}

func (RunTask) isEffect()    {}
func (CancelTask) isEffect() {}
func (EmitEvent) isEffect()  {}
