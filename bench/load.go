package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// maxTaskErrors ends a task: a server that refuses everything is not hammered.
const maxTaskErrors = 10

// task is the work of one connection.
type task interface {
	// do makes one request and checks its answer.
	do() error
	// close ends the connection.
	close()
}

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

// drive runs each task in a closed loop, all at once, for a warm-up and then
// the duration that counts. pid is the root of the server's process tree, 0 if
// it is not known. The tasks stay open.
func drive(ctx context.Context, tasks []task, s span, pid int) measurement {
	loops := make([]loop, len(tasks))
	begin := time.Now()
	from, until := begin.Add(s.warmup), begin.Add(s.warmup+s.duration)
	var wg sync.WaitGroup
	for i, t := range tasks {
		wg.Go(func() { loops[i].run(ctx, t, from, until) })
	}
	var m measurement
	if pause(ctx, time.Until(from)) == nil {
		counted := time.Now()
		server, generator := cpuOf(pid), selfCPU()
		_ = pause(ctx, time.Until(until))
		m.Seconds = time.Since(counted).Seconds()
		m.ServerCPU, m.GeneratorCPU = cpuOf(pid)-server, selfCPU()-generator
	}
	wg.Wait()
	if pid != 0 {
		m.PSS = treePSS(pid)
	}
	var all histogram
	for i := range loops {
		all.merge(&loops[i].latency)
		m.Errors += loops[i].errors
		if m.FirstError == "" && loops[i].err != nil {
			m.FirstError = loops[i].err.Error()
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

// loop is the state of one task's run.
type loop struct {
	latency histogram
	errors  int64
	err     error
}

// run repeats t until the given time. Requests that end between from and until
// count; errors always do.
func (l *loop) run(ctx context.Context, t task, from, until time.Time) {
	for begin := time.Now(); begin.Before(until) && ctx.Err() == nil; {
		err := t.do()
		now := time.Now()
		switch {
		case err != nil:
			l.errors++
			if l.err == nil {
				l.err = err
			}
			if l.errors >= maxTaskErrors {
				return
			}
		case now.After(from) && now.Before(until):
			l.latency.add(now.Sub(begin))
		}
		begin = now
	}
}
