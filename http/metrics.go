package http

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the front door's own. Labels come from the route table and from
// closed lists, never from a request.
type metrics struct {
	requests     *prometheus.CounterVec
	duration     *prometheus.HistogramVec
	requestSize  *prometheus.HistogramVec
	responseSize *prometheus.HistogramVec
	inFlight     prometheus.Gauge
	streams      prometheus.Gauge
	syncWaits    prometheus.Gauge
	authFailures *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) *metrics {
	route := []string{"method", "route"}
	return &metrics{
		requests: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_http_requests_total", Help: "Requests answered, by status code.",
		}, []string{"method", "route", "code"})),
		duration: register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_http_request_duration_seconds", Help: "Time from a request's head to its answer; of streams, their length.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, route)),
		requestSize: register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_http_request_size_bytes", Help: "Size of requests' bodies.",
			Buckets: prometheus.ExponentialBuckets(64, 4, 8),
		}, route)),
		responseSize: register(registry, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "signalbox_http_response_size_bytes", Help: "Size of answers' bodies.",
			Buckets: prometheus.ExponentialBuckets(64, 4, 10),
		}, route)),
		inFlight: register(registry, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_http_in_flight_requests", Help: "Requests that are with the node now, streams and synchronous starts not counted.",
		})),
		streams: register(registry, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_http_open_streams", Help: "Event streams that are open now.",
		})),
		syncWaits: register(registry, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_http_sync_waits", Help: "Synchronous starts that wait now.",
		})),
		authFailures: register(registry, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_http_auth_failures_total", Help: "Requests turned away for want of a key or a scope.",
		}, []string{"reason"})),
	}
}

// register makes a collector known. A second server on the same registry
// shares those of the first.
func register[C prometheus.Collector](registry *prometheus.Registry, c C) C {
	err := registry.Register(c)
	if err == nil {
		return c
	}
	if known, ok := err.(prometheus.AlreadyRegisteredError); ok {
		if shared, ok := known.ExistingCollector.(C); ok {
			return shared
		}
	}
	panic("http: a metric of the front door cannot be registered: " + err.Error())
}

// routeMetrics are the handles of one route, resolved once: looking labels up for
// each request would cost more than counting. A route that nobody asks for has
// none: a hundred of them would be most of what Prometheus reads and keeps.
type routeMetrics struct {
	all          *metrics
	method, path string
	used         atomic.Pointer[usedRoute]
}

type usedRoute struct {
	duration     prometheus.Observer
	requestSize  prometheus.Observer
	responseSize prometheus.Observer
	byCode       [maxStatus - minStatus]atomic.Pointer[prometheus.Counter]
}

func (m *metrics) route(method, path string) *routeMetrics {
	return &routeMetrics{all: m, method: method, path: path}
}

func (r *routeMetrics) handles() *usedRoute {
	if u := r.used.Load(); u != nil {
		return u
	}
	u := &usedRoute{
		duration:     r.all.duration.WithLabelValues(r.method, r.path),
		requestSize:  r.all.requestSize.WithLabelValues(r.method, r.path),
		responseSize: r.all.responseSize.WithLabelValues(r.method, r.path),
	}
	if r.used.CompareAndSwap(nil, u) {
		return u
	}
	return r.used.Load()
}

func (r *routeMetrics) observe(status int, took time.Duration, received, sent int) {
	u := r.handles()
	slot := &u.byCode[min(max(status, minStatus), maxStatus-1)-minStatus]
	counter := slot.Load()
	if counter == nil {
		c := r.all.requests.WithLabelValues(r.method, r.path, strconv.Itoa(status))
		counter = &c
		slot.Store(counter)
	}
	(*counter).Inc()
	u.duration.Observe(took.Seconds())
	u.requestSize.Observe(float64(received))
	u.responseSize.Observe(float64(sent))
}
