package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startLimit bounds how long a server may take to answer; it is only reached by a failure.
const startLimit = 20 * time.Second

// Server is a Redis server of a test.
type Server struct {
	// Addr is HOST:PORT.
	Addr string
	// Dir holds its files.
	Dir string

	t      testing.TB
	args   []string
	binary string

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{}
}

// Binary finds a program of Redis. A test without it is skipped on the machine of
// a person and fails in CI, where a skipped test would look like a passed one.
func Binary(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this machine has no %s, and in CI it must have (apt-get install redis-server redis-sentinel)", name)
	}
	t.Skipf("this machine has no %s: install it to run this test (apt-get install redis-server redis-sentinel)", name)
	return ""
}

// Start starts a server that syncs always, with more settings behind that as
// redis-server takes them: "--appendonly", "no". It ends with the test.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return StartIn(t, t.TempDir(), settings...)
}

// StartIn is Start with a folder of the caller's.
func StartIn(t testing.TB, dir string, settings ...string) *Server {
	t.Helper()
	s := &Server{Addr: freeAddr(t), Dir: dir, t: t, binary: Binary(t, "redis-server")}
	s.args = append([]string{
		"--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--protected-mode", "no", "--daemonize", "no", "--port", s.Port(),
	}, settings...)
	s.begin()
	t.Cleanup(s.end)
	s.Await("PONG", "PING")
	return s
}

// Port is the port that the server listens on.
func (s *Server) Port() string {
	_, port, _ := net.SplitHostPort(s.Addr)
	return port
}

// freeAddr is an address that nobody listens on now.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// begin starts the process.
func (s *Server) begin() {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(s.binary, s.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed servers are the point
		_ = log.Close()
		close(ended)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd, s.ended = cmd, ended
}

// end kills the process, if it runs.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// Kill kills the server with SIGKILL and returns when it is gone.
func (s *Server) Kill() { s.end() }

// Restart starts the server again on its files and waits until it answers.
func (s *Server) Restart() {
	s.t.Helper()
	s.begin()
	s.Await("PONG", "PING")
}

// RestartSlowly starts the server again and returns at once.
func (s *Server) RestartSlowly(settings ...string) {
	s.t.Helper()
	s.args = append(s.args, settings...)
	s.begin()
}

// Empty removes the files of a server that was killed.
func (s *Server) Empty() {
	s.t.Helper()
	for _, pattern := range []string{"appendonlydir", "*.rdb", "*.aof"} {
		names, err := filepath.Glob(filepath.Join(s.Dir, pattern))
		if err != nil {
			s.t.Fatal(err)
		}
		for _, name := range names {
			if err := os.RemoveAll(name); err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// Pause stops the process with SIGSTOP; Resume lets it go on.
func (s *Server) Pause()  { s.signal(syscall.SIGSTOP) }
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// Do sends a command and returns the answer as text: an array one element a line,
// an error with its minus.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	answer, err := s.ask(words...)
	if err != nil {
		s.t.Fatalf("%v: %v", words, err)
	}
	return answer
}

// Await sends a command until the answer holds a text.
func (s *Server) Await(text string, words ...string) {
	s.t.Helper()
	limit := time.Now().Add(startLimit)
	for {
		answer, err := s.ask(words...)
		if err == nil && strings.Contains(answer, text) {
			return
		}
		if time.Now().After(limit) {
			log, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
			s.t.Fatalf("%v answers %q, %v, and not %q; its log:\n%s", words, answer, err, text, log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ask sends a command on a connection of its own.
func (s *Server) ask(words ...string) (string, error) {
	c, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(startLimit)); err != nil {
		return "", err
	}
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := c.Write([]byte(request.String())); err != nil {
		return "", err
	}
	return read(bufio.NewReader(c))
}

// read reads one answer.
func read(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if err != nil || line == "" {
		return "", errors.Join(err, errors.New("no answer"))
	}
	n, _ := strconv.Atoi(line[1:])
	switch line[0] {
	case '$':
		if n < 0 {
			return "", nil
		}
		body := make([]byte, n+2)
		for at := 0; at < len(body); {
			m, err := r.Read(body[at:])
			if err != nil {
				return "", err
			}
			at += m
		}
		return string(body[:n]), nil
	case '*':
		var lines []string
		for range n {
			item, err := read(r)
			if err != nil {
				return "", err
			}
			lines = append(lines, item)
		}
		return strings.Join(lines, "\n"), nil
	case '-':
		return line, nil
	}
	return line[1:], nil
}

// StartCluster starts a server in cluster mode that has all slots.
func StartCluster(t testing.TB, settings ...string) *Server {
	t.Helper()
	s := Start(t, append([]string{"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"}, settings...)...)
	if answer := s.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383"); !strings.HasPrefix(answer, "OK") {
		t.Fatalf("the slots cannot be taken: %s", answer)
	}
	s.Await("cluster_state:ok", "CLUSTER", "INFO")
	return s
}

// Move moves the files of a server that was killed to another folder; Copy copies
// them, and PutBack brings them back.
func (s *Server) Move(to string)      { s.t.Helper(); s.files(s.Dir, to); s.Empty() }
func (s *Server) Copy(to string)      { s.t.Helper(); s.files(s.Dir, to) }
func (s *Server) PutBack(from string) { s.t.Helper(); s.files(from, s.Dir) }

// files copies the append-only files from one folder to another.
func (s *Server) files(from, to string) {
	s.t.Helper()
	if err := os.CopyFS(filepath.Join(to, "appendonlydir"), os.DirFS(filepath.Join(from, "appendonlydir"))); err != nil {
		s.t.Fatal(err)
	}
}
