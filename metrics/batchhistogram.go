package metrics

import (
	"math"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BatchHistogram is a histogram that takes many equal observations at once: a
// frame reaches thousands of subscribers in the same fraction of a millisecond,
// and counting each by itself would cost a tenth of sending it.
type BatchHistogram struct {
	desc   *prometheus.Desc
	bounds []float64 // upper bounds in seconds, ascending
	counts []atomic.Uint64
	sum    atomic.Uint64 // bits of a float64, in seconds
}

// NewBatchHistogram returns a histogram with these upper bounds, in seconds and
// ascending.
func NewBatchHistogram(name, help string, bounds []float64) *BatchHistogram {
	return &BatchHistogram{
		desc: prometheus.NewDesc(name, help, nil, nil), bounds: bounds,
		counts: make([]atomic.Uint64, len(bounds)+1),
	}
}

// Observe counts n observations of d.
func (h *BatchHistogram) Observe(d time.Duration, n uint64) {
	v := d.Seconds()
	h.counts[sort.SearchFloat64s(h.bounds, v)].Add(n)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v*float64(n))) {
			return
		}
	}
}

// Describe implements prometheus.Collector.
func (h *BatchHistogram) Describe(ch chan<- *prometheus.Desc) { ch <- h.desc }

// Collect implements prometheus.Collector.
func (h *BatchHistogram) Collect(ch chan<- prometheus.Metric) {
	buckets := make(map[float64]uint64, len(h.bounds))
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
		if i < len(h.bounds) {
			buckets[h.bounds[i]] = total
		}
	}
	ch <- prometheus.MustNewConstHistogram(h.desc, total, math.Float64frombits(h.sum.Load()), buckets)
}
