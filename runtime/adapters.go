package runtime

import (
	"errors"
	"time"

	"context"

	"github.com/signalbox/signalbox/actors"
	"github.com/signalbox/signalbox/definitions"
	"github.com/signalbox/signalbox/definitions/expression"
	"github.com/signalbox/signalbox/executors"
	"github.com/signalbox/signalbox/workflow"
)

// catalog shows the definitions to the actors in their own words.
type catalog struct{ *definitions.Catalog }

// Listeners implements actors.Catalog.
func (c catalog) Listeners(event string) []actors.Listener {
	found := c.Catalog.Listeners(event)
	listeners := make([]actors.Listener, len(found))
	for i, l := range found {
		listeners[i] = actors.Listener{Definition: l.Workflow.Definition, Index: l.Index}
	}
	return listeners
}

// hands configures the executors.
func (n *Node) hands() executors.Options {
	return executors.Options{
		Secrets:      n.secret,
		Unmask:       expression.Unmask,
		Duration:     workflow.ParseDuration,
		Logger:       n.logger,
		AllowPrivate: n.options.AllowPrivate,
		Dir:          n.options.Dir,
		Getenv:       n.options.Getenv,
		OnUsage:      n.telemetry.usage,
	}
}

// hands lets the actors work with the pool: what they ask for comes back as an
// input of the core.
type hands struct{ pool *executors.Pool }

// Run implements actors.Hands.
func (h hands) Run(job workflow.RunTask, done func(workflow.Input)) {
	h.pool.Submit(job.Executor, executors.Job{
		Key: job.Key(), ExecID: job.ExecID, Task: job.Task, Attempt: job.Attempt, Request: job.Request, Timeout: job.Timeout,
	}, func(output workflow.Value, err error) {
		at := workflow.Stamp{At: workflow.InstantOf(time.Now())}
		if err == nil && len(output) > workflow.MaxValue {
			err = &executors.Failure{Code: "OUTPUT_TOO_LARGE", Permanent: true,
				Message: "the output is larger than the 1 MiB that a value may have: give less back, or a reference to it"}
		}
		if err == nil {
			done(workflow.TaskDone{Stamp: at, Task: job.Task, Run: job.Run, Attempt: job.Attempt, Output: output})
			return
		}
		done(failed(at, job, err))
	})
}

func failed(at workflow.Stamp, job workflow.RunTask, err error) workflow.TaskFailed {
	in := workflow.TaskFailed{Stamp: at, Task: job.Task, Run: job.Run, Attempt: job.Attempt,
		Failure: workflow.Failure{Code: "FAILED", Message: err.Error()}}
	var failure *executors.Failure
	if errors.As(err, &failure) {
		in.Failure.Code, in.Permanent, in.RetryAfterMS = failure.Code, failure.Permanent, failure.RetryAfter.Milliseconds()
		if failure.Details != nil {
			in.Failure.Details = workflow.ValueOf(failure.Details)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		in.Failure.Code = "TIMEOUT"
		in.Failure.Message = "the attempt took longer than its timeout of " + job.Timeout.String()
	}
	in.TimedOut = in.Failure.Code == "TIMEOUT"
	return in
}

// Cancel implements actors.Hands.
func (h hands) Cancel(c workflow.CancelTask) {
	h.pool.Cancel(workflow.RunTask{ExecID: c.ExecID, Task: c.Task, Run: c.Run, Attempt: c.Attempt}.Key())
}
