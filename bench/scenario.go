package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// scenario is one run of a scenario: its flags, its working directory, what it
// has started and what it has found.
type scenario struct {
	ctx      context.Context
	progress io.Writer
	flags    *flag.FlagSet
	report   report

	// binary is a built milepost; without it one is built.
	binary string
	// target and key name a running server, to be measured alone.
	target, key string
	dir         string
	duration    time.Duration
	rounds      int
	json, smoke bool
	// peers are what this machine's other systems are; empty for none.
	peers bool

	cleanups []func() error
}

// newScenario returns a scenario with the flags that all have. rounds is the
// usual number of interleaved runs.
func newScenario(ctx context.Context, name string, rounds int, progress io.Writer) *scenario {
	s := &scenario{ctx: ctx, progress: progress, flags: flag.NewFlagSet("bench "+name, flag.ContinueOnError)}
	s.report.Scenario = name
	s.flags.SetOutput(progress)
	s.flags.StringVar(&s.binary, "milepost", "", "measure this `FILE` instead of building milepost")
	s.flags.StringVar(&s.dir, "dir", "", "put all data under this `DIR` (default a temporary one); it decides the disk")
	s.flags.DurationVar(&s.duration, "duration", 4*time.Second, "length of one run, after a warm-up of a quarter of it")
	s.flags.IntVar(&s.rounds, "rounds", rounds, "interleaved runs of each system")
	s.flags.BoolVar(&s.json, "json", false, "print one line of JSON instead of tables")
	s.flags.BoolVar(&s.smoke, "smoke", false, "a few seconds with tiny numbers, to see that it works")
	return s
}

// allowTarget adds the flags to measure a running server.
func (s *scenario) allowTarget() {
	s.flags.StringVar(&s.target, "target", "", "measure the server at `URL` alone instead of starting systems here")
	s.flags.StringVar(&s.key, "key", "", "API key for --target (default $MILEPOST_API_KEY)")
}

// allowPeers adds the flag to leave the peers out.
func (s *scenario) allowPeers() {
	s.flags.BoolVar(&s.peers, "peers", true, "measure the peers too")
}

