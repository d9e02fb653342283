package executors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/executors/rules"
	"github.com/signalbox/signalbox/workflow"
)

// inherited is all that a process gets of the node's own environment: enough to
// find programs, and none of the node's secrets.
var inherited = []string{"PATH", "HOME", "LANG"}

// envName is what a variable may be called.
var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// process runs a program: `with` as JSON on its stdin, its stdout as the output.
func (t *tool) process(ctx context.Context, job Job, r *toolRequest) (workflow.Value, error) {
	spec := &r.Tool
	plain, err := wantsText(spec)
	if err != nil {
		return nil, err
	}
	cmd, err := t.command(job, spec)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stdout := &bounded{limit: MaxProcessOutputBytes, full: func() {
		stop(permanent(CodeOutputTooLarge, "%s wrote more than %d bytes to stdout, which is all that is read; let it write less, or to a file", spec.name(), MaxProcessOutputBytes))
	}}
	stderr := &tail{limit: MaxStderrBytes}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(r.With), stdout, stderr
	// One that was told to stop has failed, even if it ended well then.
	if err := runGroup(ctx, cmd); err != nil || ctx.Err() != nil {
		return nil, processFailure(ctx, job, spec, err, stderr.String())
	}
	return processOutput(spec, plain, stdout.buf.Bytes())
}

// wantsText reports whether the tool's stdout is text instead of JSON.
func wantsText(spec *toolSpec) (bool, error) {
	if absent(spec.Output) {
		return false, nil
	}
	switch string(spec.Output) {
	case `"json"`:
		return false, nil
	case `"text"`:
		return true, nil
	}
	return false, permanent(CodeRequestInvalid, "%s: output %s is not known; write json or text", spec.name(), excerpt(string(spec.Output)))
}

// command prepares the program: what to run, where, and with which variables.
func (t *tool) command(job Job, spec *toolSpec) (*exec.Cmd, error) {
	argv, err := rules.Argv(plainTexts(spec.Argv), string(spec.Command))
	if err != nil {
		return nil, invalid(spec, err)
	}
	if spec.Cwd != "" && !filepath.IsLocal(string(spec.Cwd)) {
		return nil, permanent(CodeRequestInvalid, "%s: cwd %q leads out of the project; write a folder inside of it", spec.name(), excerpt(string(spec.Cwd)))
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	if t.options.Dir != "" || spec.Cwd != "" {
		cmd.Dir = filepath.Join(t.options.Dir, string(spec.Cwd))
	}
	env, err := t.environment(job, spec)
	if err != nil {
		return nil, err
	}
	cmd.Env = env
	return cmd, nil
}

// environment is what the program sees. Later entries win, so that a tool may
// set PATH, but not the identity of its call.
func (t *tool) environment(job Job, spec *toolSpec) ([]string, error) {
	var env []string
	for _, name := range inherited {
		if value := t.options.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range spec.Env {
		if !envName.MatchString(name) || strings.Contains(string(value), "\x00") {
			return nil, permanent(CodeRequestInvalid, "%s: env %q cannot be set; use letters, digits and underscores for the name, and no zero byte in the value", spec.name(), excerpt(name))
		}
		env = append(env, name+"="+string(value))
	}
	return append(env,
		"SIGNALBOX_IDEMPOTENCY_KEY="+job.Key,
		"SIGNALBOX_EXEC_ID="+job.ExecID,
		"SIGNALBOX_TASK_ID="+job.Task,
		"SIGNALBOX_ATTEMPT="+strconv.Itoa(job.Attempt),
	), nil
}

// processFailure says why a program did not end well.
func processFailure(ctx context.Context, job Job, spec *toolSpec, err error, stderr string) *Failure {
	f := ended(ctx, job)
	var exit *exec.ExitError
	switch {
	case f != nil:
		copied := *f // the cause of a context may be shared
		f = &copied
	case errors.As(err, &exit):
		f = passing(CodeProcessExit, "%s ended with %s", spec.name(), exit.ProcessState)
		f.Details = map[string]any{"exit_code": exit.ExitCode()}
	case errors.Is(err, exec.ErrWaitDelay):
		return permanent(CodeProcessExit, "%s ended, but a process that it left behind kept its output open for %s; let it wait for its children, or redirect their output", spec.name(), PipeGrace)
	default:
		return permanent(CodeProcessStart, "%s cannot be started: %s; check argv, cwd and that the program is installed where the node runs", spec.name(), excerpt(err.Error()))
	}
	if text := excerpt(stderr); text != "" {
		f.Message += "; its stderr ends with: " + text
		if f.Details == nil {
			f.Details = map[string]any{}
		}
		f.Details["stderr"] = text
	}
	return f
}

// processOutput makes an output of what a program wrote.
func processOutput(spec *toolSpec, plain bool, stdout []byte) (workflow.Value, error) {
	if plain {
		return workflow.ValueOf(map[string]any{"stdout": strings.ToValidUTF8(string(stdout), "\uFFFD")}), nil
	}
	stdout = bytes.TrimSpace(stdout)
	if len(stdout) == 0 {
		return workflow.Value("{}"), nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, stdout); err != nil {
		return nil, permanent(CodeOutputNotJSON, "%s wrote something to stdout that is not one JSON value (%v): %s; let it write JSON, or set output: text", spec.name(), err, firstLine(excerpt(string(stdout))))
	}
	return workflow.Value(compact.Bytes()), nil
}

// bounded keeps what is written up to a limit, and says once that it is full.
// What comes after is dropped, so that the writer is not blocked while it is
// being stopped.
type bounded struct {
	buf   bytes.Buffer
	limit int
	over  bool
	full  func()
}

// Write takes everything and keeps what fits.
func (b *bounded) Write(p []byte) (int, error) {
	room := b.limit - b.buf.Len()
	b.buf.Write(p[:min(room, len(p))])
	if len(p) > room && !b.over {
		b.over = true
		b.full()
	}
	return len(p), nil
}

// tail keeps the end of what is written.
type tail struct {
	buf   []byte
	limit int
	cut   bool
}

// Write takes everything and keeps the end.
func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p[max(0, len(p)-t.limit):]...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
		t.cut = true
	}
	return len(p), nil
}

// String is the kept end.
func (t *tail) String() string {
	text := strings.TrimSpace(string(t.buf))
	if t.cut {
		return "..." + text
	}
	return text
}

// started says which program could not be run, in words that do not depend on
// the system.
func started(cmd *exec.Cmd, err error) error {
	return fmt.Errorf("%s in folder %q: %w", filepath.Base(cmd.Path), filepath.Base(cmd.Dir), err)
}
