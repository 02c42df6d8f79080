package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// sidecarAuthTTL keeps the upstream's yes for longer than any run takes, so
// that what reached the upstream does not depend on how fast the machine is.
const sidecarAuthTTL = "MILEPOST_UPSTREAM_AUTH_TTL=30m"

// The two mileposts of the scenario, as they are named in reports.
const (
	sidecarName  = "sidecar"
	embeddedName = "embedded"
)

// sidecarParts are what the scenario measures, in the order in which it does.
var sidecarParts = []struct {
	name    string
	measure func(*sidecarScenario) error
}{
	{"cached", measureSidecarCache},
	{"pass", measureSidecarPass},
	{"dashboards", measureDashboards},
	{"fanout", measureSidecarFanout},
	{"latency", measureSidecarLatency},
}

// sidecarScenario is a milepost in front of another, and what is known of them.
type sidecarScenario struct {
	*scenario
	// upstream has the embedded store.
	upstream *milepostServer
	// subscribers are those of the fan-out and the number of dashboards.
	subscribers int
	// started counts the sidecars, to give each a data directory.
	started int
}

// runSidecar is `bench sidecar`.
func runSidecar(ctx context.Context, args []string, out, progress io.Writer) error {
	s := &sidecarScenario{scenario: newScenario(ctx, "sidecar", 9, progress)}
	s.allowPeers()
	s.flags.IntVar(&s.subscribers, "subscribers", mostSubscribers, "dashboards, and subscribers of the fan-out")
	var names []string
	for _, p := range sidecarParts {
		names = append(names, p.name)
	}
	chosen := s.flags.String("parts", strings.Join(names, ","), "measure these parts alone (`NAMES` with commas)")
	return s.run(args, out, func() error {
		if s.subscribers < 1 || s.subscribers > maxSubscribers {
			return usageError{fmt.Errorf("--subscribers is a number from 1 to %d", maxSubscribers)}
		}
		parts, err := parseList(*chosen, func(name string) (string, error) {
			if !slices.Contains(names, name) {
				return "", fmt.Errorf("no part is called %q", name)
			}
			return name, nil
		})
		if err != nil {
			return err
		}
		// The servers inherit the limit, and hold a socket for each subscriber.
		if err := raiseFileLimit(s.subscribers + 200); err != nil {
			return err
		}
		if s.upstream, err = s.startServer(s.path("upstream")); err != nil {
			return err
		}
		for _, p := range sidecarParts {
			if !slices.Contains(parts, p.name) {
				continue
			}
			if err := p.measure(s); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	})
}

// startSidecar starts milepost in front of the server at addr, with a local
// copy of its own that is empty.
func (s *sidecarScenario) startSidecar(addr string) (*milepostServer, error) {
	s.started++
	return s.startServer(s.path(fmt.Sprintf("sidecar-%d", s.started)), "--upstream=http://"+addr, sidecarAuthTTL)
}

// measureSidecarFanout lets subscribers of the sidecar and of the embedded
// store take turns.
func measureSidecarFanout(s *sidecarScenario) error {
	front, err := s.startSidecar(s.upstream.addr)
	if err != nil {
		return err
	}
	c := fanoutCase{Jobs: 1, Subscribers: s.subscribers, Size: smallFrame, Backlog: 1}
	if s.smoke {
		c.shrink()
	}
	var systems []*fanoutSystem
	for _, b := range []build{{sidecarName, front}, {embeddedName, s.upstream}} {
		// The CPU time is that of the process that serves the subscribers alone.
		x := milepostSystem(b.server.addr, benchKey, b.server.pid())
		if err := x.learnOverhead(newID(newRand(randomSeed(), 0))); err != nil {
			return err
		}
		x.name = b.name
		systems = append(systems, x)
	}
	before, err := countUpstream(front)
	if err != nil {
		return err
	}
	f := &fanoutScenario{scenario: s.scenario}
	all, err := f.interleaveFanout([]fanoutCase{c}, systems)
	if err != nil {
		return err
	}
	after, err := countUpstream(front)
	if err != nil {
		return err
	}
	a, b := all[seriesKey{c.String(), sidecarName}], all[seriesKey{c.String(), embeddedName}]
	s.report.compareStreams(fmt.Sprintf("fan-out, %s: sidecar / embedded in deliveries per CPU second of the serving process", c), a, b, fanoutRun.perCPUSecond, 0.95, 0)
	s.report.Figures = append(s.report.Figures, figure{
		Name: fmt.Sprintf("fan-out, %s: upstream streams a job", c), Value: after.minus(before).streams / float64(len(a.Runs)), AtMost: 1,
	})
	return nil
}
