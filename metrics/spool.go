package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Spool are the series of what waits for the upstream.
type Spool struct {
	// Accepted counts checkpoints that were taken while the upstream could not be
	// reached, Delivered those that it has, Refused those that it has refused for
	// good.
	Accepted, Delivered, Refused prometheus.Counter
}

// SpoolFigures are what a scrape asks of the spool.
type SpoolFigures struct {
	Pending, Dead int
	Bytes         int64
	Oldest        time.Time // zero if nothing is pending
}

// NewSpool declares the series and registers them.
func NewSpool(r prometheus.Registerer) *Spool {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "spool", Name: name, Help: help})
	}
	s := &Spool{
		Accepted:  counter("accepted_total", "Checkpoints accepted into the spool while the upstream could not be reached."),
		Delivered: counter("delivered_total", "Checkpoints of the spool that the upstream has taken."),
		Refused:   counter("refused_total", "Checkpoints of the spool that the upstream has refused for good."),
	}
	r.MustRegister(s.Accepted, s.Delivered, s.Refused)
	return s
}

// RegisterSpool adds the series of what is in the spool.
func (m *Metrics) RegisterSpool(figures func() SpoolFigures) {
	c := &collector[SpoolFigures]{figures: figures}
	c.add(prometheus.GaugeValue, "spool_pending", "Checkpoints that wait for the upstream.",
		func(f *SpoolFigures) float64 { return float64(f.Pending) })
	c.add(prometheus.GaugeValue, "spool_dead", "Checkpoints that the upstream has refused for good.",
		func(f *SpoolFigures) float64 { return float64(f.Dead) })
	c.add(prometheus.GaugeValue, "spool_bytes", "Bytes of request bodies in the spool.",
		func(f *SpoolFigures) float64 { return float64(f.Bytes) })
	c.add(prometheus.GaugeValue, "spool_oldest_age_seconds", "Age of the oldest checkpoint that waits for the upstream, 0 if none does.",
		func(f *SpoolFigures) float64 {
			if f.Oldest.IsZero() {
				return 0
			}
			return max(time.Since(f.Oldest).Seconds(), 0)
		})
	m.Registry.MustRegister(c)
}
