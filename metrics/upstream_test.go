package metrics

import (
	"maps"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// values returns the values that a registry has, by name and labels.
func values(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			found[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}

func TestUpstreamSeries(t *testing.T) {
	r := prometheus.NewRegistry()
	u := NewUpstream(r)
	route := u.Route("other")
	for _, code := range []int{200, 200, 503, 99, 600, -1} {
		route.Done(code, time.Millisecond)
	}
	u.Route("stream").Done(200, time.Second)
	u.Coalesced.Inc()
	u.Streams.Set(2)
	u.Reconnects.Add(3)
	u.StaleLists.Add(4)
	if got, want := values(t, r), map[string]float64{
		"milepost_upstream_requests_total 200 other":        2,
		"milepost_upstream_requests_total 503 other":        1,
		"milepost_upstream_requests_total 200 stream":       1,
		"milepost_upstream_request_duration_seconds other":  3,
		"milepost_upstream_request_duration_seconds stream": 1,
		"milepost_upstream_coalesced_total":                 1,
		"milepost_upstream_streams":                         2,
		"milepost_upstream_reconnects_total":                3,
		"milepost_stale_lists_total":                        4,
	}; !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
