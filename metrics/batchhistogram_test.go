package metrics

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// collected is a histogram as it is scraped.
type collected struct {
	count   uint64
	sum     float64
	buckets map[float64]uint64 // cumulative
}

func collect(t *testing.T, c prometheus.Collector) collected {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // holds what is collected against what is described
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 1 || len(families[0].GetMetric()) != 1 {
		t.Fatalf("%d families", len(families))
	}
	h := families[0].GetMetric()[0].GetHistogram()
	got := collected{count: h.GetSampleCount(), sum: h.GetSampleSum(), buckets: make(map[float64]uint64)}
	for _, b := range h.GetBucket() {
		got.buckets[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	return got
}

// A batch counts as its observations one by one do in Prometheus' own
// histogram, also at the bounds themselves.
func TestBatchHistogramEqualsPrometheus(t *testing.T) {
	bounds := []float64{.001, .01, .1, 1}
	batch := NewBatchHistogram("lag_seconds", "Lag.", bounds)
	single := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "lag_seconds", Help: "Lag.", Buckets: bounds})
	for i, d := range []time.Duration{
		-time.Millisecond, 0, 999 * time.Microsecond, time.Millisecond, 1001 * time.Microsecond,
		50 * time.Millisecond, 100 * time.Millisecond, time.Second, time.Second + 1, time.Hour,
	} {
		n := uint64(i * i)
		batch.Observe(d, n)
		for range n {
			single.Observe(d.Seconds())
		}
	}
	got, want := collect(t, batch), collect(t, single)
	if got.count != want.count || math.Abs(got.sum-want.sum) > 1e-6 || len(got.buckets) != len(want.buckets) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for bound, n := range want.buckets {
		if got.buckets[bound] != n {
			t.Errorf("up to %v: %d, want %d", bound, got.buckets[bound], n)
		}
	}
}

func TestBatchHistogramIsEmptyAtFirst(t *testing.T) {
	got := collect(t, NewBatchHistogram("lag_seconds", "Lag.", []float64{1, 2}))
	if got.count != 0 || got.sum != 0 || len(got.buckets) != 2 || got.buckets[1] != 0 || got.buckets[2] != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestBatchHistogramLosesNothingToConcurrency(t *testing.T) {
	h := NewBatchHistogram("lag_seconds", "Lag.", []float64{.5, 1})
	var observers sync.WaitGroup
	for range 8 {
		observers.Go(func() {
			for range 1000 {
				h.Observe(250*time.Millisecond, 3) // exact in binary, as are its sums
				h.Observe(2*time.Second, 1)
			}
		})
	}
	scraped := make(chan struct{})
	go func() {
		defer close(scraped)
		for range 100 {
			ch := make(chan prometheus.Metric, 1)
			h.Collect(ch)
			<-ch
		}
	}()
	observers.Wait()
	<-scraped
	got := collect(t, h)
	if got.count != 32000 || got.sum != 22000 || got.buckets[.5] != 24000 || got.buckets[1] != 24000 {
		t.Errorf("got %+v", got)
	}
}

func TestBatchHistogramObservesWithoutAllocation(t *testing.T) {
	h := NewBatchHistogram("lag_seconds", "Lag.", lagBuckets)
	if n := testing.AllocsPerRun(100, func() { h.Observe(3*time.Millisecond, 100) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