// run parses args, runs body in a working directory of its own, ends all that
// body started, and prints the report, also of a scenario that ended early.
func (s *scenario) run(args []string, out io.Writer, body func() error) (err error) {
	if err := parseFlags(s.flags, args); err != nil {
		return err
	}
	if s.rounds < 1 || s.duration <= 0 {
		return usageError{errors.New("--rounds and --duration must be positive")}
	}
	if s.smoke {
		s.report.Smoke, s.rounds, s.duration = true, 1, 250*time.Millisecond
	}
	if s.key == "" {
		s.key = os.Getenv("MILEPOST_API_KEY")
	}
	err = s.inWorkingDir(body)
	var usage usageError
	if errors.As(err, &usage) {
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

// inWorkingDir runs body with a new directory as the scenario's, then ends all
// that body started and removes the directory.
func (s *scenario) inWorkingDir(body func() error) (err error) {
	if s.dir, err = os.MkdirTemp(s.dir, "milepost-bench-"); err != nil {
		return fmt.Errorf("cannot make a working directory: %w", err)
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return fmt.Errorf("cannot make a working directory: %w", err)
	}
	// Peers run as users of their own and must reach their directories.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return fmt.Errorf("cannot open the working directory: %w", err)
	}
	s.cleanup(func() error { return os.RemoveAll(s.dir) })
	err = body()
	for _, c := range slices.Backward(s.cleanups) {
		err = errors.Join(err, c())
	}
	return err
}

// runOn is run for a scenario of one server: body gets it started.
func (s *scenario) runOn(args []string, out io.Writer, body func(*scenario, subject) error) error {
	return s.run(args, out, func() error {
		server, err := s.startSubject()
		if err != nil {
			return err
		}
		return body(s, server)
	})
}

// cleanup runs f at the end, in reverse order.
func (s *scenario) cleanup(f func() error) { s.cleanups = append(s.cleanups, f) }

// say prints progress.
func (s *scenario) say(format string, args ...any) {
	fmt.Fprintf(s.progress, format+"\n", args...)
}

// path returns a path in the working directory.
func (s *scenario) path(name string) string { return filepath.Join(s.dir, name) }

// milepostBinary returns the program to measure.
func (s *scenario) milepostBinary() (string, error) {
	if s.binary == "" {
		s.say("building milepost")
		path, err := buildMilepost(s.ctx, s.dir)
		if err != nil {
			return "", err
		}
		s.binary = path
	}
	return filepath.Abs(s.binary)
}

// subject is the server under measurement.
type subject struct {
	addr, key string
	// pid and end are 0 and nil for a server that we did not start.
	pid int
	end func() error
}

// dataDir is the name of the measured server's data directory.
const dataDir = "milepost-data"

// startServer starts milepost on the data directory dir with settings beside
// the default ones. It is ended with the scenario, if not before.
func (s *scenario) startServer(dir string, settings ...string) (*milepostServer, error) {
	binary, err := s.milepostBinary()
	if err != nil {
		return nil, err
	}
	m, err := startMilepost(s.ctx, binary, dir, settings...)
	if err != nil {
		return nil, err
	}
	s.cleanup(m.end)
	return m, nil
}

// startSubject starts milepost on the scenario's data directory, or names the server
// that --target does.
func (s *scenario) startSubject() (subject, error) {
	if s.target != "" {
		u, err := url.Parse(s.target)
		if err != nil || u.Scheme != "http" || u.Port() == "" {
			return subject{}, usageError{fmt.Errorf("--target must read http://host:port, not %q", s.target)}
		}
		return subject{addr: u.Host, key: s.key}, nil
	}
	m, err := s.startServer(s.path(dataDir))
	if err != nil {
		return subject{}, err
	}
	return subject{addr: m.addr, key: benchKey, pid: m.pid(), end: m.end}, nil
}

// restartSubject ends a server that startSubject started and starts it on the
// same data. One that --target names stays as it is.
func (s *scenario) restartSubject(old subject) (subject, error) {
	if old.end == nil {
		return old, nil
	}
	if err := old.end(); err != nil {
		return subject{}, err
	}
	return s.startSubject()
}

// system is one of those that take turns.
type system struct {
	name string
	// measure makes one run.
	measure func(context.Context, span) (measurement, error)
}

// interleave lets the systems take turns, so that a drift of the machine hits
// all alike, and adds their runs to the report.
func (s *scenario) interleave(caseName string, systems []system) ([]series[measurement], error) {
	all := make([]series[measurement], len(systems))
	for i, x := range systems {
		all[i] = series[measurement]{Case: caseName, System: x.name}
	}
	for round := range s.rounds {
		for i, x := range systems {
			m, err := x.measure(s.ctx, span{s.duration / 4, s.duration})
			if err == nil {
				err = s.ctx.Err()
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", x.name, err)
			}
			s.say("%s, run %d of %d, %s: %s/s, %s per server CPU second, p99 %.2f ms, errors: %d", caseName, round+1, s.rounds,
				x.name, number(m.perSecond()), number(m.perCPUSecond()), m.P99, m.Errors)
			all[i].Runs = append(all[i].Runs, m)
		}
	}
	s.report.addSeries(all)
	return all, nil
}

// driven is a system whose load comes from this process: open makes the
// connections of a run.
func driven(name string, pid int, open func() ([]*link, error)) system {
	return system{name, func(ctx context.Context, s span) (measurement, error) {
		links, err := open()
		defer closeAll(links)
		if err != nil {
			return measurement{}, err
		}
		// With a thread a core, one that is in the kernel leaves a core idle, and
		// wrk gets an eighth more out of the same server.
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
		return drive(ctx, linkLoops(links), s, pid), nil
	}}
}
