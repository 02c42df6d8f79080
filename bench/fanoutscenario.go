package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
)

// fanoutScenario is a scenario of many subscribers: a scenario with a report
// of its own, and with peers that are chosen by name.
type fanoutScenario struct {
	*scenario
	report    fanoutReport
	peerNames string
	alone     bool
	// started counts the servers that were started, to give each a directory.
	started int
}

// newFanoutScenario returns a scenario with the flags that all of them have.
// peers are those that are measured by default.
func newFanoutScenario(ctx context.Context, name, peers string, progress io.Writer) *fanoutScenario {
	s := &fanoutScenario{scenario: newScenario(ctx, name, 3, progress)}
	s.report.Scenario = name
	s.allowTarget()
	s.flags.StringVar(&s.peerNames, "peers", peers, "measure these of nchan,hub,centrifuge too (`NAMES` with commas, or none)")
	s.flags.BoolVar(&s.alone, "alone", false, "measure the peers without milepost")
	return s
}

// run is scenario.run with the report of fan-outs, which is printed even if
// the scenario ended early.
func (s *fanoutScenario) run(args []string, out io.Writer, body func() error) error {
	ran := false
	err := s.scenario.run(args, io.Discard, func() error {
		ran = true
		s.report.Smoke = s.smoke
		return body()
	})
	if !ran {
		return err
	}
	if err != nil {
		s.report.fail("the scenario ended early: %v", err)
	}
	if s.json {
		err = errors.Join(err, s.report.printJSON(out))
	} else {
		s.report.print(out)
	}
	if err == nil && s.report.Failed {
		err = errReported
	}
	return err
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
func (s *fanoutScenario) interleaveFanout(cases []fanoutCase, systems []*fanoutSystem) (map[seriesKey]fanoutSeries, error) {
	var all []fanoutSeries
	var err error
	for _, c := range cases {
		for _, x := range systems {
			all = append(all, fanoutSeries{Case: c.String(), System: x.name, Load: &c})
		}
	}
	for round := range s.rounds {
		for i := 0; i < len(all) && err == nil; i++ {
			c, x := cases[i/len(systems)], systems[i%len(systems)]
			load := fanoutLoad{fanoutCase: c, system: x, span: span{s.duration / 4, s.duration}}
			var r fanoutRun
			if r, err = load.run(s.ctx); err != nil {
				err = fmt.Errorf("%s, %s: %w", c, x.name, err)
				break
			}
			s.say("%s, run %d of %d, %s: %s", c, round+1, s.rounds, x.name, r)
			all[i].Runs = append(all[i].Runs, r)
		}
	}
	byKey := map[seriesKey]fanoutSeries{}
	all = slices.DeleteFunc(all, func(x fanoutSeries) bool { return len(x.Runs) == 0 })
	for _, x := range all {
		byKey[seriesKey{x.Case, x.System}] = x
	}
	s.report.add(all)
	return byKey, err
}

// seriesKey names a series.
type seriesKey struct{ caseName, system string }

// String is a line of progress.
func (r fanoutRun) String() string {
	s := fmt.Sprintf("%s deliveries/s, %s per server CPU second, p99 %.2f ms", number(r.perSecond()), number(r.perCPUSecond()), r.P99)
	if r.errors() > 0 {
		s += "; " + strings.TrimSpace(r.Faults.String()+" "+r.Error)
	}
	return s
}
