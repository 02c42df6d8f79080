package main

import (
	"fmt"
	"math"
	"runtime"
)

// oneRun is what one run of a load gave: a measurement of requests or a
// fanoutRun of events.
type oneRun interface {
	// perSecond is requests or deliveries a second, perCPUSecond those per CPU
	// second of the server.
	perSecond() float64
	perCPUSecond() float64
	// p50, p99 and longest are milliseconds; longest is 0 if it is not known.
	p50() float64
	p99() float64
	longest() float64
	// memory is the PSS of the server's process tree in bytes, frameBytes what a
	// delivery took of its stream, 0 for requests.
	memory() float64
	frameBytes() float64
	// cpu is the CPU seconds of server and generator in the run's seconds.
	cpu() (server, generator, seconds float64)
	// errors counts what was wrong, fault says what it was.
	errors() int64
	fault() string
}

// series is the interleaved runs of one system in one case.
type series[R oneRun] struct {
	Case   string `json:"case"`
	System string `json:"system"`
	// Load is that of a fan-out.
	Load *fanoutCase `json:"load,omitempty"`
	Runs []R         `json:"runs"`
}

// values returns what of makes of each run.
func (s series[R]) values(of func(R) float64) []float64 {
	v := make([]float64, len(s.Runs))
	for i, r := range s.Runs {
		v[i] = of(r)
	}
	return v
}

// median returns the middle one of the values.
func (s series[R]) median(of func(R) float64) float64 { return median(s.values(of)) }

// errors counts what was wrong in all runs.
func (s series[R]) errors() int64 {
	n := int64(0)
	for _, r := range s.Runs {
		n += r.errors()
	}
	return n
}

// generatorBound tells whether the generator rather than the server set the
// rate of any run: the cores were busy, most of them with the generator. Figures
// per server CPU second hold nevertheless.
func (s series[R]) generatorBound() bool {
	for _, r := range s.Runs {
		server, generator, seconds := r.cpu()
		if server+generator > 0.85*seconds*float64(runtime.NumCPU()) && generator > server {
			return true
		}
	}
	return false
}

// generatorShare is the generator's part of the CPU time that it and the
// server took, if the server's is known.
func (s series[R]) generatorShare() string {
	share := s.median(func(r R) float64 {
		server, generator, _ := r.cpu()
		if server == 0 {
			return math.NaN()
		}
		return generator / (generator + server)
	})
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// row returns the series as a row of a table.
func (s series[R]) row() resultRow {
	of := func(measure func(R) float64) spread { return spreadOf(s.values(measure)) }
	return resultRow{
		Case: s.Case, System: s.System, Load: s.Load, Errors: s.errors(), Generator: s.generatorShare(),
		Rate: of(R.perSecond), PerCPU: of(R.perCPUSecond), P50: of(R.p50), P99: of(R.p99), Longest: of(R.longest),
		Memory:     of(func(r R) float64 { return r.memory() / (1 << 20) }),
		FrameBytes: of(R.frameBytes),
	}
}
