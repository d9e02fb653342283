package http

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/signalbox/signalbox/workflow"
)

// exchange is one request and its answer on their way through the front door.
// It is reused: nothing may hold on to one after its handler returned.
type exchange struct {
	server *Server
	route  *route
	w      http.ResponseWriter
	r      *http.Request
	params httprouter.Params
	start  time.Time
	id     string // of the request
	key    *Key   // that opened the route; nil when it needs none

	format  format  // of the request's body
	lane    lane    // that the request counts against
	in      *buffer // the request's body; nil when none was read
	out     *buffer // the answer's body
	held    int64   // bytes counted in the server's bodies
	entered bool    // a place in the route's lane is taken

	conn *connection // that the request came on; nil when it is none of ours

	promiseless bool // nothing is written, so nothing is promised of it
	status      int  // of the answer; 0 before it
	sent        int  // bytes of the answer's body
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// The values of headers are shared: net/http only reads them.
var (
	jsonHeader    = []string{"application/json"}
	problemHeader = []string{"application/problem+json"}
	nosniffHeader = []string{"nosniff"}
	noStoreHeader = []string{"no-store"}
	closeHeader   = []string{"close"}
	trueHeader    = []string{"true"}
)

// serve takes one request through the steps that every route shares.
func (s *Server) serve(rt *route, counted *routeMetrics, w http.ResponseWriter, r *http.Request, params httprouter.Params) {
	x := exchanges.Get().(*exchange)
	*x = exchange{server: s, route: rt, w: w, r: r, params: params, start: time.Now(), lane: rt.lane, conn: connectionOf(r.Context())}
	defer s.finish(x, counted)
	x.identify()
	if err := x.admit(); err != nil {
		x.fail(err)
		return
	}
	if err := rt.handle(x); err != nil {
		x.fail(err)
	}
}

// finish gives everything back and counts. It is deferred, so that a panic in a
// handler ends its request and nothing else.
func (s *Server) finish(x *exchange, counted *routeMetrics) {
	cause := recover()
	if cause != nil && cause != http.ErrAbortHandler {
		s.logger.Error("a handler panicked", "route", x.route.path, "request_id", x.id,
			"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		if x.status == 0 {
			p, _ := problemOf(fmt.Errorf("panic: %v", cause)) // nobody foresaw it
			x.writeProblem(p)
		}
	}
	x.release()
	if x.entered {
		s.leave(x.lane)
	}
	s.bodies.Add(-x.held)
	received := 0
	if x.in != nil {
		received = len(x.in.b)
	}
	took := time.Since(x.start)
	counted.observe(x.status, took, received, x.sent)
	if s.logger.Enabled(context.Background(), slog.LevelDebug) {
		s.logger.Debug("request", "method", x.r.Method, "route", x.route.path, "status", x.status,
			"took", took, "request_id", x.id, "by", x.by())
	}
	giveBuffer(x.in)
	giveBuffer(x.out)
	*x = exchange{}
	exchanges.Put(x)
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
}

// identify names the request and sets the headers that every answer has.
func (x *exchange) identify() {
	x.id = x.r.Header.Get(RequestIDHeader)
	if !isRequestID(x.id) {
		x.id = x.server.ids.next()
	}
	h := x.w.Header()
	h[RequestIDHeader] = []string{x.id}
	h["X-Content-Type-Options"] = nosniffHeader
}

// admit decides whether the handler may run, cheapest questions first. The
// body is read before a place is taken: slow senders occupy nobody's place.
func (x *exchange) admit() error {
	if err := x.authorise(); err != nil {
		return err
	}
	if err := x.checkQuery(); err != nil {
		return err
	}
	if x.route.body {
		if err := x.readBody(); err != nil {
			return err
		}
	}
	x.reached(accepted)
	if x.format == formatLines || x.lane == laneQuick && x.query("wait") != "" {
		x.lane = laneSync // it takes as long as somebody else
	}
	if err := x.server.enter(x.lane); err != nil {
		return err
	}
	x.entered = true
	return nil
}

// context is what calls to the node get; see patience.
func (x *exchange) context() context.Context { return x.server.patience.context(x.start) }

// soon is what calls to the node get late in a request that has held its answer.
func (x *exchange) soon() context.Context { return x.server.patience.context(time.Now()) }

// from is the address of the client, without its port. What a header of the
// request says about it is not looked at: anybody can write one.
func (x *exchange) from() string {
	address := x.r.RemoteAddr
	if i := strings.LastIndexByte(address, ':'); i >= 0 {
		address = address[:i]
	}
	return strings.Trim(address, "[]")
}

// now is the moment of the request in the core's terms.
func (x *exchange) now() workflow.Instant { return workflow.InstantOf(x.start) }

// by is the name of the key, "" without one.
func (x *exchange) by() string {
	if x.key == nil {
		return ""
	}
	return x.key.Name
}

// pathID is a parameter of the path, checked.
func (x *exchange) pathID(name string) (string, error) {
	id := x.params.ByName(name)
	return id, checkID(name, id)
}

// query returns one parameter of the query, "" when it is absent.
func (x *exchange) query(name string) string {
	if x.r.URL.RawQuery == "" {
		return ""
	}
	return x.r.URL.Query().Get(name)
}

// checkQuery refuses parameters that nobody reads: one who asks for a dry run
// with a misspelt name must not get a wet one.
func (x *exchange) checkQuery() error {
	if x.r.URL.RawQuery == "" || x.route.loose {
		return nil
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return refuse(workflow.CodeInvalid, "the query cannot be read", "escape special characters with %")
	}
	for name, all := range values {
		if !slices.Contains(x.route.query, name) {
			return unknownParameter(name, x.route.query)
		}
		if len(all) > 1 {
			return refuse(workflow.CodeInvalid, fmt.Sprintf("the parameter %q is given %d times", name, len(all)), "give it once")
		}
	}
	return nil
}

func unknownParameter(name string, known []string) error {
	hint := "this route has no parameters"
	if len(known) > 0 {
		hint = "the known parameters are " + strings.Join(known, ", ")
	}
	if near := workflow.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q? %s", near, hint)
	}
	return refuse(workflow.CodeInvalid, fmt.Sprintf("the query has an unknown parameter %q", truncate(name)), hint)
}

