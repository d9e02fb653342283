package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/signalbox/signalbox/http"
	"github.com/signalbox/signalbox/runtime"
)

// TestWhoMustShowAKey is the table of when a node asks for keys, and when it
// refuses to start because nobody has one.
func TestWhoMustShowAKey(t *testing.T) {
	const here, everywhere = "127.0.0.1:8080", "0.0.0.0:8080"
	for _, c := range []struct {
		name   string
		addr   string
		dev    bool
		noAuth bool
		key    bool
		asks   bool
		says   string // of the refusal; "": it starts
	}{
		{name: "dev here", addr: here, dev: true},
		{name: "dev here, with keys in the store", addr: here, dev: true, key: true},
		{name: "dev everywhere", addr: everywhere, dev: true, says: "others can reach 0.0.0.0:8080"},
		{name: "dev everywhere, with a key", addr: everywhere, dev: true, key: true, asks: true},
		{name: "serve here", addr: here, says: "`serve` asks for API keys"},
		{name: "serve here, with a key", addr: here, key: true, asks: true},
		{name: "serve here, told not to ask", addr: here, noAuth: true, key: true},
		{name: "serve everywhere", addr: everywhere, says: "others can reach"},
		{name: "serve everywhere, with a key", addr: everywhere, key: true, asks: true},
		{name: "serve everywhere, told not to ask", addr: everywhere, noAuth: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &node{config: config{addr: c.addr, noAuth: c.noAuth, memory: true, data: "store"}, logger: slog.New(slog.DiscardHandler)}
			var err error
			if n.store, err = openStore(t.Context(), n.config, n.logger); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := n.close(t.Context()); err != nil && !errors.Is(err, t.Context().Err()) {
					t.Error(err)
				}
			})
			if c.key {
				keys := http.NewKeyRing(documents{n.store})
				if _, _, err := keys.Bootstrap(t.Context(), "first", ""); err != nil {
					t.Fatal(err)
				}
			}
			keys, err := n.keyRing(t.Context(), c.dev)
			if (keys != nil) != c.asks {
				t.Errorf("asks for keys: %v, want %v", keys != nil, c.asks)
			}
			if c.says == "" && err != nil {
				t.Errorf("it does not start: %v", err)
			}
			if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v, want something about %q", err, c.says)
			}
			if c.says != "" && !strings.Contains(explain(err).hint, "--no-auth") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}

// TestALogSaysHowLongAsAPersonWould: 1.5 s are 1.5s in both formats, also within a
// group and when they came with the logger.
func TestALogSaysHowLongAsAPersonWould(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var said strings.Builder
		a := &app{terminal: terminal{err: &said, env: func(string) string { return "" }}}
		log := a.logger(config{logJSON: asJSON}).With("within", 90*time.Second)
		log.Info("stopping", "for", 1500*time.Millisecond, slog.Group("of", "most", time.Minute), "at_once", 64)
		want := []string{`within=1m30s`, `for=1.5s`, `of.most=1m0s`, `at_once=64`}
		if asJSON {
			want = []string{`"within":"1m30s"`, `"for":"1.5s"`, `"of":{"most":"1m0s"}`, `"at_once":64`}
		}
		for _, w := range want {
			if !strings.Contains(said.String(), w) {
				t.Errorf("%s is not in the log: %s", w, said.String())
			}
		}
	}
}

// TestANodeLingersForItsDelay: a node that stops takes requests for as long as it
// was told, and no longer than its listener works.
func TestANodeLingersForItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{config: config{drainDelay: 7 * time.Second}, logger: slog.New(slog.DiscardHandler), server: http.NewServer(http.Options{})}
		var err error
		if n.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		defer n.listener.Close()
		begun := time.Now()
		if err := n.linger(nil); err != nil || time.Since(begun) != 7*time.Second {
			t.Errorf("it lingered for %s, %v", time.Since(begun), err)
		}
		broken := make(chan error, 1)
		broken <- io.ErrUnexpectedEOF
		if err := n.linger(broken); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the broken listener is not said: %v", err)
		}
		n.config.drainDelay = 0
		if err := n.linger(broken); err != nil {
			t.Errorf("without a delay: %v", err)
		}
	})
}

