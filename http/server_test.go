package http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/workflow"
)

// listening serves a door on a loopback port until the test ends.
func (d *door) listening() (address string) {
	d.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(l) }()
	d.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			d.t.Error(err)
		}
		if err := <-served; err != nil {
			d.t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestUnknownRoutes(t *testing.T) {
	d := newDoor(t)
	d.get("/nothing").problem(404, CodeNoRoute)
	d.get("/api/v0/executions/workflows/a%2Fb").problem(404, CodeNoRoute)
	a := d.do("DELETE", "/api/v0/events", "")
	a.problem(405, CodeMethodNotAllowed)
	if !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Fatalf("Allow %q", a.Header.Get("Allow"))
	}
	if a := d.do("OPTIONS", "/api/v0/events", ""); a.Status != 204 || !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Fatalf("%d, Allow %q", a.Status, a.Header.Get("Allow"))
	}
	if a := d.do("HEAD", "/api/v0/workflows", ""); a.Status != 200 || len(a.Body) != 0 {
		t.Fatalf("HEAD answers %d with %d bytes", a.Status, len(a.Body))
	}
}

func TestMediaTypes(t *testing.T) {
	d := newDoor(t)
	for kind, status := range map[string]int{
		"": 202, "application/json": 202, "application/json; charset=utf-8": 202, "Application/JSON;charset=UTF-8": 202,
		"text/plain": 415, "application/x-www-form-urlencoded": 415, "application/json; charset=latin1": 415, "application/jsonx": 415, ";": 415,
	} {
		if a := d.post("/api/v0/events", `{"name":"n"}`, "Content-Type", "", "Content-Type", kind); a.Status != status {
			t.Errorf("%q answers %d, want %d", kind, a.Status, status)
		}
	}
	d.post("/api/v0/events", `{"name":"n"}`, "Content-Encoding", "gzip").problem(415, CodeMediaType)
	d.post("/api/v0/events", `{"name":"n"}`, "Content-Encoding", "identity").want(202)
}

func TestRequestIDs(t *testing.T) {
	d := newDoor(t)
	if id := d.get("/livez", "X-Request-Id", "mine-1").Header.Get("X-Request-Id"); id != "mine-1" {
		t.Fatalf("it came back as %q", id)
	}
	seen := make(map[string]bool)
	for _, bad := range []string{"", "with space", "ctrl\x01", strings.Repeat("x", MaxRequestIDBytes+1), "naïve"} {
		id := d.get("/livez", "X-Request-Id", bad).Header.Get("X-Request-Id")
		if id == bad || id == "" || seen[id] {
			t.Errorf("%q came back as %q", bad, id)
		}
		seen[id] = true
	}
}

func TestProbes(t *testing.T) {
	on := true
	d := newDoor(t, func(o *Options) { o.Ready = func() bool { return on } })
	d.get("/healthz").want(200)
	d.get("/livez?verbose").want(200)
	if r := data[Readiness](d.get("/readyz?verbose=1").want(200)); !r.Ready || r.Durability != workflow.Fsync || r.Version != "test" {
		t.Fatalf("%+v", r)
	}
	on = false
	if r := data[Readiness](d.get("/api/v0/health").want(503)); r.Ready || r.Status != "starting" {
		t.Fatalf("%+v", r)
	}
	on = true
	d.node.health = workflow.Health{Status: "degraded", Durability: workflow.Fsync, Problems: []string{"the disk is full"}}
	a := d.get("/readyz").want(503)
	if r := data[Readiness](a); r.Problems[0] != "the disk is full" || a.Header.Get("Retry-After") == "" {
		t.Fatalf("%+v", r)
	}
	for _, path := range []string{"/", "/api/v0"} {
		if c := data[Card](d.get(path).want(200)); c.Name != "signalbox" || c.Durability != workflow.Fsync || c.Links["openapi"] != "/openapi.json" {
			t.Fatalf("%+v", c)
		}
	}
}

// TestUnreadyNodesStillAnswer: before it stops, a node says so where balancers
// look, and takes what still comes without inviting more.
func TestUnreadyNodesStillAnswer(t *testing.T) {
	d := newDoor(t)
	if a := d.get("/api/v0/workflows").want(200); a.Header.Get("Connection") != "" {
		t.Errorf("the connection is closed already: %v", a.Header)
	}
	d.server.Unready()
	if r := data[Readiness](d.get("/readyz").want(503)); r.Ready || r.Status != "draining" {
		t.Errorf("%+v", r)
	}
	if a := d.get("/api/v0/workflows").want(200); a.Header.Get("Connection") != "close" {
		t.Errorf("the connection stays open: %v", a.Header)
	}
	d.get("/livez").want(200)
}

