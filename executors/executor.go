package executors

import (
	"context"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// Job is one attempt of one task.
type Job struct {
	Key     string // execution/task/run.attempt: the idempotency key of every call to outside
	ExecID  string
	Task    string
	Attempt int
	Request workflow.Value // rendered by the core; secrets are masked, see Options.Unmask
	Timeout time.Duration  // the context already carries it
	Now     bool           // before the commit: nothing that has an effect outside may be done

	TraceParent string // W3C trace context that calls to outside continue, "" for none
}

// Executor does one kind of work.
type Executor interface {
	// Run does the job and returns its output, a JSON value. An error is best a
	// *Failure; any other counts as one that a retry may help.
	Run(ctx context.Context, job Job) (workflow.Value, error)
}

// Failure is why a job failed.
type Failure struct {
	Code       string // stable, upper case: TIMEOUT, HTTP_STATUS, PROCESS_EXIT, ...
	Message    string
	Permanent  bool          // no retry can help
	RetryAfter time.Duration // what the far side asked for; zero: nothing
	Details    map[string]any
}

// Error is the message: what went wrong, where, and what to do.
func (f *Failure) Error() string { return f.Message }
