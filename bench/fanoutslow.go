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
	stalled := s.flags.Int("stalled", slowShare, "how many of them never read, 0 to leave that out")
	dripping := s.flags.Int("dripping", slowShare, "how many of them read 1 KB a second, 0 to leave that out")
	rate := s.flags.Float64("rate", 10, "events a second")
	return s.run(args, out, func() error {
		slow := max(*stalled, *dripping)
		if *subscribers < 1 || *subscribers > maxSubscribers || *stalled < 0 || *dripping < 0 || slow == 0 || slow >= *subscribers || *rate <= 0 {
			return usageError{fmt.Errorf("--subscribers, --rate and one of --stalled and --dripping are positive, and some keep up")}
		}
		none := fanoutCase{Jobs: 1, Subscribers: *subscribers, Size: smallFrame, Backlog: 1, Rate: *rate}
		cases := []fanoutCase{none}
		if *stalled > 0 {
			c := none
			c.Stalled = *stalled
			cases = append(cases, c)
		}
		if *dripping > 0 {
			c := none
			c.Dripping = *dripping
			cases = append(cases, c)
		}
		if s.smoke {
			for i := range cases {
				cases[i].shrink()
			}
		}
		return measureSlow(s, cases)
	})
}

// measureSlow compares the latency of the others when some are slow with that
// of the first case, in which none is.
func measureSlow(s *fanoutScenario, cases []fanoutCase) error {
	systems, err := s.startAll()
	if err != nil {
		return err
	}
	all, err := s.interleaveFanout(cases, systems)
	if err != nil {
		return err
	}
	for _, x := range systems {
		for _, some := range cases[1:] {
			atMost := 0.0
			if x.name == "milepost" && some.Subscribers == mostSubscribers && some.Stalled+some.Dripping == slowShare && some.Rate == 10 {
				atMost = 1.15
			}
			s.report.compareStreams(fmt.Sprintf("%s, %s: p99 of the others against none slow", some, x.name),
				all[seriesKey{some.String(), x.name}], all[seriesKey{cases[0].String(), x.name}], fanoutRun.p99, 0, atMost)
		}
	}
	s.report.note("Stalled subscribers never read behind the head of their answer; dripping ones read %d bytes every %s, and what they get is checked. Their receive buffers are %s, "+
		"and %d KB were published to fill them before the run.", dripBytes, dripEvery, sizeText(stallBuffer), fillBytes>>10)
	return nil
}
