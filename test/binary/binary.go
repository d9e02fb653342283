package binary

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// program is the package of the command line, from the root of the module.
const program = "./cmd/signalbox"

// Tags are those that a release is built with; the Makefile says why.
const Tags = "grpcnotrace,pebblegozstd"

// Cold are the packages that a release has without functions in each other; the Makefile
// says why.
var Cold = []string{
	"github.com/openai/openai-go/v3/...", "github.com/antlr4-go/antlr/v4/...", "cel.dev/cel-go/parser/...",
	"github.com/cockroachdb/errors/...", "github.com/cockroachdb/redact/...", "github.com/gogo/protobuf/...",
}

// readyPrefix is what a node prints before its address when it is ready.
const readyPrefix = "listening on "

// Build compiles the program into dir, as a release is compiled, and returns
// the path of the executable.
func Build(ctx context.Context, dir string) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	return BuildFrom(ctx, root, dir)
}

// BuildFrom is Build for the source in another folder, of another release.
func BuildFrom(ctx context.Context, root, dir string) (string, error) {
	target := filepath.Join(dir, "signalbox")
	args := []string{"build", "-trimpath", "-tags", Tags, "-ldflags", "-s -w", "-o", target}
	for _, pattern := range Cold {
		args = append(args, "-gcflags", pattern+"=-l")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, program)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", program, err, out)
	}
	return target, nil
}

// Root returns the root folder of the module that the working folder is in.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the root of the module: %w", err)
	}
	gomod := strings.TrimSpace(string(out))
	if gomod == "" || gomod == os.DevNull {
		return "", errors.New("find the root of the module: the working folder is in none; run from the source tree")
	}
	return filepath.Dir(gomod), nil
}

// Options say how a node is run. Path, Project and Data are required.
type Options struct {
	Path    string   // of the executable
	Project string   // folder or file with the workflows
	Data    string   // folder of the store
	Args    []string // more flags
	Env     []string // more variables, NAME=value
}

// Node is a running process of the program. Its methods are for one goroutine;
// URL and PID may be read by many.
type Node struct {
	URL   string        // http://HOST:PORT
	PID   int           // of the process
	Ready time.Duration // from the start of the process to the line that says it listens

	cmd    *exec.Cmd
	ended  chan struct{} // closed when the process has ended
	failed error         // what Wait said; read after ended
	log    *tail
}

// Start runs `signalbox serve` on a free port of the loopback and returns when
// the node says that it listens. When it does not, the error holds the end of
// its log.
func Start(o Options) (*Node, error) {
	args := append([]string{"serve", o.Project, "--addr", "127.0.0.1:0", "--data", o.Data, "--no-auth", "--log-level", "warn"}, o.Args...)
	n := &Node{cmd: exec.Command(o.Path, args...), ended: make(chan struct{}), log: &tail{}}
	n.cmd.Env = append(os.Environ(), o.Env...)
	n.cmd.Stderr = n.log
	stdout, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	begun := time.Now()
	if err := n.launch(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Path, err)
	}
	n.PID = n.cmd.Process.Pid
	if n.URL, err = n.awaitAddress(stdout); err != nil {
		n.Kill()
		return nil, fmt.Errorf("start %s: %w; its log ends:\n%s", o.Path, err, n.log)
	}
	n.Ready = time.Since(begun)
	return n, nil
}

// awaitAddress reads standard output up to the line that says that the node
// listens, and drains the rest so that the node never blocks on it.
func (n *Node) awaitAddress(stdout io.Reader) (string, error) {
	found := make(chan string, 1)
	go func() {
		defer close(found)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, stdoutLineBytes)
		for lines.Scan() {
			if url, ok := strings.CutPrefix(lines.Text(), readyPrefix); ok {
				found <- strings.TrimSpace(url)
				break
			}
		}
		// The end of the process closes the pipe, which is the usual end of this.
		if _, err := io.Copy(io.Discard, stdout); err != nil && !errors.Is(err, os.ErrClosed) {
			fmt.Fprintf(n.log, "standard output: %v\n", err)
		}
	}()
	select {
	case url, ok := <-found:
		if !ok {
			return "", fmt.Errorf("the node ended without printing %q", readyPrefix)
		}
		return url, nil
	case <-time.After(readyTimeout):
		return "", fmt.Errorf("the node did not print %q within %v", readyPrefix, readyTimeout)
	}
}

// Kill ends the process as a power cut would, with SIGKILL, and returns when it
// is gone. It is safe to call on a process that has ended.
func (n *Node) Kill() {
	n.signal(syscall.SIGKILL)
	<-n.ended
}

// Freeze stops the process from running until Thaw, as a paused machine would.
func (n *Node) Freeze() { n.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process run again.
func (n *Node) Thaw() { n.signal(syscall.SIGCONT) }

// Stop asks the process to end with SIGTERM and waits up to limit. It returns
// how long the end took and an error when the exit code was not zero or the
// limit passed; then the process is killed.
func (n *Node) Stop(limit time.Duration) (time.Duration, error) {
	begun := time.Now()
	n.signal(syscall.SIGTERM)
	select {
	case <-n.ended:
	case <-time.After(limit):
		n.Kill()
		return time.Since(begun), fmt.Errorf("the node did not end within %v after SIGTERM; its log ends:\n%s", limit, n.log)
	}
	if n.failed != nil {
		return time.Since(begun), fmt.Errorf("the node ended badly after SIGTERM: %w; its log ends:\n%s", n.failed, n.log)
	}
	return time.Since(begun), nil
}

// Ended is closed when the process has ended.
func (n *Node) Ended() <-chan struct{} { return n.ended }

// Log returns the end of what the node wrote to standard error.
func (n *Node) Log() string { return n.log.String() }

// signal sends a signal. A process that has ended cannot get one, and its end
// is told by Ended; any other failure goes to the log that errors show.
func (n *Node) signal(s syscall.Signal) {
	if err := n.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		fmt.Fprintf(n.log, "signal %v: %v\n", s, err)
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write keeps the last stderrBytes.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - stderrBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
