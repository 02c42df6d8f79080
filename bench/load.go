package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// maxTaskErrors ends what a connection does: a server that refuses everything is
// not hammered.
const maxTaskErrors = 10

// measurement is what one run of a load gave.
type measurement struct {
	// Requests were answered rightly, Errors were not or not at all.
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
	// FirstError is the first of each kind of fault that a run met.
	FirstError string `json:"first_error,omitempty"`
	// Seconds is the length of the run without its warm-up.
	Seconds float64 `json:"seconds"`
	// ServerCPU and GeneratorCPU are CPU seconds within the run; ServerCPU is 0
	// for a server whose process is not known.
	ServerCPU    float64 `json:"server_cpu_seconds"`
	GeneratorCPU float64 `json:"generator_cpu_seconds"`
	// P50 and P99 are latencies in milliseconds.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// PSS is the memory of the server's process tree at the end, in bytes.
	PSS int64 `json:"pss_bytes"`
}

// perSecond returns the rate of requests.
func (m measurement) perSecond() float64 { return float64(m.Requests) / m.Seconds }

// perCPUSecond returns the requests per CPU second of the server.
func (m measurement) perCPUSecond() float64 { return float64(m.Requests) / m.ServerCPU }

func (m measurement) p50() float64        { return m.P50 }
func (m measurement) p99() float64        { return m.P99 }
func (m measurement) longest() float64    { return 0 }
func (m measurement) memory() float64     { return float64(m.PSS) }
func (m measurement) frameBytes() float64 { return 0 }
func (m measurement) errors() int64       { return m.Errors }

func (m measurement) cpu() (server, generator, seconds float64) {
	return m.ServerCPU, m.GeneratorCPU, m.Seconds
}

// fault says how much was wrong, and what was first.
func (m measurement) fault() string {
	return fmt.Sprintf("%d errors, the first: %s", m.Errors, m.FirstError)
}

// secondsEach returns the time of one request where they follow each other.
func (m measurement) secondsEach() float64 { return m.Seconds / float64(m.Requests) }

// cpuEach returns the server's CPU seconds for one request.
func (m measurement) cpuEach() float64 { return m.ServerCPU / float64(m.Requests) }

// setLatency takes over what h counted.
func (m *measurement) setLatency(h *histogram) {
	m.P50 = float64(h.quantile(0.5).Microseconds()) / 1000
	m.P99 = float64(h.quantile(0.99).Microseconds()) / 1000
}

// span is when a load runs and when it counts.
type span struct{ warmup, duration time.Duration }

// window is a span that has begun; from and until say when the part that counts
// begins and ends, in time since then.
type window struct {
	begin       time.Time
	from, until time.Duration
}

// now is the time since the window began.
func (w *window) now() time.Duration { return time.Since(w.begin) }

// counts tells whether what ends at that time counts.
func (w *window) counts(at time.Duration) bool { return at > w.from && at < w.until }

// loop is a closed loop, of one connection or of several: it makes requests
// until the window ends, waits for the answers to those that are under way and
// fills in the outcome. Requests that end in the part that counts do; errors
// always do. If ctx ends, the loop soon does.
type loop func(ctx context.Context, o *outcome, w window)

// outcome is what one loop gave. It belongs to the loop alone while that runs.
type outcome struct {
	latency histogram
	errors  int64
	err     error
}

// fail takes note of an error; the first is kept.
func (o *outcome) fail(err error) {
	o.errors++
	if o.err == nil {
		o.err = err
	}
}

// drive runs the loops, all at once, for a warm-up and then the duration that
// counts. pid is the root of the server's process tree, 0 if it is not known.
func drive(ctx context.Context, loops []loop, s span, pid int) measurement {
	outcomes := make([]outcome, len(loops))
	w := window{begin: time.Now(), from: s.warmup, until: s.warmup + s.duration}
	var wg sync.WaitGroup
	for i, run := range loops {
		wg.Go(func() { run(ctx, &outcomes[i], w) })
	}
	var m measurement
	if pause(ctx, w.from-w.now()) == nil {
		counted := time.Now()
		server, generator := cpuOf(pid), selfCPU()
		_ = pause(ctx, w.until-w.now())
		m.Seconds = time.Since(counted).Seconds()
		m.ServerCPU, m.GeneratorCPU = cpuOf(pid)-server, selfCPU()-generator
	}
	wg.Wait()
	if pid != 0 {
		m.PSS = treePSS(pid)
	}
	var all histogram
	for i := range outcomes {
		all.merge(&outcomes[i].latency)
		m.Errors += outcomes[i].errors
		if m.FirstError == "" && outcomes[i].err != nil {
			m.FirstError = outcomes[i].err.Error()
		}
	}
	m.Requests = int64(all.total)
	m.setLatency(&all)
	if err := ctx.Err(); err != nil && m.FirstError == "" {
		m.Errors++
		m.FirstError = fmt.Sprintf("cut short: %v", context.Cause(ctx))
	}
	return m
}

// cpuOf is treeCPU, 0 for no process.
func cpuOf(pid int) float64 {
	if pid == 0 {
		return 0
	}
	return treeCPU(pid)
}

// repeat returns the loop that calls do, which makes one request and checks its
// answer, again and again. It ends early when do has failed too often or its
// connection has broken.
func repeat(do func() error) loop {
	return func(ctx context.Context, o *outcome, w window) {
		for begin := w.now(); begin < w.until && ctx.Err() == nil; {
			err := do()
			now := w.now()
			switch {
			case err != nil && ctx.Err() != nil:
				return // it was cut short
			case err != nil:
				o.fail(err)
				if o.errors == maxTaskErrors || errors.Is(err, errBroken) {
					return
				}
			case w.counts(now):
				o.latency.add(now - begin)
			}
			begin = now
		}
	}
}
