package proxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"milepost/metrics"
)

// limit bounds something that requests hold while they are worked on: places or
// bytes. A request that finds no room waits for a bounded time.
type limit struct {
	name    string
	size    int64
	sem     *semaphore.Weighted
	metrics *metrics.Metrics
}

func newLimit(name string, size int64, m *metrics.Metrics) *limit {
	return &limit{name: name, size: size, sem: semaphore.NewWeighted(size), metrics: m}
}

// acquire takes n, waiting at most for the given time, and reports how to give
// it back, or nil if there was no room.
func (l *limit) acquire(n int64, wait time.Duration) (release func()) {
	// What is larger than the whole limit gets all of it, alone.
	n = min(n, l.size)
	if !l.sem.TryAcquire(n) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		if l.sem.Acquire(ctx, n) != nil {
			l.metrics.LimitRejections.WithLabelValues(l.name).Inc()
			return nil
		}
	}
	return func() { l.sem.Release(n) }
}

// limits are the bounds in force. A reload replaces them as a whole; what was
// taken from the old ones is given back to them.
type limits struct {
	maxBody      int64
	minBodyRate  int64
	queueTimeout time.Duration
	scanTimeout  time.Duration

	requests  *limit
	bodyBytes *limit
	listBytes *limit
}

// connections counts open connections against a limit that may change, and
// knows them, so that a drain that takes too long can end them.
type connections struct {
	open  atomic.Int64
	limit atomic.Int64
	all   sync.Map // of *conn to nothing
}

// left says that a connection is closed.
func (c *connections) left() { c.open.Add(-1) }
