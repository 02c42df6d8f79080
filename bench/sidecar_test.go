package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestUpstreamRequestsAreCountedByRoute(t *testing.T) {
	const metrics = `# TYPE milepost_upstream_requests_total counter
milepost_upstream_requests_total{code="200",route="checkpoint"} 2
milepost_upstream_requests_total{code="200",route="stream"} 1
milepost_upstream_requests_total{code="502",route="stream"} 3
milepost_upstream_requests_total{code="200",route="other"} 1e+06
milepost_upstream_streams 1
milepost_http_requests_total{code="200",method="GET",route="stream"} 77
`
	got, err := parseUpstreamCount(metrics)
	if want := (upstreamCount{streams: 4, others: 1_000_002}); err != nil || got != want {
		t.Errorf("got %+v and %v, want %+v", got, err, want)
	}
	before := upstreamCount{streams: 3, others: 1_000_000}
	if d := got.minus(before); d.streams != 1 || d.others != 2 || d.all() != 3 {
		t.Errorf("the difference is %+v", d)
	}
}

func TestUpstreamRequestsAreReadFromSidecarsAlone(t *testing.T) {
	if got, err := parseUpstreamCount("milepost_upstream_streams 0\n"); err != nil || got.all() != 0 {
		t.Errorf("one that has asked nothing gives %+v and %v", got, err)
	}
	for name, metrics := range map[string]string{
		"no sidecar":  "milepost_http_requests_total{code=\"200\"} 1\n",
		"no number":   "milepost_upstream_streams 0\nmilepost_upstream_requests_total{route=\"stream\"} many\n",
		"cut in half": "milepost_upstream_streams 0\nmilepost_upstream_requests_total{route=\"stre",
	} {
		if got, err := parseUpstreamCount(metrics); err == nil {
			t.Errorf("%s: gives %+v", name, got)
		}
	}
}

func TestSidecarRefusesWhatItCannotMeasure(t *testing.T) {
	for _, args := range [][]string{
		{"--parts", "cached,nothing"}, {"--parts", ""}, {"--subscribers", "0"}, {"--subscribers", "20000"},
	} {
		var out, progress bytes.Buffer
		args = append([]string{"sidecar", "--dir", t.TempDir()}, args...)
		if status := dispatch(t.Context(), args, &out, &progress); status != 2 {
			t.Errorf("%v: status %d\n%s", args, status, progress.String())
		}
	}
}

func TestSidecarLatencyIsJudgedByTheMedian(t *testing.T) {
	for want, added := range map[string][]float64{"met": {0.2, 5, 0.9}, "MISSED": {0.2, 5, 1.1}} {
		var r report
		r.addAdded("a POST", added)
		var out bytes.Buffer
		r.print(&out)
		if !strings.Contains(out.String(), want+"]") {
			t.Errorf("%v: %s", added, out.String())
		}
	}
}
