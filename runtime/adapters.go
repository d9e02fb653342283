package runtime

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

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

// Names implements actors.Catalog.
func (c catalog) Names() []string {
	var names []string
	for _, w := range c.All() {
		for _, t := range w.Triggers {
			names = append(names, t.Name)
		}
		names = append(names, w.Awaits...)
	}
	return names
}

// Waiters implements actors.Catalog: those first that name it literally.
func (c catalog) Waiters(name string) []string {
	var literally, perhaps []string
	for _, w := range c.All() {
		switch {
		case slices.Contains(w.Awaits, name):
			literally = append(literally, w.ID)
		case w.AwaitsAny:
			perhaps = append(perhaps, w.ID)
		}
	}
	return append(literally, perhaps...)
}

// tools configures the executors.
func (n *Node) tools() executors.Options {
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
// input of the core. What the pool has no room for is remembered by the id of
// its execution alone; when there is room, the execution is woken and asks again.
type hands struct {
	pool   *executors.Pool
	wake   func(execID string)
	mu     sync.Mutex
	parked map[string]bool
}

// Run implements actors.Hands.
func (h *hands) Run(job workflow.RunTask, done func(workflow.Input)) {
	if h.submit(job, done) {
		return
	}
	h.mu.Lock()
	h.parked[job.ExecID] = true
	h.mu.Unlock()
	// Room may have come before it was parked. Waking it once more does no harm.
	h.submit(job, done)
}

// Now implements actors.Hands.
func (h *hands) Now(job workflow.RunTask) (workflow.Input, bool) {
	output, err, ok := h.pool.Now(job.Executor, jobOf(job))
	if !ok {
		return nil, false
	}
	return result(job, output, err), true
}

func jobOf(job workflow.RunTask) executors.Job {
	return executors.Job{
		Key: job.Key(), ExecID: job.ExecID, Task: job.Task, Attempt: job.Attempt, Request: job.Request, Timeout: job.Timeout,
		TraceParent: job.TraceParent,
	}
}

func (h *hands) submit(job workflow.RunTask, done func(workflow.Input)) bool {
	return h.pool.Submit(job.Executor, jobOf(job), func(output workflow.Value, err error) { done(result(job, output, err)) })
}

// room wakes the executions whose work found the pool full. Those that find it
// full once more are parked again, and the pool calls again for them.
func (h *hands) room() {
	h.mu.Lock()
	woken := h.parked
	h.parked = make(map[string]bool)
	h.mu.Unlock()
	for id := range woken {
		h.wake(id)
	}
}

// Cancel implements actors.Hands.
func (h *hands) Cancel(c workflow.CancelTask) {
	h.pool.Cancel(workflow.RunTask{ExecID: c.ExecID, Task: c.Task, Run: c.Run, Attempt: c.Attempt}.Key())
}

// result is what an executor gave, as an input.
func result(job workflow.RunTask, output workflow.Value, err error) workflow.Input {
	at := workflow.Stamp{At: workflow.InstantOf(time.Now())}
	if err == nil && len(output) > workflow.MaxValue {
		err = &executors.Failure{Code: "OUTPUT_TOO_LARGE", Permanent: true,
			Message: "the output is larger than the 1 MiB that a value may have: give less back, or a reference to it"}
	}
	if err != nil {
		return failed(at, job, err)
	}
	return workflow.TaskDone{Stamp: at, Task: job.Task, Run: job.Run, Attempt: job.Attempt, Output: output}
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
