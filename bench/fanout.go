package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// runFanout is `bench fanout`.
func runFanout(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "fanout", "nchan,hub,centrifuge", progress)
	var f fanoutFlags
	s.flags.StringVar(&f.subscribers, "subscribers", "", "`NUMBERS` of subscribers of a job, such as 1,100,10000")
	s.flags.StringVar(&f.sizes, "size", "", "`SIZES` of a frame, such as 1KB,32KB (default 1KB)")
	s.flags.StringVar(&f.trace, "trace", "", "publish the checkpoints of this `FILE` of bodies, a line each, or of "+strings.Join(bundledTraces, ", ")+"; not with --size")
	s.flags.Float64Var(&f.rate, "rate", 0, "publish `N` times a second instead of when all have the last event")
	s.flags.IntVar(&f.backlog, "backlog", 0, "publish `N` events at once instead of one")
	s.flags.IntVar(&f.jobs, "jobs", 0, "publish to `N` jobs, of 10 subscribers each by default")
	s.flags.BoolVar(&f.memory, "memory", false, "measure the memory of idle subscribers alone")
	return s.run(args, out, func() error {
		cases, memory, err := f.cases()
		if err != nil {
			return err
		}
		if s.smoke {
			for i := range cases {
				cases[i].shrink()
			}
			memory = min(memory, 20)
		}
		if i := slices.IndexFunc(cases, func(c fanoutCase) bool { return c.Trace != "" }); i >= 0 {
			if s.trace, err = readTraceEvents(cases[i].Trace); err != nil {
				return err
			}
		}
		return measureFanout(s, cases, memory)
	})
}

// fanoutFlags choose the cases; without any, they are those of the project's
// own figures.
type fanoutFlags struct {
	subscribers, sizes, trace string
	rate                      float64
	backlog, jobs             int
	memory                    bool
}

const (
	smallFrame = 1 << 10
	largeFrame = 32 << 10
	// mostSubscribers is the number that the project sets itself.
	mostSubscribers = 10_000
)

// usualCases are those with figures that the project sets itself, and those
// that put them into a context.
func usualCases() []fanoutCase {
	return []fanoutCase{
		{Jobs: 1, Subscribers: 1, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: 100, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: 1000, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: mostSubscribers, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: mostSubscribers, Size: largeFrame, Backlog: 1},
		{Jobs: 1, Subscribers: mostSubscribers, Size: smallFrame, Backlog: 16},
		{Jobs: 1, Subscribers: 1000, Size: smallFrame, Backlog: 1, Rate: 10},
		{Jobs: 1, Subscribers: mostSubscribers, Size: smallFrame, Backlog: 1, Rate: 10},
		{Jobs: 1000, Subscribers: 10, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: 1000, Trace: usualTrace, Backlog: 1},
	}
}

// fanoutBound is a ratio of milepost to nchan that the project sets itself.
type fanoutBound struct {
	measure         string
	of              func(fanoutRun) float64
	atLeast, atMost float64
}

// boundsOf returns the bounds of a case.
func boundsOf(c fanoutCase) []fanoutBound {
	perCPU := fanoutBound{measure: "deliveries per server CPU second", of: fanoutRun.perCPUSecond}
	tail := fanoutBound{measure: "p99", of: fanoutRun.p99}
	rate := fanoutBound{measure: "deliveries/s", of: fanoutRun.perSecond}
	n := c.Subscribers
	switch {
	case c.Jobs > 1:
		if c.Jobs == 1000 && n == 10 && c.Size == smallFrame && c.Rate == 0 {
			rate.atLeast = 1
		}
		return []fanoutBound{rate, perCPU}
	case c.Rate > 0:
		if c.Rate == 10 && c.Size == smallFrame && c.Backlog == 1 {
			tail.atMost = map[int]float64{1000: 1, mostSubscribers: 0.5}[n]
		}
		return []fanoutBound{tail, perCPU}
	}
	if c.Backlog == 1 && c.Size == smallFrame {
		perCPU.atLeast = map[int]float64{100: 1.2, 1000: 1.2, mostSubscribers: 1.6}[n]
	}
	if c.Backlog == 1 && c.Size == largeFrame && n == mostSubscribers {
		perCPU.atLeast = 2.5
	}
	return []fanoutBound{perCPU}
}