// pipes is a listener for one connection that is a pipe, so that it works in virtual time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// TestAStopGivesEachStepItsOwnTime: a client that does not read spends the time of the
// door, and the node behind it still stops in peace.
func TestAStopGivesEachStepItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &node{config: config{memory: true}, logger: slog.New(slog.DiscardHandler)}
		var err error
		if n.store, err = openStore(t.Context(), n.config, n.logger); err != nil {
			t.Fatal(err)
		}
		if n.runtime, err = runtime.New(runtime.Options{Store: n.store, Logger: n.logger, Version: "test"}); err != nil {
			t.Fatal(err)
		}
		if err := n.runtime.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.server = http.NewServer(http.Options{Node: n.runtime, Logger: n.logger})
		listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- n.server.Serve(listener) }()
		here, there := net.Pipe()
		defer here.Close()
		listener.conns <- there
		if _, err := io.WriteString(here, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begun := time.Now()
		if err := n.close(t.Context()); err != nil || time.Since(begun) != doorTimeout {
			t.Errorf("it stopped after %s and says %v", time.Since(begun), err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestChild starts a node as the demo does: one that cannot start is explained
// by its log, and one whose parent is gone stops by itself, well.
func TestChild(t *testing.T) {
	args := []string{"serve", "--addr", "127.0.0.1:0", "--no-auth", "--with-parent"}
	if _, err := startChild(t.Context(), append(args, "no-such-folder")); err == nil || !strings.Contains(err.Error(), "no-such-folder") {
		t.Errorf("a node without a project: %v", err)
	}
	c, err := startChild(t.Context(), append(args, "--data", t.TempDir(), "../../examples/sender-receiver"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.kill()
	if !strings.HasPrefix(c.url, "http://127.0.0.1:") || c.ready <= 0 {
		t.Errorf("the node is at %q after %v", c.url, c.ready)
	}
	if err := c.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go c.waited.Do(func() {
		ended <- c.cmd.Wait()
		close(c.ended)
	})
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the node ended with %v: %s", err, c.log.kept)
		}
	case <-time.After(scriptTimeout):
		t.Error("the node outlives its parent")
		if err := c.cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
	}
}

// TestWatchParent ends when standard input does, and not at what is written to it.
func TestWatchParent(t *testing.T) {
	in, out := io.Pipe()
	stopped := make(chan struct{})
	a := &app{terminal: terminal{in: in}}
	go a.watchParent(func() { close(stopped) })
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stopped:
		t.Error("it stopped at a word")
	default:
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-stopped:
	case <-time.After(scriptTimeout):
		t.Error("it did not stop at the end")
	}
}

func TestWhatMatters(t *testing.T) {
	for _, c := range []struct {
		name string
		op   fsnotify.Op
		want bool
	}{
		{"p/order.yaml", fsnotify.Write, true},
		{"p/order.YML", fsnotify.Create, true},
		{"p/order.yaml", fsnotify.Remove, true},
		{"p/order.yaml", fsnotify.Rename, true},
		{"p/.env", fsnotify.Write, true},
		{"p/order.yaml", fsnotify.Chmod, false},
		{"p/.order.yaml.swp", fsnotify.Write, false},
		{"p/.#order.yaml", fsnotify.Create, false},
		{"p/order.yaml~", fsnotify.Write, false},
		{"p/notes.txt", fsnotify.Write, false},
		{"p/.signalbox", fsnotify.Create, false},
	} {
		if got := matters(fsnotify.Event{Name: c.name, Op: c.op}); got != c.want {
			t.Errorf("%s %s matters: %v", c.op, c.name, got)
		}
	}
}

func TestAFullDiskIsNotAskedForAnotherFolder(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "rows/MANIFEST-000005", Err: syscall.ENOSPC}
	for _, err := range []error{full, errors.New("MANIFEST flush failed: " + full.Error())} {
		if hint := folderHint(err); !strings.Contains(hint, "make room") {
			t.Errorf("%v is answered by %q", err, hint)
		}
	}
	if hint := folderHint(os.ErrPermission); !strings.Contains(hint, "--data") {
		t.Errorf("a folder that nobody may write to is answered by %q", hint)
	}
}
