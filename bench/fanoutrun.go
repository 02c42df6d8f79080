package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"
)

// fanoutRun is what one run of a case gave for one system.
type fanoutRun struct {
	// Events were published while it counted, Deliveries are how often one of
	// them reached a subscriber.
	Events     int64 `json:"events"`
	Deliveries int64 `json:"deliveries"`
	// FrameBytes are the bytes of the streams for each delivery.
	FrameBytes float64 `json:"frame_bytes"`
	Seconds    float64 `json:"seconds"`
	// ServerCPU and GeneratorCPU are CPU seconds; ServerCPU is 0 for a server
	// whose process is not known.
	ServerCPU    float64 `json:"server_cpu_seconds"`
	GeneratorCPU float64 `json:"generator_cpu_seconds"`
	// P50, P99 and Max are milliseconds from when an event was to be sent until
	// a subscriber had read it.
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
	// PSS is the memory of the server's process tree at the end, in bytes.
	PSS    int64  `json:"pss_bytes"`
	Faults faults `json:"faults"`
	// Error is why the run ended early, or the first stream that failed.
	Error string `json:"error,omitempty"`
}

// perSecond returns the rate of deliveries.
func (r fanoutRun) perSecond() float64 { return float64(r.Deliveries) / r.Seconds }

// perCPUSecond returns the deliveries per CPU second of the server.
func (r fanoutRun) perCPUSecond() float64 { return float64(r.Deliveries) / r.ServerCPU }

func (r fanoutRun) p50() float64        { return r.P50 }
func (r fanoutRun) p99() float64        { return r.P99 }
func (r fanoutRun) longest() float64    { return r.Max }
func (r fanoutRun) memory() float64     { return float64(r.PSS) }
func (r fanoutRun) frameBytes() float64 { return r.FrameBytes }

func (r fanoutRun) cpu() (server, generator, seconds float64) {
	return r.ServerCPU, r.GeneratorCPU, r.Seconds
}

// fault says what was wrong.
func (r fanoutRun) fault() string { return strings.TrimSpace(r.Faults.String() + " " + r.Error) }

// errors counts what was wrong.
func (r fanoutRun) errors() int64 {
	n := r.Faults.sum()
	if n == 0 && r.Error != "" {
		n = 1
	}
	return n
}

const (
	// settleTime lets peers finish what they do after a stream's head.
	settleTime = 300 * time.Millisecond
	// jobPublishers post at once when there are many jobs.
	jobPublishers = 64
	// generatorProcs is GOMAXPROCS while a fan-out runs: a reader that waits in
	// the kernel shall not keep a publisher from its turn.
	generatorProcs = 8
)

// fanoutLoad is one run of a case against one system.
type fanoutLoad struct {
	fanoutCase
	system *fanoutSystem
	// trace is what the events are, nil for markers with padding.
	trace  *traceEvents
	span   span
	topics []string
	// last is the last published sequence of each topic. While the load runs
	// only the topic's publisher uses it.
	last    []uint32
	payload int
	swarm   *swarm
	// bytesBefore and deliveredBefore were read before what counts.
	bytesBefore, deliveredBefore int64
	// beside runs during the time that counts of a steady load, if it is not
	// nil; with idle, nothing is published meanwhile.
	beside func(context.Context) error
	idle   bool
}