// cases returns the chosen cases, and the number of idle subscribers whose
// memory is to be measured, 0 for none.
func (f fanoutFlags) cases() ([]fanoutCase, int, error) {
	if f == (fanoutFlags{}) {
		return usualCases(), mostSubscribers, nil
	}
	if f.rate < 0 || f.backlog < 0 || f.jobs < 0 || (f.rate > 0 && f.jobs > 1) {
		return nil, 0, usageError{fmt.Errorf("--rate, --backlog and --jobs are positive, and --rate is for one job")}
	}
	numbers := f.subscribers
	if numbers == "" {
		numbers = fmt.Sprint(mostSubscribers)
		if f.jobs > 1 {
			numbers = "10"
		}
	}
	subscribers, err := parseList(numbers, parseSubscribers)
	if err != nil {
		return nil, 0, err
	}
	if f.memory {
		return nil, subscribers[len(subscribers)-1], nil
	}
	if f.sizes != "" && f.trace != "" {
		return nil, 0, usageError{errors.New("the frames of a --trace have the sizes that they have, so there is no --size")}
	}
	if f.sizes == "" {
		f.sizes = sizeText(smallFrame)
	}
	sizes, err := parseList(f.sizes, parseSize)
	if err != nil {
		return nil, 0, err
	}
	if f.trace != "" {
		sizes = []int{0}
	}
	var cases []fanoutCase
	for _, size := range sizes {
		for _, n := range subscribers {
			c := fanoutCase{Jobs: max(1, f.jobs), Subscribers: n, Size: size, Trace: f.trace, Rate: f.rate, Backlog: max(1, f.backlog)}
			if c.Jobs*n > maxSubscribers {
				return nil, 0, usageError{fmt.Errorf("%d jobs of %d subscribers are more than %d", c.Jobs, n, maxSubscribers)}
			}
			cases = append(cases, c)
		}
	}
	return cases, 0, nil
}

// shrink makes a case small enough for a smoke run.
func (c *fanoutCase) shrink() {
	c.Jobs = min(c.Jobs, 8)
	c.Subscribers = min(c.Subscribers, 24/c.Jobs+1)
	c.Stalled, c.Dripping = min(c.Stalled, c.Subscribers/4), min(c.Dripping, c.Subscribers/4)
	c.Rate = min(5*c.Rate, 100)
}

// measureFanout measures the cases, then the memory of idle subscribers.
func measureFanout(s *fanoutScenario, cases []fanoutCase, memory int) error {
	if len(cases) > 0 {
		if err := measureCases(s, cases); err != nil {
			return err
		}
	}
	if memory == 0 || s.target != "" {
		return nil
	}
	return measureIdleMemory(s, memory)
}

// measureCases measures the cases one after another, each with the systems in turn.
func measureCases(s *fanoutScenario, cases []fanoutCase) error {
	systems, err := s.startAll()
	if err != nil {
		return err
	}
	if err := s.learnTrace(systems); err != nil {
		return err
	}
	single := map[fanoutCase]map[seriesKey]series[fanoutRun]{}
	for _, c := range cases {
		all, err := s.interleaveFanout([]fanoutCase{c}, systems)
		if err != nil {
			return err
		}
		single[c] = all
		for _, x := range systems {
			if s.alone || x.name == "milepost" {
				continue
			}
			for _, b := range boundsOf(c) {
				if x.name != "nchan" {
					b.atLeast, b.atMost = 0, 0
				}
				name := fmt.Sprintf("%s: milepost / %s in %s", c, x.name, b.measure)
				s.report.compareStreams(name, all[seriesKey{c.String(), "milepost"}], all[seriesKey{c.String(), x.name}], b.of, b.atLeast, b.atMost)
			}
		}
	}
	for _, c := range cases {
		one := c
		one.Backlog = 1
		if c.Backlog == 1 || single[one] == nil {
			continue
		}
		for _, x := range systems {
			atLeast := 0.0
			if x.name == "milepost" && c.Backlog == 16 && c.Rate == 0 {
				atLeast = 4
			}
			name := fmt.Sprintf("%s, %s: against one at a time in deliveries per server CPU second", strings.TrimSpace(c.String()), x.name)
			s.report.compareStreams(name, single[c][seriesKey{c.String(), x.name}], single[one][seriesKey{one.String(), x.name}], fanoutRun.perCPUSecond, atLeast, 0)
		}
	}
	return nil
}
