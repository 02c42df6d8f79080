package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"time"
)

const (
	// getConnections share getRate requests a second, so that one slow answer
	// holds up few others.
	getConnections = 8
	getRate        = 200
	// quickGet is the p99 in milliseconds that the project sets itself.
	quickGet = 25
)

// runMixedGet is `bench mixed-get`.
func runMixedGet(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "mixed-get", "none", progress)
	subscribers := s.flags.Int("subscribers", mostSubscribers, "subscribers of the job")
	rate := s.flags.Float64("rate", 10, "events a second")
	return s.run(args, out, func() error {
		if *subscribers < 1 || *subscribers > maxSubscribers || *rate <= 0 {
			return usageError{fmt.Errorf("--subscribers and --rate are positive")}
		}
		c := fanoutCase{Jobs: 1, Subscribers: *subscribers, Size: smallFrame, Backlog: 1, Rate: *rate}
		if s.smoke {
			c.shrink()
		}
		return measureMixedGet(s, c)
	})
}

// measureMixedGet compares the latency of a hot GET while nothing is published
// with that while subscribers get events.
func measureMixedGet(s *fanoutScenario, c fanoutCase) error {
	x, err := s.startMilepost()
	if err != nil {
		return err
	}
	if x.end != nil {
		s.cleanup(x.end)
	}
	key := benchKey
	if s.target != "" {
		key = s.key
	}
	stored, err := storeAnswer(s.ctx, subject{addr: x.addr, key: key, pid: x.pid}, 4<<10)
	if err != nil {
		return err
	}
	idle, busy := series[fanoutRun]{Case: "GET, subscribers idle", System: "milepost"}, series[fanoutRun]{Case: "GET, " + c.String(), System: "milepost"}
	events := series[fanoutRun]{Case: c.String() + " beside GET", System: "milepost"}
	var late []float64
	for round := range s.rounds {
		for _, publish := range []bool{false, true} {
			// Without events, the stream's subscribers are there all the same.
			gets, run, lateness, err := mixedRun(s, x, c, key, stored, publish)
			if err != nil {
				return err
			}
			late = append(late, milliseconds(lateness))
			s.say("run %d of %d, events %v: GET p50 %.2f ms, p99 %.2f ms, %d errors %s", round+1, s.rounds, publish, gets.P50, gets.P99, gets.errors(), gets.Error)
			if publish {
				busy.Runs, events.Runs = append(busy.Runs, gets), append(events.Runs, run)
			} else {
				idle.Runs = append(idle.Runs, gets)
			}
		}
	}
	s.report.addStreams([]series[fanoutRun]{idle, busy, events})
	s.report.compareStreams("p99 of a hot GET of 4 KB: while events are sent / while none is", busy, idle, fanoutRun.p99, 0, 0)
	low, high := bounds(busy.values(fanoutRun.p99))
	s.report.Figures = append(s.report.Figures,
		figure{Name: fmt.Sprintf("p99 of a hot GET during %s (median of %d, %.2f–%.2f)", c, s.rounds, low, high), Value: busy.median(fanoutRun.p99), Unit: "ms", AtMost: quickGet},
		figure{Name: "p99 of how late the generator itself sent, median of all runs", Value: median(late), Unit: "ms"})
	s.report.note("In the rows of GET, a delivery is an answer. %d GET a second over %d connections; latency from when each was to be sent.", getRate, getConnections)
	return nil
}

// mixedRun makes one run; without publish nothing is published while GETs run.
func mixedRun(s *fanoutScenario, x *fanoutSystem, c fanoutCase, key string, stored storedAnswer, publish bool) (gets, events fanoutRun, late time.Duration, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
	load := fanoutLoad{fanoutCase: c, system: x, span: span{s.duration / 4, s.duration}}
	load.idle = !publish
	var measured getLoad
	load.beside = func(ctx context.Context) error {
		measured = getLoad{addr: x.addr, request: getRequest(x.addr, key, stored.path), want: []byte(stored.Body), duration: s.duration}
		return measured.run(ctx)
	}
	events, err = load.run(s.ctx)
	if err != nil {
		return gets, events, 0, err
	}
	gets = fanoutRun{
		Deliveries: int64(measured.latency.total), Seconds: s.duration.Seconds(), ServerCPU: events.ServerCPU, GeneratorCPU: events.GeneratorCPU,
		P50: milliseconds(measured.latency.quantile(0.5)), P99: milliseconds(measured.latency.quantile(0.99)), Max: milliseconds(measured.latency.max),
		PSS: events.PSS, FrameBytes: float64(len(stored.Body)),
	}
	if measured.err != nil {
		gets.Error = measured.err.Error()
	} else if !publish && events.errors() > 0 {
		gets.Error = events.Faults.String() + " " + events.Error
	}
	return gets, events, measured.late.quantile(0.99), nil
}

// getLoad asks for one checkpoint at a steady rate.
type getLoad struct {
	addr          string
	request, want []byte
	duration      time.Duration
	latency, late histogram
	err           error
}

// run asks until the duration has passed.
func (g *getLoad) run(ctx context.Context) error {
	var all sync.WaitGroup
	parts := make([]getLoad, getConnections)
	begin := time.Now()
	const interval = time.Second * getConnections / getRate
	for i := range parts {
		first := begin.Add(interval * time.Duration(i) / getConnections)
		all.Go(func() { parts[i].err = parts[i].ask(ctx, g, first, interval) })
	}
	all.Wait()
	for i := range parts {
		g.latency.merge(&parts[i].latency)
		g.late.merge(&parts[i].late)
		g.err = errors.Join(g.err, parts[i].err)
	}
	return g.err
}

// ask is the work of one connection. An answer that is late makes the next
// request late, whose time counts from when it was to be sent.
func (g *getLoad) ask(ctx context.Context, whole *getLoad, due time.Time, interval time.Duration) error {
	c, err := dialRaw(whole.addr)
	if err != nil {
		return err
	}
	defer c.close()
	ready := time.Now()
	for until := due.Add(whole.duration); due.Before(until); due = due.Add(interval) {
		if err := pause(ctx, time.Until(due)); err != nil {
			return err
		}
		// Late by the generator's own fault is what neither the plan nor the
		// answer before explains.
		g.late.add(time.Since(later(due, ready)))
		status, body, err := c.roundTrip(whole.request)
		if err != nil {
			return err
		}
		if status != 200 || !bytes.Equal(body, whole.want) {
			return fmt.Errorf("status %d: %s", status, excerpt(body))
		}
		ready = time.Now()
		g.latency.add(ready.Sub(due))
	}
	return nil
}

// later returns the later one of two times.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
