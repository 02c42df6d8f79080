package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Upstream are the series of the sidecar's side that faces the upstream.
type Upstream struct {
	// Coalesced counts requests that got the answer to an equal one in flight.
	Coalesced prometheus.Counter
	// Streams is the number of open streams from the upstream.
	Streams prometheus.Gauge
	// Reconnects counts streams from the upstream that were opened again after
	// a cut.
	Reconnects prometheus.Counter
	// StaleLists counts lists that were answered from the local copy because
	// the upstream could not be reached.
	StaleLists prometheus.Counter

	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

// NewUpstream declares the series and registers them.
func NewUpstream(r prometheus.Registerer) *Upstream {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "upstream", Name: name, Help: help})
	}
	u := &Upstream{
		Coalesced: counter("coalesced_total", "Requests that got the answer to an equal one in flight."),
		Streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: "upstream", Name: "streams", Help: "Open streams from the upstream.",
		}),
		Reconnects: counter("reconnects_total", "Streams from the upstream that were opened again after a cut."),
		StaleLists: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "stale_lists_total",
			Help: "Lists answered from the local copy because the upstream could not be reached.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "upstream", Name: "requests_total",
			Help: "Requests for the upstream, by the status code that their callers got.",
		}, []string{"route", "code"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "upstream", Name: "request_duration_seconds",
			Help: "Time to the upstream's answer with all attempts, of one that is streamed to its head.", Buckets: latencyBuckets,
		}, []string{"route"}),
	}
	r.MustRegister(u.Coalesced, u.Streams, u.Reconnects, u.StaleLists, u.requests, u.durations)
	return u
}

// Route returns the series of the requests of one route, which is the label's
// value.
func (u *Upstream) Route(name string) *UpstreamRoute {
	return &UpstreamRoute{name: name, requests: u.requests, duration: u.durations.WithLabelValues(name)}
}

// UpstreamRoute keeps the series of one route at hand, because finding one by
// its labels takes longer than counting.
type UpstreamRoute struct {
	name     string
	requests *prometheus.CounterVec
	codes    [600]atomic.Pointer[prometheus.Counter]
	duration prometheus.Observer
}

// Done counts a request that took so long, by the status code that its caller
// got; one below 100 or above 599 does not count.
func (r *UpstreamRoute) Done(code int, took time.Duration) {
	if code < 100 || code >= len(r.codes) {
		return
	}
	counter := r.codes[code].Load()
	if counter == nil {
		c := r.requests.WithLabelValues(r.name, strconv.Itoa(code))
		counter = &c
		r.codes[code].Store(counter)
	}
	(*counter).Inc()
	r.duration.Observe(took.Seconds())
}
