package executors

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jobFor is a job as the core would hand it over.
func jobFor(request string) Job {
	return Job{Key: "exec-1/charge/2.3", ExecID: "exec-1", Task: "charge", Attempt: 3, Request: workflow.Value(request), Timeout: time.Minute}
}

// hands makes executors that are closed with the test, before its servers are.
func hands(t *testing.T, o Options) map[string]Executor {
	t.Helper()
	if o.Getenv == nil {
		o.Getenv = func(string) string { return "" }
	}
	made := New(o)
	t.Cleanup(func() {
		for _, e := range made {
			if err := e.(io.Closer).Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return made
}

// try runs one job and returns its output or its failure.
func try(t *testing.T, e Executor, job Job) (string, *Failure) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), job.Timeout)
	defer cancel()
	return tryWith(t, ctx, e, job)
}

func tryWith(t *testing.T, ctx context.Context, e Executor, job Job) (string, *Failure) {
	t.Helper()
	out, err := e.Run(ctx, job)
	if err == nil {
		if !json.Valid(out) {
			t.Fatalf("the output is not JSON: %s", out)
		}
		return string(out), nil
	}
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatalf("the error is a %T, not a failure: %v", err, err)
	}
	if out != nil {
		t.Fatalf("a failure comes with the output %s", out)
	}
	if f.Code == "" || f.Message == "" {
		t.Fatalf("the failure says too little: %+v", f)
	}
	return "", f
}

// must runs one job that has to work.
func must(t *testing.T, e Executor, job Job) string {
	t.Helper()
	out, f := try(t, e, job)
	if f != nil {
		t.Fatalf("failed with %s: %s", f.Code, f.Message)
	}
	return out
}

// mustFail runs one job that has to fail with a code and, in its message, every
// one of the texts.
func mustFail(t *testing.T, e Executor, job Job, code string, texts ...string) *Failure {
	t.Helper()
	out, f := try(t, e, job)
	if f == nil {
		t.Fatalf("gave %s instead of failing with %s", out, code)
	}
	wantFailure(t, f, code, texts...)
	return f
}

func wantFailure(t *testing.T, f *Failure, code string, texts ...string) {
	t.Helper()
	if f == nil {
		t.Fatalf("did not fail with %s", code)
	}
	if f.Code != code {
		t.Fatalf("failed with %s instead of %s: %s", f.Code, code, f.Message)
	}
	for _, text := range texts {
		if !strings.Contains(f.Message, text) {
			t.Errorf("the message does not say %q: %s", text, f.Message)
		}
	}
}

// encode writes v as JSON for a request.
func encode(v any) string { return string(workflow.ValueOf(v)) }

// eventually waits for something that another goroutine or process does.
func eventually(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(30 * time.Second):
		t.Fatalf("waited 30 s in vain: %s", what)
	}
}
