package main

import (
	"context"
	"fmt"
	"io"
)

// slowShare is how many of the subscribers stall by default.
const slowShare = 300

// runSlow is `bench slow`.
func runSlow(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "slow", "none", progress)
	subscribers := s.flags.Int("subscribers", mostSubscribers, "subscribers of the job")
	stalled := s.flags.Int("stalled", slowShare, "how many of them never read")
	rate := s.flags.Float64("rate", 10, "events a second")
	return s.run(args, out, func() error {
		if *subscribers < 1 || *subscribers > maxSubscribers || *stalled < 1 || *stalled >= *subscribers || *rate <= 0 {
			return usageError{fmt.Errorf("--subscribers, --stalled and --rate are positive, and some do not stall")}
		}
		c := fanoutCase{Jobs: 1, Subscribers: *subscribers, Size: smallFrame, Backlog: 1, Rate: *rate, Stalled: *stalled}
		if s.smoke {
			c.shrink()
		}
		return measureSlow(s, c)
	})
}

// measureSlow compares the latency of the others when some stall with that
// when none does.
func measureSlow(s *fanoutScenario, some fanoutCase) error {
	systems, err := s.startAll()
	if err != nil {
		return err
	}
	none := some
	none.Stalled = 0
	all, err := s.interleaveFanout([]fanoutCase{none, some}, systems)
	if err != nil {
		return err
	}
	for _, x := range systems {
		atMost := 0.0
		if x.name == "milepost" && some.Subscribers == mostSubscribers && some.Stalled == slowShare && some.Rate == 10 {
			atMost = 1.15
		}
		s.report.compare(fmt.Sprintf("%s, %s: p99 of the others against none stalled", some, x.name),
			all[seriesKey{some.String(), x.name}], all[seriesKey{none.String(), x.name}], func(r fanoutRun) float64 { return r.P99 }, 0, atMost)
	}
	s.report.note("Stalled subscribers never read behind the head of their answer; their receive buffers are %s, and %d KB were published to fill them before the run.",
		sizeText(stallBuffer), fillBytes>>10)
	return nil
}
