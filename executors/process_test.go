//go:build unix

package executors

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running is the request of a process tool.
func running(more map[string]any, with any) Job {
	tool := map[string]any{"id": "calc", "type": "process"}
	for key, value := range more {
		tool[key] = value
	}
	return jobFor(encode(map[string]any{"tool": tool, "with": with}))
}

func shell(script string) map[string]any { return map[string]any{"command": script} }

func processHands(t *testing.T, dir string) Executor {
	t.Helper()
	return hands(t, Options{Dir: dir, Getenv: os.Getenv})["tool"]
}

func TestProcessTool(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(dir, "sub", "tool.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nprintf '\"%s\"' \"$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tool := processHands(t, dir)
	for _, c := range []struct {
		name string
		tool map[string]any
		with any
		want string
	}{
		{"stdin to stdout", map[string]any{"argv": []any{"cat"}}, map[string]any{"n": 1.50, "s": "ä"}, `{"n":1.5,"s":"ä"}`},
		{"no input is an empty object", map[string]any{"argv": []any{"cat"}}, nil, `{}`},
		{"no output is an empty object", map[string]any{"argv": []any{"true"}}, nil, `{}`},
		{"white space around the output", shell(`printf '\n [ 1, 2 ] \n'`), nil, `[1,2]`},
		{"a command goes through the shell", shell(`echo $((6*7))`), nil, `42`},
		{"arguments are not split or expanded", map[string]any{"argv": []any{"printf", `"%s"`, "a $HOME; b"}}, nil, `"a $HOME; b"`},
		{"numbers as arguments", map[string]any{"argv": []any{"printf", "%s", 7}}, nil, `7`},
		{"text output", map[string]any{"argv": []any{"printf", "plain\n"}, "output": "text"}, nil, `{"stdout":"plain\n"}`},
		{"text output that is no text", map[string]any{"argv": []any{"printf", `\377x`}, "output": "text"}, nil, `{"stdout":"` + "\uFFFD" + `x"}`},
		{"output that says json", map[string]any{"argv": []any{"echo", "1"}, "output": "json"}, nil, `1`},
		{"stderr is not output", shell(`echo noise >&2; echo 1`), nil, `1`},
		{"folder of its own", map[string]any{"command": `printf '"%s"' "$(basename "$PWD")"`, "cwd": "sub"}, nil, `"sub"`},
		{"program of the project", map[string]any{"argv": []any{"./tool.sh", "x"}, "cwd": "sub"}, nil, `"x"`},
		{"identity of the call", shell(`printf '["%s","%s","%s","%s"]' "$SIGNALBOX_IDEMPOTENCY_KEY" "$SIGNALBOX_EXEC_ID" "$SIGNALBOX_TASK_ID" "$SIGNALBOX_ATTEMPT"`), nil, `["exec-1/charge/2.3","exec-1","charge","3"]`},
		{"env of the tool", map[string]any{"command": `printf '"%s"' "$COLOUR$SIGNALBOX_TASK_ID"`, "env": map[string]any{"COLOUR": "red", "SIGNALBOX_TASK_ID": "forged"}}, nil, `"redcharge"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := must(t, tool, running(c.tool, c.with)); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What the node knows is none of a tool's business.
func TestProcessEnvironmentIsMinimal(t *testing.T) {
	t.Setenv("NODE_SECRET", "env-canary")
	got := must(t, processHands(t, t.TempDir()), running(map[string]any{"command": "env", "output": "text"}, nil))
	if strings.Contains(got, "env-canary") {
		t.Errorf("the node's environment is passed on: %s", got)
	}
	if !strings.Contains(got, "PATH=") {
		t.Errorf("PATH is missing: %s", got)
	}
}

func TestProcessFailures(t *testing.T) {
	t.Parallel()
	tool := processHands(t, t.TempDir())
	for _, c := range []struct {
		name      string
		tool      map[string]any
		code      string
		permanent bool
		says      []string
	}{
		{"exit code", shell(`echo "no such order" >&2; exit 3`), CodeProcessExit, false, []string{"tool calc", "exit status 3", "no such order"}},
		{"signal", shell(`kill -9 $$`), CodeProcessExit, false, []string{"signal: killed"}},
		{"not JSON", shell(`echo hello`), CodeOutputNotJSON, true, []string{"hello", "output: text"}},
		{"two JSON values", shell(`echo 1 2`), CodeOutputNotJSON, true, nil},
		{"no such program", map[string]any{"argv": []any{"no-such-program-at-all"}}, CodeProcessStart, true, []string{"no-such-program-at-all", "installed"}},
		{"no such folder", map[string]any{"argv": []any{"true"}, "cwd": "missing"}, CodeProcessStart, true, []string{"missing"}},
		{"folder outside", map[string]any{"argv": []any{"true"}, "cwd": "../.."}, CodeRequestInvalid, true, []string{"out of the project"}},
		{"absolute folder", map[string]any{"argv": []any{"true"}, "cwd": "/"}, CodeRequestInvalid, true, []string{"out of the project"}},
		{"nothing to run", nil, CodeRequestInvalid, true, []string{"neither argv nor command"}},
		{"no program", map[string]any{"argv": []any{""}}, CodeRequestInvalid, true, []string{"first word of argv is empty"}},
		{"too much to run", map[string]any{"argv": []any{"true"}, "command": "true"}, CodeRequestInvalid, true, []string{"keep one"}},
		{"zero byte", map[string]any{"argv": []any{"echo", "a\x00b"}}, CodeRequestInvalid, true, []string{"zero byte"}},
		{"variable that is none", map[string]any{"argv": []any{"true"}, "env": map[string]any{"A=B": "c"}}, CodeRequestInvalid, true, []string{"A=B"}},
		{"unknown output", map[string]any{"argv": []any{"true"}, "output": "xml"}, CodeRequestInvalid, true, []string{"json or text"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := mustFail(t, tool, running(c.tool, nil), c.code, c.says...)
			if f.Permanent != c.permanent {
				t.Errorf("permanent is %t", f.Permanent)
			}
			if c.name == "exit code" && (f.Details["exit_code"] != 3 || f.Details["stderr"] != "no such order") {
				t.Errorf("the details are %v", f.Details)
			}
		})
	}
}

func TestProcessFloods(t *testing.T) {
	t.Parallel()
	tool := processHands(t, t.TempDir())
	f := mustFail(t, tool, running(map[string]any{"argv": []any{"yes"}}, nil), CodeOutputTooLarge, "tool calc", "1048576 bytes")
	if !f.Permanent {
		t.Error("a flood is retried")
	}
	// One that ends before it can be stopped has still written too much.
	mustFail(t, tool, running(shell(`head -c 1100000 /dev/zero`), nil), CodeOutputTooLarge)
	f = mustFail(t, tool, running(shell(`yes | head -c 3000000 >&2; echo the end >&2; exit 1`), nil), CodeProcessExit, "the end")
	if len(f.Message) > MaxExcerptBytes+200 {
		t.Errorf("the message has %d bytes", len(f.Message))
	}
}

// ending waits until nobody holds the write end of a pipe any more, which is
// when the last process that inherited it is gone.
func ending(t *testing.T, fifo string) <-chan struct{} {
	t.Helper()
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		r, err := os.Open(fifo)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Error(err)
		}
	}()
	return gone
}

func TestProcessTimeoutTakesTheGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool := processHands(t, dir)
	gone := ending(t, filepath.Join(dir, "held"))
	began := time.Now()
	f := mustFail(t, tool, running(map[string]any{
		"command": `trap 'echo told to stop >&2; exit 0' TERM; exec 9>held; sleep 600 & wait`,
		"timeout": "1s",
	}, nil), CodeTimeout, "its own timeout of 1s", "told to stop")
	if f.Permanent {
		t.Error("a timeout is not retried")
	}
	if took := time.Since(began); took > time.Second+KillGrace {
		t.Errorf("a process that heeds SIGTERM took %s", took)
	}
	eventually(t, "the children of the tool end with it", gone)
}

func TestProcessThatIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool := processHands(t, dir)
	gone := ending(t, filepath.Join(dir, "held"))
	job := running(shell(`exec 9>held; trap '' TERM; sleep 600; sleep 600`), nil)
	job.Timeout = 200 * time.Millisecond
	began := time.Now()
	mustFail(t, tool, job, CodeTimeout, "within 200ms")
	if took := time.Since(began); took < KillGrace || took > KillGrace+10*time.Second {
		t.Errorf("SIGKILL came after %s", took)
	}
	eventually(t, "the children of the tool end with it", gone)
}

func TestProcessIsCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool := processHands(t, dir)
	ready := filepath.Join(dir, "ready")
	if err := syscall.Mkfifo(ready, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel()
		if _, err := os.ReadFile(ready); err != nil { // returns when the tool has written
			t.Error(err)
		}
	}()
	_, f := tryWith(t, ctx, tool, running(shell(`echo go > ready; sleep 600`), nil))
	wantFailure(t, f, CodeCanceled)
	if !f.Permanent {
		t.Error("a cancelled job is retried")
	}
}

// A child that is left behind goes with the tool, even one that holds its output.
func TestProcessLeavesNobodyBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tool := processHands(t, dir)
	gone := ending(t, filepath.Join(dir, "held"))
	if got := must(t, tool, running(shell(`sleep 600 9>held >/dev/null 2>&1 & echo 1`), nil)); got != "1" {
		t.Errorf("got %s", got)
	}
	eventually(t, "the child of the tool ends with it", gone)
	mustFail(t, tool, running(shell(`sleep 600 & echo 1`), nil), CodeProcessExit, "kept its output open")
}
