package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// upstreamCount is what a sidecar has asked of its upstream.
type upstreamCount struct {
	// streams were opened, others are all other requests.
	streams, others float64
}

// minus returns what came after before.
func (c upstreamCount) minus(before upstreamCount) upstreamCount {
	return upstreamCount{c.streams - before.streams, c.others - before.others}
}

// all is the number of all requests.
func (c upstreamCount) all() float64 { return c.streams + c.others }

// reachedUpstream is the number of requests that the upstream itself has
// answered, whoever asked.
func (s *sidecarScenario) reachedUpstream() (float64, error) {
	return s.upstream.metric("milepost_http_requests_total")
}

// countUpstream reads from a sidecar's metrics what reached its upstream.
func countUpstream(m *milepostServer) (upstreamCount, error) {
	body, err := m.adminGet("/metrics")
	if err != nil {
		return upstreamCount{}, fmt.Errorf("cannot read metrics: %w", err)
	}
	return parseUpstreamCount(string(body))
}

// parseUpstreamCount adds up the series milepost_upstream_requests_total by
// route. A sidecar that has asked nothing yet has none of them, but it has the
// gauge of its streams; without that too, it is no sidecar's.
func parseUpstreamCount(metrics string) (c upstreamCount, err error) {
	sidecar := false
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "milepost_upstream_streams ") {
			sidecar = true
		}
		rest, ok := strings.CutPrefix(line, "milepost_upstream_requests_total{")
		if !ok {
			continue
		}
		labels, value, _ := strings.Cut(rest, "} ")
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return c, fmt.Errorf("a metric reads %q", line)
		}
		if strings.Contains(labels, `route="stream"`) {
			c.streams += n
		} else {
			c.others += n
		}
	}
	if !sidecar {
		return c, errors.New("no metric milepost_upstream_streams")
	}
	return c, nil
}
