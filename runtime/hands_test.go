package runtime

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/executors"
	"github.com/signalbox/signalbox/workflow"
)

// gated works only after its gate opens.
type gated struct{ gate chan struct{} }

func (g gated) Run(ctx context.Context, job executors.Job) (workflow.Value, error) {
	select {
	case <-g.gate:
		return job.Request, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestWorkThatFindsThePoolFullIsDoneLater: every task is done although the pool
// takes only a few at a time, and each execution asks again when it is woken.
func TestWorkThatFindsThePoolFullIsDoneLater(t *testing.T) {
	const jobs = 200
	gate := make(chan struct{})
	var mu sync.Mutex
	done := make(map[string]bool)
	all := make(chan struct{})
	job := func(id string) workflow.RunTask {
		return workflow.RunTask{ExecID: id, Task: "t", Run: 1, Attempt: 1, Executor: "tool", Request: workflow.Value(`{}`), Timeout: time.Minute}
	}
	h := &hands{parked: make(map[string]bool)}
	finished := func(id string) func(workflow.Input) {
		return func(workflow.Input) {
			mu.Lock()
			defer mu.Unlock()
			if done[id] {
				return // it was asked for again just when it ended, and an actor would not mind
			}
			if done[id] = true; len(done) == jobs {
				close(all)
			}
		}
	}
	h.wake = func(id string) {
		mu.Lock()
		over := done[id]
		mu.Unlock()
		if !over {
			go h.Run(job(id), finished(id)) // as an actor would
		}
	}
	h.pool = executors.NewPool(map[string]executors.Executor{"tool": gated{gate}}, 2, 4,
		executors.Hooks{Room: func(executors.Lane) { h.room() }})
	for i := range jobs {
		id := fmt.Sprint("x", i)
		h.Run(job(id), finished(id))
	}
	h.mu.Lock()
	parked := len(h.parked)
	h.mu.Unlock()
	if parked == 0 {
		t.Fatal("the pool was never full: this test tests nothing")
	}
	close(gate)
	select {
	case <-all:
	case <-time.After(20 * time.Second):
		mu.Lock()
		defer mu.Unlock()
		t.Fatalf("%d of %d tasks were done", len(done), jobs)
	}
	if err := h.pool.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatAnExecutorGivesBecomesAnInput(t *testing.T) {
	job := workflow.RunTask{ExecID: "x", Task: "t", Run: 2, Attempt: 3, Timeout: time.Second}
	for name, c := range map[string]struct {
		output    workflow.Value
		err       error
		code      string
		permanent bool
		timedOut  bool
		after     int64
	}{
		"output":     {output: workflow.Value(`{"n":1}`)},
		"too large":  {output: make(workflow.Value, workflow.MaxValue+1), code: "OUTPUT_TOO_LARGE", permanent: true},
		"plain":      {err: errors.New("no luck"), code: "FAILED"},
		"timeout":    {err: context.DeadlineExceeded, code: "TIMEOUT", timedOut: true},
		"its own":    {err: &executors.Failure{Code: "HTTP_STATUS", Message: "503", RetryAfter: 2 * time.Second}, code: "HTTP_STATUS", after: 2000},
		"for good":   {err: &executors.Failure{Code: "INPUT_INVALID", Message: "no", Permanent: true}, code: "INPUT_INVALID", permanent: true},
		"timed call": {err: &executors.Failure{Code: executors.CodeTimeout, Message: "slow"}, code: "TIMEOUT", timedOut: true},
	} {
		t.Run(name, func(t *testing.T) {
			in := result(job, c.output, c.err)
			if c.code == "" {
				done, ok := in.(workflow.TaskDone)
				if !ok || done.Task != "t" || done.Run != 2 || done.Attempt != 3 || string(done.Output) != string(c.output) || done.At == 0 {
					t.Fatalf("got %+v", in)
				}
				return
			}
			failed, ok := in.(workflow.TaskFailed)
			if !ok || failed.Failure.Code != c.code || failed.Permanent != c.permanent || failed.TimedOut != c.timedOut || failed.RetryAfterMS != c.after {
				t.Fatalf("got %+v", in)
			}
		})
	}
}