// TestAdmission: what is above the bound is refused at once, and probes never are.
func TestAdmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(o *Options) { o.MaxInFlight = 2 })
		d.begin("e")
		release := make(chan struct{})
		d.node.beforeReply = func(ctx context.Context) error { <-release; return nil }
		var calls sync.WaitGroup
		for range 2 {
			calls.Go(func() { d.post(signalPath("e")+"?force=1", `{"signal_name":"x"}`).want(200) })
		}
		synctest.Wait()
		p := d.post(signalPath("e"), approved).problem(503, workflow.CodeOverloaded)
		if !strings.Contains(p.Detail, "nothing was kept") {
			t.Fatalf("%+v", p)
		}
		d.get("/readyz").want(200)
		close(release)
		calls.Wait()
		d.post(signalPath("e"), approved).want(200)
	})
}

// TestPatience: a node that does not answer costs a request a bounded time, and
// the client learns that the outcome is open.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		d.begin("e")
		d.node.beforeReply = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		for range 3 {
			began := time.Now()
			d.post(signalPath("e"), approved).problem(503, workflow.CodeTimeout)
			if took := time.Since(began); took < Patience || took > Patience+patienceGrain {
				t.Fatalf("it took %v", took)
			}
		}
	})
}

// TestPanicEndsOneRequest: the answer is a problem, the cause is in the log
// under the same request id, and the server goes on.
func TestPanicEndsOneRequest(t *testing.T) {
	var log bytes.Buffer
	d := newDoor(t, func(o *Options) { o.Logger, o.MaxInFlight = slog.New(slog.NewTextHandler(&log, nil)), 1 })
	d.begin("e")
	d.node.beforeReply = func(context.Context) error { panic("the cause of it") }
	for range 3 {
		p := d.post(signalPath("e"), approved).problem(500, CodeInternal)
		if !strings.Contains(log.String(), p.RequestID) || !strings.Contains(log.String(), "the cause of it") || strings.Contains(p.Detail, "cause of it") {
			t.Fatalf("%+v; log: %s", p, log.String())
		}
	}
	d.node.beforeReply = nil
	d.post(signalPath("e"), approved).want(200)
}

