package metrics

import "github.com/prometheus/client_golang/prometheus"

// lagBuckets go from a frame to the first subscriber of an idle server to what
// a subscriber that has to catch up takes.
var lagBuckets = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}

// Stream are the series of the fan-out.
type Stream struct {
	// Subscribers is the number of open streams, Jobs that of the jobs they
	// watch, Behind that of the streams which are not at the tail of their jobs.
	Subscribers, Jobs, Behind prometheus.Gauge
	// Deliveries counts checkpoints written whole to a subscriber's socket,
	// DeliveredBytes all bytes written there.
	Deliveries, DeliveredBytes prometheus.Counter
	// Lag is the time from a checkpoint's commit to a subscriber's written
	// socket in seconds; what is read from history does not count.
	Lag *BatchHistogram

	closed, rejections *prometheus.CounterVec
}

// NewStream declares the series and registers them. rejections counts what a
// limit turns away, by the name of the limit.
func NewStream(r prometheus.Registerer, rejections *prometheus.CounterVec) *Stream {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "stream", Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: "stream", Name: name, Help: help})
	}
	s := &Stream{
		Subscribers:    gauge("subscribers", "Open streams."),
		Jobs:           gauge("jobs", "Jobs that have subscribers."),
		Behind:         gauge("subscribers_behind", "Open streams that are not at the tail of their jobs."),
		Deliveries:     counter("deliveries_total", "Checkpoints written whole to a subscriber's socket."),
		DeliveredBytes: counter("delivered_bytes_total", "Bytes written to subscribers' sockets."),
		Lag: NewBatchHistogram(prometheus.BuildFQName(namespace, "stream", "delivery_lag_seconds"),
			"Time from a checkpoint's commit to a subscriber's written socket.", lagBuckets),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "stream", Name: "closed_total", Help: "Streams that ended, by reason.",
		}, []string{"reason"}),
		rejections: rejections,
	}
	r.MustRegister(s.Subscribers, s.Jobs, s.Behind, s.Deliveries, s.DeliveredBytes, s.Lag, s.closed)
	return s
}

// Closed counts a stream that ended for a reason.
func (s *Stream) Closed(reason string) { s.closed.WithLabelValues(reason).Inc() }

// Rejected counts a subscriber that a limit turned away.
func (s *Stream) Rejected(limit string) { s.rejections.WithLabelValues(limit).Inc() }
