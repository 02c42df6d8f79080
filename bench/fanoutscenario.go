package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
)

// fanoutScenario is a scenario of many subscribers, with peers that are chosen
// by name.
type fanoutScenario struct {
	*scenario
	peerNames string
	alone     bool
	// trace is the recorded job of the cases that have one.
	trace *traceEvents
	// started counts the servers that were started, to give each a directory.
	started int
}

// newFanoutScenario returns a scenario with the flags that all of them have.
// peers are those that are measured by default.
func newFanoutScenario(ctx context.Context, name, peers string, progress io.Writer) *fanoutScenario {
	s := &fanoutScenario{scenario: newScenario(ctx, name, 3, progress)}
	s.allowTarget()
	s.flags.StringVar(&s.peerNames, "peers", peers, "measure these of nchan,hub,centrifuge too (`NAMES` with commas, or none)")
	s.flags.BoolVar(&s.alone, "alone", false, "measure the peers without milepost")
	return s
}

// starter starts one system, fresh.
type starter struct {
	name  string
	start func() (*fanoutSystem, error)
}

// starters returns what is to be measured, milepost first.
func (s *fanoutScenario) starters() ([]starter, error) {
	var all []starter
	if !s.alone {
		all = append(all, starter{"milepost", s.startMilepost})
	}
	if s.target != "" || s.peerNames == "none" || s.peerNames == "" {
		return all, nil
	}
	names, _ := parseList(s.peerNames, func(name string) (string, error) { return name, nil })
	for _, name := range names {
		if !slices.ContainsFunc(peerStarters, func(p peerStarter) bool { return p.name == name }) {
			return nil, usageError{fmt.Errorf("no peer is called %q", name)}
		}
	}
	for _, p := range peerStarters {
		if slices.Contains(names, p.name) {
			all = append(all, starter{p.name, func() (*fanoutSystem, error) { return p.start(s.ctx, s.newDir(p.name)) }})
		}
	}
	return all, nil
}

// newDir names a directory for one start of a server.
func (s *fanoutScenario) newDir(name string) string {
	s.started++
	return s.path(fmt.Sprintf("%s-%d", name, s.started))
}

// startMilepost starts milepost, or names the server that --target does.
func (s *fanoutScenario) startMilepost() (*fanoutSystem, error) {
	var x *fanoutSystem
	if s.target != "" {
		u, err := url.Parse(s.target)
		if err != nil || u.Scheme != "http" || u.Port() == "" {
			return nil, usageError{fmt.Errorf("--target must read http://host:port, not %q", s.target)}
		}
		x = milepostSystem(u.Host, s.key, 0)
	} else {
		binary, err := s.milepostBinary()
		if err != nil {
			return nil, err
		}
		m, err := startMilepost(s.ctx, binary, s.newDir("milepost"))
		if err != nil {
			return nil, err
		}
		x = milepostSystem(m.addr, benchKey, m.pid())
		x.end = m.end
	}
	err := x.learnOverhead(newID(newRand(randomSeed(), 0)))
	if err != nil && x.end != nil {
		err = errors.Join(err, x.end())
	}
	return x, err
}

// startAll starts what is to be measured, to be ended with the scenario. Peers
// that are not here are left out with a note.
func (s *fanoutScenario) startAll() ([]*fanoutSystem, error) {
	starters, err := s.starters()
	if err != nil {
		return nil, err
	}
	var all []*fanoutSystem
	for _, st := range starters {
		x, err := st.start()
		if errors.Is(err, errNoPeer) {
			s.report.note("left out: %v", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", st.name, err)
		}
		if x.end != nil {
			s.cleanup(x.end)
		}
		all = append(all, x)
	}
	if len(all) == 0 {
		return nil, usageError{errors.New("nothing is left to be measured")}
	}
	return all, nil
}

// interleaveFanout lets the systems take turns at the cases, so that a drift
// of the machine hits all alike, and adds their runs to the report. It returns
// the series by case and system.
func (s *fanoutScenario) interleaveFanout(cases []fanoutCase, systems []*fanoutSystem) (map[seriesKey]series[fanoutRun], error) {
	var all []series[fanoutRun]
	var err error
	for _, c := range cases {
		for _, x := range systems {
			all = append(all, series[fanoutRun]{Case: c.String(), System: x.name, Load: &c})
		}
	}
	for round := range s.rounds {
		for i := 0; i < len(all) && err == nil; i++ {
			c, x := cases[i/len(systems)], systems[i%len(systems)]
			load := fanoutLoad{fanoutCase: c, system: x, span: span{s.duration / 4, s.duration}}
			if c.Trace != "" {
				load.trace = s.trace
			}
			var r fanoutRun
			if r, err = load.run(s.ctx); err != nil {
				err = fmt.Errorf("%s, %s: %w", c, x.name, err)
				break
			}
			s.say("%s, run %d of %d, %s: %s", c, round+1, s.rounds, x.name, r)
			all[i].Runs = append(all[i].Runs, r)
		}
	}
	byKey := map[seriesKey]series[fanoutRun]{}
	all = slices.DeleteFunc(all, func(x series[fanoutRun]) bool { return len(x.Runs) == 0 })
	for _, x := range all {
		byKey[seriesKey{x.Case, x.System}] = x
	}
	s.report.addStreams(all)
	return byKey, err
}

// seriesKey names a series.
type seriesKey struct{ caseName, system string }

// String is a line of progress.
func (r fanoutRun) String() string {
	s := fmt.Sprintf("%s deliveries/s, %s per server CPU second, p99 %.2f ms", number(r.perSecond()), number(r.perCPUSecond()), r.P99)
	if r.errors() > 0 {
		s += "; " + r.fault()
	}
	return s
}

// learnTrace asks milepost what it makes of the trace's checkpoints, if there is
// a trace; one of its own if the systems are the peers alone.
func (s *fanoutScenario) learnTrace(systems []*fanoutSystem) (err error) {
	if s.trace == nil {
		return nil
	}
	x := systems[0]
	if !x.api {
		if x, err = s.startMilepost(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, x.end()) }()
	}
	if err := s.trace.learn(x, newID(newRand(randomSeed(), 0))); err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	least, mean, most := s.trace.sizes()
	s.report.note("Trace %s: %d of its %d checkpoints again and again, without those that end the job; a frame has %d to %d bytes, %d on average. "+
		"The peers publish what Milepost's frames hold, byte for byte.", s.trace.name, len(s.trace.bodies), s.trace.recorded, least, most, mean)
	return nil
}