func TestInternalErrorsAreLogged(t *testing.T) {
	var log bytes.Buffer
	d := newDoor(t, func(o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	d.node.fails = errors.New("secret cause")
	p := d.post("/api/v0/events", `{"name":"n"}`).problem(500, CodeInternal)
	if !strings.Contains(log.String(), "secret cause") || !strings.Contains(log.String(), p.RequestID) {
		t.Fatalf("log: %s", log.String())
	}
}

// TestTwoServersShareARegistry: tests and hot restarts make a second one.
func TestTwoServersShareARegistry(t *testing.T) {
	registry := prometheus.NewRegistry()
	for range 2 {
		newDoor(t, func(o *Options) { o.Registry = registry }).get("/metrics").want(200)
	}
}

// TestRoutesAreCounted: every request is counted under its route's own pattern.
func TestRoutesAreCounted(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	d.post(signalPath("e"), approved).want(200)
	d.post(signalPath("nobody"), approved).want(404)
	d.get("/wp-admin.php").want(404)
	text := string(d.get("/metrics").want(200).Body)
	for _, line := range []string{
		`signalbox_http_requests_total{code="200",method="POST",route="/api/v0/executions/workflows/:exec_id/signals"} 1`,
		`signalbox_http_requests_total{code="404",method="POST",route="/api/v0/executions/workflows/:exec_id/signals"} 1`,
		`signalbox_http_requests_total{code="404",method="",route="unmatched"} 1`,
		`signalbox_http_request_size_bytes_sum{method="POST",route="/api/v0/executions/workflows/:exec_id/signals"} ` + fmt.Sprint(2*len(approved)),
	} {
		if !strings.Contains(text, line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	if strings.Contains(text, "wp-admin") || strings.Contains(text, "nobody") {
		t.Error("a label comes from a request")
	}
}

// TestLargeBodies: refused by what they announce, or by what arrives, and the
// rest is never read.
func TestLargeBodies(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	fits := `{"signal_name":"approval-decision","payload":{"decision":"` + strings.Repeat("x", MaxBodyBytes-58-2) + `"}}`
	fits = fits[:0] + strings.Replace(fits, "x", strings.Repeat("x", 1+MaxBodyBytes-len(fits)), 1)
	if len(fits) != MaxBodyBytes {
		t.Fatalf("the body has %d bytes", len(fits))
	}
	d.post(signalPath("e"), fits+" ").problem(413, CodeBodyTooLarge)
	d.post(signalPath("e"), fits).want(200)

	announced := httptest.NewRequest("POST", signalPath("e"), failingReader{})
	announced.ContentLength = MaxBodyBytes + 1
	d.request(announced).problem(413, CodeBodyTooLarge)

	endless := httptest.NewRequest("POST", signalPath("e"), io.LimitReader(zeroes{}, 1<<40))
	endless.ContentLength = -1
	d.request(endless).problem(413, CodeBodyTooLarge)

	cut := httptest.NewRequest("POST", signalPath("e"), failingReader{})
	d.request(cut).problem(400, workflow.CodeInvalid)
	if held := d.server.bodies.Load(); held != 0 {
		t.Fatalf("%d bytes of bodies are still counted", held)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestMemoryOfBodiesIsBounded: many large bodies at once are refused, small ones are not.
func TestMemoryOfBodiesIsBounded(t *testing.T) {
	d := newDoor(t)
	d.server.bodies.Store(MaxBodiesHeld - pooledBody)
	d.post("/api/v0/events", `{"name":"n","payload":{"x":"`+strings.Repeat("x", 2*pooledBody)+`"}}`).problem(503, workflow.CodeOverloaded)
	d.post("/api/v0/events", `{"name":"n"}`).want(202)
	if held := d.server.bodies.Load(); held != MaxBodiesHeld-pooledBody {
		t.Fatalf("%d bytes are counted", held)
	}
}

// TestOverTheWire sends raw requests over a real connection.
func TestOverTheWire(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	address := d.listening()
	send := func(request string) (status int, closed bool) {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, answer.Close
	}
	head := "POST /api/v0/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	// A gigabyte is announced, and the answer comes without it.
	if status, closed := send(head + "Content-Length: 1073741824\r\n\r\n{"); status != 413 || !closed {
		t.Errorf("an announced gigabyte: %d, closed %v", status, closed)
	}
	// The client asks first, and is told before it sends.
	if status, _ := send(head + "Expect: 100-continue\r\nContent-Length: 20000000\r\n\r\n"); status != 413 {
		t.Errorf("100-continue: %d", status)
	}
	if status, _ := send(head + "Transfer-Encoding: chunked\r\n\r\nc\r\n{\"name\":\"n\"}\r\n0\r\n\r\n"); status != 202 {
		t.Errorf("chunked: %d", status)
	}
	if status, closed := send(head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"); status != 400 || !closed {
		t.Errorf("bad chunks: %d, closed %v", status, closed)
	}
	if status, _ := send("GET / HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X-Flood: "+strings.Repeat("x", 1000)+"\r\n", 80) + "\r\n"); status != 431 {
		t.Errorf("a flood of headers: %d", status)
	}
	if status, _ := send(head + "Content-Length: 12\r\n\r\n{\"name\":\"n\"}"); status != 202 {
		t.Errorf("an ordinary event: %d", status)
	}
}

// TestShutdownFinishesRequests: what is under way is answered, what comes later is not accepted.
func TestShutdownFinishesRequests(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	entered, release := make(chan struct{}), make(chan struct{})
	d.node.beforeReply = func(context.Context) error { close(entered); <-release; return nil }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, stopped := make(chan error, 1), make(chan error, 1)
	go func() { served <- d.server.Serve(l) }()
	c := NewClient("http://"+l.Addr().String(), "")
	defer c.Close()
	type result struct {
		answer SignalAnswer
		err    error
	}
	sent := make(chan result, 1)
	go func() {
		a, err := c.Signal(context.Background(), "e", SignalRequest{Name: "approval-decision"})
		sent <- result{a, err}
	}()
	<-entered
	go func() { stopped <- d.server.Shutdown(context.Background()) }()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stopped:
		t.Fatalf("it stopped with a request under way: %v", err)
	default:
	}
	close(release)
	if r := <-sent; r.err != nil || r.answer.Outcome != workflow.Delivered {
		t.Fatalf("%+v", r)
	}
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if err := c.Alive(context.Background()); err == nil {
		t.Fatal("it still accepts")
	}
}

// TestShutdownCutsAtItsEnd: a handler that hangs does not hang the shutdown.
func TestShutdownCutsAtItsEnd(t *testing.T) {
	d := newDoor(t)
	d.begin("e")
	entered, release := make(chan struct{}), make(chan struct{})
	d.node.beforeReply = func(context.Context) error { close(entered); <-release; return nil }
	address := d.listening()
	c := NewClient("http://"+address, "")
	defer c.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Signal(context.Background(), "e", SignalRequest{Name: "approval-decision"})
		sent <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := d.server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if err := <-sent; err == nil {
		t.Fatal("the request was answered")
	}
	close(release)
}
