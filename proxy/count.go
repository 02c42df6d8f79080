package proxy

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"milepost/metrics"
)

// requestCounts keeps the series of requests at hand, because finding one by
// its labels takes longer than counting.
type requestCounts struct {
	metrics   *metrics.Metrics
	total     [routeCount][len(methodNames)][600]atomic.Pointer[prometheus.Counter]
	durations [routeCount][len(methodNames)]atomic.Pointer[prometheus.Observer]
}

// methodNames are the label's values; any other method counts as the last.
var methodNames = [...]string{"GET", "HEAD", "POST", "OTHER"}

func methodIndex(ctx *fasthttp.RequestCtx) int {
	switch {
	case ctx.IsGet():
		return 0
	case ctx.IsHead():
		return 1
	case ctx.IsPost():
		return 2
	}
	return 3
}

// done counts an answered request.
func (r *requestCounts) done(ctx *fasthttp.RequestCtx, to route, took time.Duration) {
	method, code := methodIndex(ctx), ctx.Response.StatusCode()
	if code < 100 || code >= 600 {
		return
	}
	slot := &r.total[to][method][code]
	counter := slot.Load()
	if counter == nil {
		c := r.metrics.HTTPRequests.WithLabelValues(routeNames[to], methodNames[method], statusText(code))
		counter = &c
		slot.Store(counter)
	}
	(*counter).Inc()
	duration := &r.durations[to][method]
	observer := duration.Load()
	if observer == nil {
		o := r.metrics.HTTPDuration.WithLabelValues(routeNames[to], methodNames[method])
		observer = &o
		duration.Store(observer)
	}
	(*observer).Observe(took.Seconds())
}

func statusText(code int) string {
	return string([]byte{'0' + byte(code/100), '0' + byte(code/10%10), '0' + byte(code%10)})
}

// lookups counts look-ups of single checkpoints in one tier.
type lookups struct{ hits, misses prometheus.Counter }

func newLookups(m *metrics.Metrics, tier string) lookups {
	return lookups{m.CacheRequests.WithLabelValues(tier, "hit"), m.CacheRequests.WithLabelValues(tier, "miss")}
}