// run opens the streams, publishes, and reports what came. A run that goes
// wrong is a result too; the error is for what makes any further run useless.
func (l *fanoutLoad) run(ctx context.Context) (fanoutRun, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
	var r fanoutRun
	publishers, err := l.open()
	for _, p := range publishers {
		defer p.conn.close()
	}
	if err != nil {
		return r, err
	}
	after, err := l.prepare(ctx, publishers)
	if err != nil {
		return r, err
	}
	l.swarm, err = newSwarm(swarmConfig{
		addr:        l.system.addr,
		request:     func(job int) []byte { return l.system.subscribe(l.topics[job], after[job]) },
		subscribers: l.Jobs * l.Subscribers, jobs: l.Jobs, stalled: l.Stalled, dripping: l.Dripping,
		first: firstEvent, atOnce: usualAtOnce, frame: l.Size, trace: l.trace,
	})
	if err != nil {
		return r, err
	}
	l.swarm.start()
	err = l.swarm.connected(ctx)
	if err == nil && !l.system.api {
		err = pause(ctx, settleTime)
	}
	if err == nil && l.Stalled+l.Dripping > 0 {
		err = l.fill(ctx, publishers[0])
	}
	if err == nil {
		switch {
		case l.idle:
			m := l.startMeter()
			err = l.beside(ctx)
			m.stop(&r)
		case l.Rate > 0:
			err = l.steady(ctx, publishers[0], &r)
		case l.Jobs > 1:
			err = l.manyJobs(ctx, publishers, &r)
		default:
			err = l.saturate(ctx, publishers[0], &r)
		}
	}
	if l.system.pid != 0 {
		r.PSS = treePSS(l.system.pid)
	}
	found, latency, streamErr := l.swarm.finish(func(job int) uint32 { return l.last[job] })
	// Read now that the readers have ended: each adds up what it has delivered
	// only after what it has read.
	delivered, bytes := l.swarm.counts()
	r.Faults = found
	if delivered > l.deliveredBefore {
		r.FrameBytes = float64(bytes-l.bytesBefore) / float64(delivered-l.deliveredBefore)
	}
	r.P50, r.P99, r.Max = milliseconds(latency.quantile(0.5)), milliseconds(latency.quantile(0.99)), milliseconds(latency.max)
	if err == nil {
		err = streamErr
	}
	if err != nil {
		r.Error = err.Error()
	}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

// milliseconds converts d.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// firstEvent is the sequence of the first event that subscribers get: the one
// before it makes the job exist.
const firstEvent = 2

// open connects the publishers and makes the topics.
func (l *fanoutLoad) open() ([]*publisher, error) {
	var err error
	if l.trace == nil {
		if l.payload, err = l.system.payloadSize(l.Size); err != nil {
			return nil, err
		}
	}
	rng := newRand(randomSeed(), 0)
	for range l.Jobs {
		l.topics = append(l.topics, newID(rng))
		l.last = append(l.last, firstEvent-1)
	}
	var publishers []*publisher
	for range min(l.Jobs, jobPublishers) {
		p, err := l.system.newPublisher()
		if err != nil {
			return publishers, err
		}
		publishers = append(publishers, p)
	}
	return publishers, nil
}

// prepare publishes the event before the first in each topic and returns
// their ids.
func (l *fanoutLoad) prepare(ctx context.Context, publishers []*publisher) ([]string, error) {
	ids := make([]string, l.Jobs)
	return ids, l.each(publishers, func(p *publisher, jobs []int) error {
		for _, job := range jobs {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var err error
			ids[job], err = l.publish(p, marker{job: uint32(job), sequence: firstEvent - 1})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// publish publishes an event of the job that m names, and returns its id.
func (l *fanoutLoad) publish(p *publisher, m marker) (string, error) {
	if l.trace != nil {
		return p.publishTrace(l.topics[m.job], m, l.trace)
	}
	return p.publish(l.topics[m.job], m, l.payload)
}

// each lets the publishers work at the same time, each for its share of the jobs.
func (l *fanoutLoad) each(publishers []*publisher, work func(p *publisher, jobs []int) error) error {
	var all sync.WaitGroup
	failures := make([]error, len(publishers))
	for i, p := range publishers {
		var jobs []int
		for job := i; job < l.Jobs; job += len(publishers) {
			jobs = append(jobs, job)
		}
		all.Go(func() { failures[i] = work(p, jobs) })
	}
	all.Wait()
	return errors.Join(failures...)
}

// generatorNote says what the generator checks; it stands below each table.
var generatorNote = fmt.Sprintf("Each subscriber's events are checked for loss, doubles and order; one subscriber in %d also compares "+
	"every byte of the padding, or of a recorded checkpoint from its sequence on. The others let the kernel drop the padding of frames from %s on, uncopied. "+
	"Latency is from when an event was to be sent until read. "+
	"Readers of %d subscribers and more rest for %s when little is ready, so that waking them is not on the server's account.",
	verifyEvery, sizeText(discardFrom), napFrom, napTime)
