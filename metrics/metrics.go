// Package metrics declares every series that the program exports, in one
// place. Names carry the prefix milepost_, base units, and _total for
// counters; job ids, keys and raw paths are never labels.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "milepost"

// latencyBuckets go from what a hot read takes to what no request should.
var latencyBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Metrics are the program's series. A nil *Metrics is not usable; tests make
// one with New.
type Metrics struct {
	Registry *prometheus.Registry

	// HTTPRequests counts answers by route, method and status code.
	HTTPRequests *prometheus.CounterVec
	// HTTPDuration is the time from the parsed header to the written-out
	// handler's end, by route and method, in seconds.
	HTTPDuration *prometheus.HistogramVec
	// CacheRequests counts look-ups by tier (hot, durable) and result (hit,
	// miss).
	CacheRequests *prometheus.CounterVec
	// CheckpointsCreated counts checkpoints on disk, without replays of an
	// idempotency key.
	CheckpointsCreated prometheus.Counter
	// StoreCommit is the time from applying a batch to its sync, in seconds.
	StoreCommit prometheus.Histogram
	// AuthFailures counts refused credentials by reason (missing, malformed,
	// unknown; of stream tickets: ticket_invalid, ticket_job, ticket_key,
	// ticket_late).
	AuthFailures *prometheus.CounterVec
	// LimitRejections counts what a limit turned away, by the name of the limit.
	LimitRejections *prometheus.CounterVec
	// UncleanShutdowns counts starts that found the mark of a process which had
	// not closed its store, over the life of the data directory.
	UncleanShutdowns prometheus.Counter
	// Stream are the series of the fan-out.
	Stream *Stream
	// Upstream are the series of the side that faces the upstream.
	Upstream *Upstream
	// Spool are the series of what waits for the upstream.
	Spool *Spool
	// JobsDeleted counts deleted jobs by reason (retention, request).
	JobsDeleted *prometheus.CounterVec
}

// New declares the series and registers them with those of Go and the process.
func New() *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{
		Registry: r,
		HTTPRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_requests_total",
			Help: "Answered requests.",
		}, []string{"route", "method", "code"}),
		HTTPDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds",
			Help: "Time spent on a request in the handler.", Buckets: latencyBuckets,
		}, []string{"route", "method"}),
		CacheRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "cache_requests_total",
			Help: "Look-ups of single checkpoints in the local copy.",
		}, []string{"tier", "result"}),
		CheckpointsCreated: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "checkpoints_created_total",
			Help: "Checkpoints stored and synced to disk.",
		}),
		StoreCommit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "store_commit_duration_seconds",
			Help: "Time from applying a checkpoint to its sync.", Buckets: latencyBuckets,
		}),
		AuthFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "auth_failures_total",
			Help: "Requests without a valid credential.",
		}, []string{"reason"}),
		LimitRejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "limit_rejections_total",
			Help: "Requests and connections turned away by a limit.",
		}, []string{"limit"}),
		UncleanShutdowns: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "unclean_shutdowns_total",
			Help: "Starts after a process that had not closed its store, over the life of the data directory.",
		}),
		JobsDeleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "jobs_deleted_total",
			Help: "Jobs deleted with all their checkpoints.",
		}, []string{"reason"}),
	}
	r.MustRegister(
		m.HTTPRequests, m.HTTPDuration, m.CacheRequests, m.CheckpointsCreated, m.StoreCommit,
		m.AuthFailures, m.LimitRejections, m.UncleanShutdowns, m.JobsDeleted,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.Stream = NewStream(r, m.LimitRejections)
	m.Upstream = NewUpstream(r)
	m.Spool = NewSpool(r)
	return m
}

// ObserveCommit records how long a commit took.
func (m *Metrics) ObserveCommit(d time.Duration) { m.StoreCommit.Observe(d.Seconds()) }
