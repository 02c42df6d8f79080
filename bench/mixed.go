package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	// dayJobs are written at the same time, each watched by dayWatchers.
	dayJobs, dayWatchers = 100, 20
	// dayRate is how many requests a second a busy sidecar gets.
	dayRate = 1000
	// dayFrame is about the size of a checkpoint's frame in bytes.
	dayFrame = 4 << 10
)

// dayFlags describe a day.
type dayFlags struct {
	jobs, watchers int
	rate           float64
	shares, size   string
}

// addTo adds the flags to a scenario; rate is the usual one, of which the help
// says what.
func (f *dayFlags) addTo(s *fanoutScenario, rate float64, what string) {
	s.flags.IntVar(&f.jobs, "jobs", dayJobs, "jobs that are written at the same time")
	s.flags.IntVar(&f.watchers, "watchers", dayWatchers, "subscribers of each job that stay")
	s.flags.Float64Var(&f.rate, "rate", rate, what)
	s.flags.StringVar(&f.shares, "shares", usualShares.String(), "how many of 100 requests are of each kind")
	s.flags.StringVar(&f.size, "size", sizeText(dayFrame), "size of a frame")
}

// load returns the load that the flags describe.
func (f *dayFlags) load(s *fanoutScenario, x *fanoutSystem) (dayLoad, error) {
	shares, err := parseShares(f.shares)
	if err != nil {
		return dayLoad{}, err
	}
	size, err := parseSize(f.size)
	if err != nil {
		return dayLoad{}, usageError{err}
	}
	if f.jobs < 1 || f.watchers < 0 || f.rate < 0 || f.jobs*f.watchers > maxSubscribers {
		return dayLoad{}, usageError{fmt.Errorf("--jobs and --rate are positive, and there are at most %d subscribers", maxSubscribers)}
	}
	c := fanoutCase{Jobs: f.jobs, Subscribers: max(1, f.watchers), Size: size, Backlog: 1, Rate: f.rate}
	if s.smoke {
		c.Jobs, c.Subscribers = min(c.Jobs, 8), min(c.Subscribers, 3)
	}
	key := benchKey
	if s.target != "" {
		key = s.key
	}
	return dayLoad{fanoutLoad: fanoutLoad{fanoutCase: c, system: x, span: span{s.duration / 4, s.duration}}, key: key, shares: shares}, nil
}

// runMixed is `bench mixed`.
func runMixed(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "mixed", "none", progress)
	var f dayFlags
	f.addTo(s, dayRate, "requests a second of all kinds, 0 for as fast as they are answered")
	return s.run(args, out, func() error { return measureMixed(s, &f) })
}

// measureMixed lets a busy sidecar's day go by, again and again.
func measureMixed(s *fanoutScenario, f *dayFlags) error {
	if _, err := f.load(s, nil); err != nil {
		return err // before anything is started
	}
	x, err := s.startMilepost()
	if err != nil {
		return err
	}
	if x.end != nil {
		s.cleanup(x.end)
	}
	var all, events series[fanoutRun]
	var kinds [dayKinds]series[fanoutRun]
	for round := range s.rounds {
		load, err := f.load(s, x)
		if err != nil {
			return err
		}
		r, err := load.run(s.ctx)
		if err != nil {
			return err
		}
		if round == 0 {
			name := fmt.Sprintf("%g requests/s", load.Rate)
			if load.Rate == 0 {
				name = "saturated"
			}
			all = series[fanoutRun]{Case: name + ": all requests", System: "milepost"}
			events = series[fanoutRun]{Case: fmt.Sprintf("%s: events to %d subscribers", name, load.Jobs*load.Subscribers), System: "milepost"}
			for kind := range kinds {
				kinds[kind] = series[fanoutRun]{Case: name + ": " + dayNames[kind], System: "milepost"}
			}
			s.report.note("Of 100 requests: %s; %d jobs, each written and watched by %d, with frames of %s. Latency is from when a request was to be sent; "+
				"a stream is timed from its opening, up to 10 checkpoints behind, until it has caught up. In these rows a delivery is an answer.",
				load.shares, load.Jobs, load.Subscribers, sizeText(load.Size))
		}
		sum := r.all().asRun(r.events)
		s.say("run %d of %d: requests: %s; events: %s", round+1, s.rounds, sum, r.events)
		all.Runs, events.Runs = append(all.Runs, sum), append(events.Runs, r.events)
		for kind := range kinds {
			one := r.requests[kind].asRun(r.events)
			// Nobody knows which kind took how much of the CPU time.
			one.ServerCPU = 0
			kinds[kind].Runs = append(kinds[kind].Runs, one)
		}
	}
	s.report.addStreams(append([]series[fanoutRun]{all, events}, kinds[:]...))
	if n, _ := s.report.answers(); n == 0 {
		return errors.New("no request was answered")
	}
	return nil
}

// answers returns how many deliveries all series have, and how many errors.
func (r *report) answers() (deliveries, errors int64) {
	for _, x := range r.Streams {
		errors += x.errors()
		for _, run := range x.Runs {
			deliveries += run.Deliveries
		}
	}
	return deliveries, errors
}

// asRun shows requests as a row beside the events of the same run.
func (c *dayCount) asRun(events fanoutRun) fanoutRun {
	r := fanoutRun{
		Deliveries: int64(c.latency.total), Seconds: events.Seconds, ServerCPU: events.ServerCPU, GeneratorCPU: events.GeneratorCPU, PSS: events.PSS,
		P50: milliseconds(c.latency.quantile(0.5)), P99: milliseconds(c.latency.quantile(0.99)), Max: milliseconds(c.latency.max),
	}
	if c.err != nil {
		r.Error = fmt.Sprintf("%d requests failed, the first: %v", c.errors, c.err)
	}
	return r
}
