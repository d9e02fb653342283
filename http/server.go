package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/julienschmidt/httprouter"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/signalbox/signalbox/workflow"
)

// DurabilityHeader says on the answer to a write what a 2xx survives; its
// values are those of workflow.Durability.
const DurabilityHeader = "Signalbox-Durability"

// ReplayedHeader is "true" on the answer to a message or start that had been
// accepted before under the same id.
const ReplayedHeader = "Idempotent-Replayed"

// IdempotencyHeader is an alias of signal_id and event_id, and chooses the
// execution id of a start.
const IdempotencyHeader = "Idempotency-Key"

// RequestIDHeader names a request in logs; it is echoed or made.
const RequestIDHeader = "X-Request-Id"

// Options are what a Server needs. Node is required.
type Options struct {
	Node     Node
	Keys     *KeyRing             // nil: everybody may do everything
	Logger   *slog.Logger         // nil: nothing is logged
	Registry *prometheus.Registry // nil: a new one, served under /metrics
	Ready    func() bool          // asked by /readyz beside the node; nil: yes

	MaxInFlight  int // requests with the node at once; 0: DefaultMaxInFlight
	MaxStreams   int // open event streams; 0: DefaultMaxStreams
	MaxSyncWaits int // requests that wait for something; 0: DefaultMaxSyncWaits

	// Echo mounts POST /api/v0/echo, which benchmarks compare with.
	Echo bool
}

// Server is the front door of one node.
type Server struct {
	node     Node
	keys     *KeyRing
	logger   *slog.Logger
	ready    func() bool
	router   *httprouter.Router
	http     *http.Server
	scraper  http.Handler
	crossing *http.CrossOriginProtection
	metrics  *metrics
	ids      *requestIDs
	patience patience
	level    durabilityCache

	open     connections
	limits   [laneFree]limit
	bodies   atomic.Int64 // bytes of large bodies in memory
	loopback atomic.Int32 // 0: never served; 1: on loopback only; -1: elsewhere too

	unready  atomic.Bool   // /readyz says no, and answers close their connections
	stopping chan struct{} // closed when Shutdown begins
	stopOnce sync.Once
}

// limit counts what is under way in one lane.
type limit struct {
	most int64
	now  atomic.Int64
	show prometheus.Gauge
}

// NewServer makes the front door of a node.
func NewServer(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	s := &Server{
		node: o.Node, keys: o.Keys, logger: o.Logger, ready: o.Ready,
		router: httprouter.New(), crossing: http.NewCrossOriginProtection(),
		metrics: newMetrics(o.Registry), ids: newRequestIDs(), stopping: make(chan struct{}),
		open: connections{all: make(map[*connection]struct{})},
	}
	if s.ready == nil {
		s.ready = func() bool { return true }
	}
	if s.keys != nil {
		s.keys.logger = o.Logger
	}
	s.scraper = promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelError), Registry: o.Registry,
	})
	s.setLimit(laneQuick, o.MaxInFlight, DefaultMaxInFlight, s.metrics.inFlight)
	s.setLimit(laneSync, o.MaxSyncWaits, DefaultMaxSyncWaits, s.metrics.syncWaits)
	s.setLimit(laneStream, o.MaxStreams, DefaultMaxStreams, s.metrics.streams)
	s.mount(o.Echo)
	s.http = &http.Server{
		Handler:           s,
		ConnContext:       withConnection,
		ReadHeaderTimeout: ReadHeaderTimeout,
		ReadTimeout:       ReadTimeout,
		WriteTimeout:      WriteTimeout,
		IdleTimeout:       IdleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

func (s *Server) setLimit(l lane, asked, otherwise int, show prometheus.Gauge) {
	s.limits[l].most, s.limits[l].show = int64(otherwise), show
	if asked > 0 {
		s.limits[l].most = int64(asked)
	}
}

// mount makes the router from the table.
func (s *Server) mount(echo bool) {
	s.router.RedirectTrailingSlash = false
	s.router.RedirectFixedPath = false
	s.router.HandleOPTIONS = false
	for i := range routes {
		s.mountRoute(&routes[i])
	}
	if echo {
		s.mountRoute(&echoRoute)
	}
	none := unmatched
	none.handle = (*exchange).noRoute
	s.router.NotFound = s.plain(none, "")
	wrong := unmatched
	wrong.handle = (*exchange).wrongMethod
	s.router.MethodNotAllowed = s.plain(wrong, "")
}

func (s *Server) mountRoute(r *route) {
	s.mountMethod(r, r.method)
	// A HEAD is a GET whose body net/http leaves away.
	if r.method == http.MethodGet && r.lane != laneStream {
		s.mountMethod(r, http.MethodHead)
	}
}

func (s *Server) mountMethod(r *route, method string) {
	counted := s.metrics.route(method, r.path)
	s.router.Handle(method, r.path, func(w http.ResponseWriter, q *http.Request, params httprouter.Params) {
		s.serve(r, counted, w, q, params)
	})
}

func (s *Server) plain(r route, method string) http.Handler {
	counted := s.metrics.route(method, r.path)
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { s.serve(&r, counted, w, q, nil) })
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.unready.Load() {
		w.Header()["Connection"] = closeHeader
	}
	s.router.ServeHTTP(w, r)
}