// idempotencyKey is the header, checked as an id; "" when it is absent.
func (x *exchange) idempotencyKey() (string, error) {
	values := x.r.Header[IdempotencyHeader]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], checkID(IdempotencyHeader, values[0])
	}
	return "", refuse(workflow.CodeInvalid, "the header Idempotency-Key is given more than once", "give it once")
}

// replayed marks the answer to a repeat.
func (x *exchange) replayed() { x.w.Header()[ReplayedHeader] = trueHeader }

// send writes the whole answer.
func (x *exchange) send(status int, contentType []string, body []byte) {
	h := x.w.Header()
	h["Content-Type"] = contentType
	if x.route.writes && !x.promiseless && status < http.StatusMultipleChoices {
		h[DurabilityHeader] = x.server.level.header(x.server.node, x.start)
	} else {
		h["Cache-Control"] = noStoreHeader
	}
	if len(body) > measuredBody {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	if time.Since(x.start) > WriteTimeout/4 {
		// The server's own deadline began with the request's head. A writer
		// without deadlines is a test's, and needs none.
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Now().Add(WriteTimeout))
	}
	x.reached(answered)
	x.status = status
	x.w.WriteHeader(status)
	if x.r.Method == http.MethodHead {
		return
	}
	n, err := x.w.Write(body)
	x.sent += n
	if err != nil {
		x.server.logger.Debug("the client left before its answer", "request_id", x.id, "error", err)
	}
}

// output is the buffer for the answer's body.
func (x *exchange) output() *buffer {
	if x.out == nil {
		x.out = takeBuffer()
	}
	return x.out
}

// envelope is the shape of every success.
type envelope struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// answer sends data in the envelope.
func (x *exchange) answer(status int, message string, data any) error {
	return x.json(status, jsonHeader, envelope{Status: status, Message: message, Data: data})
}

func (x *exchange) json(status int, contentType []string, v any) error {
	out := x.output()
	out.b = out.b[:0]
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	x.send(status, contentType, out.b)
	return nil
}

// fail answers with the problem of an error. Only an error that nobody foresaw
// is logged as one: its text stays here.
func (x *exchange) fail(err error) {
	p, known := problemOf(err)
	if x.r.Context().Err() != nil {
		x.server.logger.Debug("the client left before its answer", "route", x.route.path, "request_id", x.id, "error", err)
	} else if !known {
		x.server.logger.Error("a request failed", "route", x.route.path, "request_id", x.id, "error", err)
	} else if p.Status >= http.StatusInternalServerError {
		// The metrics count these; at an overload a line for each would make it worse.
		x.server.logger.Debug("a request was turned away", "route", x.route.path, "request_id", x.id, "code", p.Code, "error", err)
	}
	if x.status != 0 {
		return // the answer has begun; there is nothing to correct any more
	}
	x.writeProblem(p)
}

func (x *exchange) writeProblem(p *Problem) {
	p.Instance = x.r.URL.EscapedPath()
	p.RequestID = x.id
	if p.RetryAfter > 0 {
		x.w.Header()["Retry-After"] = []string{strconv.Itoa(retrySeconds(p.RetryAfter))}
	}
	if err := x.json(p.Status, problemHeader, p); err != nil {
		x.server.logger.Error("a problem could not be encoded", "request_id", x.id, "code", p.Code, "error", err)
		p.Details, p.Data = nil, nil
		_ = x.json(p.Status, problemHeader, p) // only strings are left, which always encode
	}
}
