package http

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox/workflow"
)

// pipes is a listener whose connections are pipes in memory, so that the real
// server, with all its deadlines, runs in virtual time.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.accept <- there
	return here
}

// inVirtualTime runs a test against a served door; stop is called at its end.
func inVirtualTime(t *testing.T, test func(t *testing.T, d *door, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		p := &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- d.server.Serve(p) }()
		test(t, d, p.dial)
		if err := d.server.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// overPipe is a client whose connections are pipes.
func overPipe(t *testing.T, dial func() net.Conn) *Client {
	c := NewClient("http://localhost", "")
	c.http.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return dial(), nil }}
	t.Cleanup(c.Close)
	return c
}

// TestStreamOutlivesEveryTimeout: neither the server's deadline for reading nor
// that for writing nor the idle one cuts a stream that lives for a day.
func TestStreamOutlivesEveryTimeout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		c := overPipe(t, dial)
		var types []string
		ended := make(chan error, 1)
		go func() {
			ended <- c.Follow(t.Context(), "e", 0, nil, func(e StreamEvent) error { types = append(types, e.Type); return nil })
		}()
		time.Sleep(24 * time.Hour)
		d.post(signalPath("e"), approved).want(200)
		if err := <-ended; err != nil || types[len(types)-1] != streamComplete {
			t.Fatalf("after a day: %v, %q", err, types)
		}
		c.Close()
	})
}

// TestSyncOutlivesEveryTimeout: a synchronous start that waits longer than the
// server's deadlines still gets its answer.
func TestSyncOutlivesEveryTimeout(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		c := overPipe(t, dial)
		answered := make(chan error, 1)
		var answer SyncAnswer
		go func() {
			var err error
			answer, err = c.StartSync(t.Context(), "approval", StartRequest{ExecID: "long"}, MaxSyncTimeout)
			answered <- err
		}()
		time.Sleep(MaxSyncTimeout - time.Second)
		d.post(signalPath("long"), approved).want(200)
		if err := <-answered; err != nil || answer.Workflow.Status != workflow.Success {
			t.Fatalf("%v %+v", err, answer)
		}
		c.Close()
	})
}

// TestSyncOfWhoLeft: a client that leaves frees its place at once.
func TestSyncOfWhoLeft(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		c := overPipe(t, dial)
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() {
			_, err := c.StartSync(ctx, "approval", StartRequest{ExecID: "left"}, MaxSyncTimeout)
			left <- err
		}()
		synctest.Wait()
		if d.node.watching() != 1 {
			t.Fatal("nobody waits")
		}
		leave()
		<-left
		synctest.Wait()
		if d.node.watching() != 0 || d.server.limits[laneSync].now.Load() != 0 {
			t.Fatal("the wait outlives its client")
		}
		c.Close()
	})
}

// TestSlowSenders: a head or a body that trickles ends its connection, and does
// not keep anybody else out meanwhile.
func TestSlowSenders(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		for text, want := range map[string]struct {
			after  time.Duration
			status string
		}{
			"POST /api/v0/events HTTP/1.1\r\nHost: local": {ReadHeaderTimeout, ""},
			"POST /api/v0/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{": {ReadTimeout, "408"},
		} {
			conn, began := dial(), time.Now()
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if n := d.server.limits[laneQuick].now.Load(); n != 0 {
				t.Fatalf("a slow sender occupies %d places", n)
			}
			d.get("/api/v0/executions/workflows/e").want(200)
			line, err := bufio.NewReader(conn).ReadString('\n')
			if took := time.Since(began); took != want.after || !strings.Contains(line, want.status) {
				t.Errorf("it ended after %v with %q, %v; want %v and %q", took, line, err, want.after, want.status)
			}
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// stop shuts the door down and says how long that took.
func (d *door) stop(within time.Duration) (took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	began := time.Now()
	err = d.server.Shutdown(ctx)
	return time.Since(began), err
}

// say sends the beginning of a request, and hands on what comes back.
func say(t *testing.T, conn net.Conn, text string) (answer chan string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	answer = make(chan string, 1)
	go func() {
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Error(err)
		}
		answer <- string(all)
	}()
	synctest.Wait()
	return answer
}

// TestAStopDoesNotWaitForSlowSenders: a request that does not arrive is refused after
// the grace, because nothing of it was accepted, and it is no failure of the stop.
func TestAStopDoesNotWaitForSlowSenders(t *testing.T) {
	for text, want := range map[string]string{
		"": "",
		"POST /api/v0/events HTTP/1.1\r\nHost: local":                                                  "",
		"POST /api/v0/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n":               "503",
		"POST /api/v0/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{":              "503",
		"POST /api/v0/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{":             "404",
		"POST /api/v0/signals HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[": "503",
	} {
		inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
			conn := dial()
			defer conn.Close()
			answer := say(t, conn, text)
			if took, err := d.stop(4 * StopGrace); err != nil || took > StopGrace+time.Second {
				t.Errorf("%q: the stop took %v and says %v", text, took, err)
			}
			got := <-answer
			if first, _, _ := strings.Cut(got, "\r\n"); !strings.Contains(first, want) || want == "503" && !strings.Contains(got, `"code":"`+workflow.CodeStopping+`"`) {
				t.Errorf("%q: answered by %q, want %q", text, got, want)
			}
		})
	}
}

// TestAStopEndsAStreamOfMessages: what came is kept and said, and what did not come
// is not waited for.
func TestAStopEndsAStreamOfMessages(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		conn := dial()
		defer conn.Close()
		answer := say(t, conn, "POST /api/v0/signals HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n"+
			`{"exec_id":"e","signal_name":"approval-decision","payload":{"decision":"approved"}}`+"\n"+`{"exec_id":`)
		if took, err := d.stop(4 * StopGrace); err != nil || took > StopGrace+time.Second {
			t.Errorf("the stop took %v and says %v", took, err)
		}
		got := <-answer
		if !strings.Contains(got, `{"index":0,"status":200,`) || !strings.Contains(got, `{"index":1,"status":503,"ended":true,`) || !strings.Contains(got, `"code":"`+workflow.CodeStopping+`"`) {
			t.Errorf("answered by %s", got)
		}
	})
}

// TestAStopCutsWhoDoesNotRead: the node has done what it was asked, so that is no
// failure of the stop either.
func TestAStopCutsWhoDoesNotRead(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, d *door, dial func() net.Conn) {
		conn := dial()
		defer conn.Close()
		if _, err := io.WriteString(conn, "GET /api/v0/executions/workflows/e HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if took, err := d.stop(4 * StopGrace); err != nil || took != 4*StopGrace {
			t.Errorf("the stop took %v and says %v", took, err)
		}
	})
}