// Serve answers requests from the listener until Shutdown; then it returns nil.
func (s *Server) Serve(l net.Listener) error {
	if isLoopback(l.Addr()) {
		s.loopback.CompareAndSwap(0, 1)
	} else {
		s.loopback.Store(-1)
	}
	err := s.http.Serve(listener{l, &s.open})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// onLoopback says whether only this machine can reach the node.
func (s *Server) onLoopback() bool { return s.loopback.Load() == 1 }

// Unready lets load balancers look elsewhere before Shutdown: /readyz is 503 and
// every answer closes its connection, while requests are still taken.
func (s *Server) Unready() { s.unready.Store(true) }

// Shutdown stops accepting, ends event streams with a last comment, lets other
// requests finish, and returns when all have, or when ctx ends: then it cuts what
// is left. Requests that have not arrived whole after StopGrace are refused. That
// clients do not send or do not read is no error; that requests were still with
// the node at the end is one, which wraps ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopOnce.Do(func() { close(s.stopping) })
	grace := time.AfterFunc(StopGrace, func() {
		if n := s.open.cutArriving(); n > 0 {
			s.logger.Info("clients that had not sent their requests to the end were cut", "clients", n, "within", StopGrace)
		}
	})
	err := s.http.Shutdown(ctx)
	grace.Stop()
	if err != nil && ctx.Err() != nil {
		err = s.cutAll(ctx.Err())
	}
	if s.keys != nil {
		s.keys.Close()
	}
	return err
}

// cutAll closes every connection because the time is over, and says what that
// meant for requests which had been accepted.
func (s *Server) cutAll(over error) error {
	left := s.open.count()
	err := s.http.Close()
	if n := left[arriving] + left[answered]; n > 0 {
		s.logger.Warn("clients that neither sent nor read any more were cut", "clients", n)
	}
	if n := left[accepted]; n > 0 {
		err = errors.Join(fmt.Errorf("%d requests were still with the node when the time to answer them was over: %w", n, over), err)
	}
	return err
}

// enter takes a place in a lane, or refuses at once.
func (s *Server) enter(l lane) error {
	if l == laneFree {
		return nil
	}
	limit := &s.limits[l]
	if limit.now.Add(1) > limit.most {
		limit.now.Add(-1)
		return overloaded[l]
	}
	limit.show.Inc()
	return nil
}

func (s *Server) leave(l lane) {
	if l == laneFree {
		return
	}
	s.limits[l].now.Add(-1)
	s.limits[l].show.Dec()
}

var overloaded = [laneFree]*workflow.Refusal{
	laneQuick: refuse(workflow.CodeOverloaded, "the node has as many requests under way as it can take; nothing was kept",
		"send it again after the time in Retry-After"),
	laneSync: refuse(workflow.CodeOverloaded, "as many requests wait as the node lets wait; nothing was kept",
		"start without /sync and look or stream, or come back after the time in Retry-After"),
	laneStream: refuse(workflow.CodeOverloaded, "as many event streams are open as the node can take",
		"close streams that nobody reads, or come back after the time in Retry-After"),
}

// patience hands out one context with a deadline to all requests of about the
// same moment: a context of its own would cost each request more than its
// decoding. It does not end with the client's connection, and should not: a
// message that is on its way to the disk had better arrive.
type patience struct {
	current atomic.Pointer[sharedDeadline]
}

type sharedDeadline struct {
	context.Context
	until time.Time // it is handed out before this moment
}

func (p *patience) context(now time.Time) context.Context {
	shared := p.current.Load()
	if shared != nil && now.Before(shared.until) {
		return shared
	}
	ctx, cancel := context.WithDeadline(context.Background(), now.Add(Patience+patienceGrain))
	// The deadline itself ends the context and frees its timer; nobody can say
	// earlier that the last request is done with it.
	context.AfterFunc(ctx, cancel)
	younger := &sharedDeadline{Context: ctx, until: now.Add(patienceGrain)}
	if p.current.CompareAndSwap(shared, younger) {
		return younger
	}
	cancel()
	return p.current.Load()
}

// durabilityCache keeps the header's value for a moment: asking the node for
// its health counts things.
type durabilityCache struct {
	known atomic.Pointer[knownLevel]
}

type knownLevel struct {
	header []string
	until  time.Time
}

func (c *durabilityCache) header(n Node, now time.Time) []string {
	known := c.known.Load()
	if known == nil || now.After(known.until) {
		known = &knownLevel{header: []string{string(n.Health().Durability)}, until: now.Add(durabilityAge)}
		c.known.Store(known)
	}
	return known.header
}

// fromThisMachine guards a node without keys against pages of other sites in a
// browser on the same machine: by their origin, and on a loopback address by
// the host name that a rebound DNS name would have.
func (s *Server) fromThisMachine(r *http.Request) error {
	if err := s.crossing.Check(r); err != nil {
		return refuse(CodeCrossSite, "the request comes from a page of another site", "a node without API keys does not take it; call it from a program")
	}
	if !s.onLoopback() {
		return nil
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(strings.Trim(host, "[]")) != nil {
		return nil
	}
	return refuse(CodeCrossSite, "the request was sent to a host name that is not this machine's own",
		"a node without API keys on a loopback address answers to localhost, 127.0.0.1 and [::1]")
}
