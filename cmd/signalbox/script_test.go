package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/signalbox/signalbox/persistence/redis/redistest"
)

// TestMain lets the test binary be the program itself, so that scripts - and
// the demo, which starts a node of its own - run the real command line.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signalbox": func() { os.Exit(runProcess()) }})
}

// scriptTimeout bounds what a script waits for; it is only reached by a failure.
const scriptTimeout = 30 * time.Second

// TestScripts runs testdata/*.txtar. Besides the usual commands there are:
//
//	exits CODE COMMAND...   run and compare the exit code
//	node NAME ARGS...       run `signalbox ARGS`, wait until it listens, point SIGNALBOX_URL at it, set HOSTPORT
//	await NAME REGEXP       wait until the log of the node matches, from where the last await ended
//	unsaid NAME REGEXP      the log of the node never matched
//	stop NAME               SIGTERM; it has to exit 0
//	dismiss NAME            SIGTERM, without waiting for the end
//	kill NAME               SIGKILL
//	until REGEXP CMD...     run until the standard output matches
//	grab NAME REGEXP        set the variable to the first group found in the last standard output
func TestScripts(t *testing.T) {
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	redis := redisForScripts(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name != "redis" {
				return false, fmt.Errorf("no condition is called %q", name)
			}
			return redis != "", nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("EXAMPLES", examples)
			env.Setenv("REDIS", redis)
			env.Setenv("TMPDIR", env.WorkDir+"/tmp")
			env.Values[nodesKey{}] = map[string]*scriptNode{}
			return os.Mkdir(env.WorkDir+"/tmp", 0o777)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "node": startScriptNode, "await": await, "unsaid": unsaid, "drain": stopNode, "crash": killNode, "dismiss": dismissNode, "grab": grab, "until": until,
		},
	})
}

// redisForScripts starts a Redis for the scripts that begin with [!redis] skip, and
// returns its address, "" on the machine of a person who has none.
func redisForScripts(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil && os.Getenv("CI") == "" {
		return ""
	}
	server := redistest.Start(t)
	if answer := server.Do("ACL", "SETUSER", "keeper", "on", ">secret", "~*", "+@all"); answer != "OK" {
		t.Fatal(answer)
	}
	return server.Addr
}

type nodesKey struct{}

// scriptNode is a node that a script runs in the background.
type scriptNode struct {
	cmd    *exec.Cmd
	log    *watchedLog
	ended  chan struct{}
	result error
}

func nodes(ts *testscript.TestScript) map[string]*scriptNode {
	return ts.Value(nodesKey{}).(map[string]*scriptNode)
}

func need(ts *testscript.TestScript, neg bool, args []string, n int, usage string) {
	if neg || len(args) < n {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "exits CODE COMMAND...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func until(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "until REGEXP COMMAND...")
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	const tries = 500 // each of them starts a process, which takes its time
	for range tries {
		ts.Check(ts.Exec(args[1], args[2:]...))
		if want.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("%q never said %q", args[1:], args[0])
}

func startScriptNode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "node NAME ARGS...")
	path, err := exec.LookPath("signalbox")
	ts.Check(err)
	n := &scriptNode{cmd: exec.Command(path, args[1:]...), log: newWatchedLog(), ended: make(chan struct{})}
	n.cmd.Dir = ts.MkAbs(".")
	n.cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR"), "HOME=" + ts.Getenv("HOME")}
	for _, s := range settings {
		if value := ts.Getenv(s.variable()); value != "" {
			n.cmd.Env = append(n.cmd.Env, s.variable()+"="+value)
		}
	}
	n.cmd.Stderr = n.log
	stdout, err := n.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(n.cmd.Start())
	lines := make(chan string, 1)
	go func() {
		reader := bufio.NewReader(stdout)
		line, err := reader.ReadString('\n')
		if err == nil {
			lines <- strings.TrimSpace(line)
			_, err = io.Copy(io.Discard, reader)
		}
		close(lines)
		n.result = n.cmd.Wait()
		close(n.ended)
	}()
	ts.Defer(func() { n.end(syscall.SIGKILL) })
	select {
	case line := <-lines:
		url, ok := strings.CutPrefix(line, readyLine)
		if !ok {
			<-n.ended
			ts.Fatalf("the node said %q (%v):\n%s", line, n.result, n.log)
		}
		ts.Setenv("SIGNALBOX_URL", url)
		ts.Setenv("HOSTPORT", strings.TrimPrefix(url, "http://"))
	case <-time.After(scriptTimeout):
		ts.Fatalf("the node is not ready:\n%s", n.log)
	}
	nodes(ts)[args[0]] = n
}

// end signals the process and returns how it ended.
func (n *scriptNode) end(sig syscall.Signal) error {
	if err := n.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-n.ended:
		return n.result
	case <-time.After(scriptTimeout):
		return errors.Join(errors.New("the node does not end"), n.cmd.Process.Kill())
	}
}

func nodeNamed(ts *testscript.TestScript, name string) *scriptNode {
	n := nodes(ts)[name]
	if n == nil {
		ts.Fatalf("no node is called %q", name)
	}
	return n
}

func stopNode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "drain NAME")
	n := nodeNamed(ts, args[0])
	if err := n.end(syscall.SIGTERM); err != nil {
		ts.Fatalf("SIGTERM: %v\n%s", err, n.log)
	}
}

func dismissNode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "dismiss NAME")
	ts.Check(nodeNamed(ts, args[0]).cmd.Process.Signal(syscall.SIGTERM))
}

func killNode(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 1, "crash NAME")
	if err := nodeNamed(ts, args[0]).end(syscall.SIGKILL); err == nil {
		ts.Fatalf("the node ended well before it was killed")
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "await NAME REGEXP")
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	n := nodeNamed(ts, args[0])
	if err := n.log.await(pattern, n.ended); err != nil {
		ts.Fatalf("%v; the log:\n%s", err, n.log)
	}
}

func unsaid(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "unsaid NAME REGEXP")
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	if log := nodeNamed(ts, args[0]).log.String(); pattern.MatchString(log) {
		ts.Fatalf("the log says it:\n%s", log)
	}
}

func grab(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, args, 2, "grab NAME REGEXP")
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) < 2 {
		ts.Fatalf("%s matches nothing", args[1])
	}
	ts.Setenv(args[0], found[1])
}

// watchedLog is a log that a test can wait on.
type watchedLog struct {
	mu      sync.Mutex
	text    []byte
	seen    int
	changed chan struct{}
}

func newWatchedLog() *watchedLog { return &watchedLog{changed: make(chan struct{}, 1)} }

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// find looks for the pattern in what is new since the last find.
func (l *watchedLog) find(pattern *regexp.Regexp) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := pattern.FindIndex(l.text[l.seen:])
	if at == nil {
		return false
	}
	l.seen += at[1]
	return true
}

func (l *watchedLog) await(pattern *regexp.Regexp, ended <-chan struct{}) error {
	late := time.After(scriptTimeout)
	for !l.find(pattern) {
		select {
		case <-l.changed:
		case <-ended:
			return errors.New("the node has ended")
		case <-late:
			return fmt.Errorf("the log never said %v", pattern)
		}
	}
	return nil
}
