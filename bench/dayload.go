package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// dayLoad is jobs that are written, read, listed and watched at the same time.
type dayLoad struct {
	// fanoutLoad has the jobs and the subscribers that watch them all the time.
	// Its Rate is that of all requests together, 0 for as fast as they are answered.
	fanoutLoad
	key    string
	shares dayShares
	// sample, if it is not nil, is called at the end while all streams are open.
	sample func()
}

// dayRun is what a run gave.
type dayRun struct {
	// requests are by kind, events are the deliveries to those who watch all the
	// time, with the CPU time of the whole run.
	requests [dayKinds]dayCount
	events   fanoutRun
}

// dayCount is the requests of one kind.
type dayCount struct {
	latency histogram
	errors  int64
	err     error
}

// add takes note of the answer to a request that was due at a time.
func (c *dayCount) add(took time.Duration, err error, counts bool) {
	switch {
	case err != nil:
		c.errors++
		if c.err == nil {
			c.err = err
		}
	case counts:
		c.latency.add(took)
	}
}

// merge takes over what another run counted.
func (c *dayCount) merge(o *dayCount) {
	c.latency.merge(&o.latency)
	c.errors += o.errors
	if c.err == nil {
		c.err = o.err
	}
}

// all returns the requests of all kinds as one.
func (r *dayRun) all() *dayCount {
	var sum dayCount
	for i := range r.requests {
		sum.merge(&r.requests[i])
	}
	return &sum
}

// run opens the streams, makes the requests, and reports what came of both. A
// run that goes wrong is a result too; the error is for what makes any further
// run useless.
func (d *dayLoad) run(ctx context.Context) (*dayRun, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
	var r dayRun
	publishers, err := d.open()
	for _, p := range publishers {
		defer p.conn.close()
	}
	if err != nil {
		return &r, err
	}
	after, err := d.prepare(ctx, publishers)
	if err != nil {
		return &r, err
	}
	d.swarm, err = newSwarm(swarmConfig{
		addr:        d.system.addr,
		request:     func(job int) []byte { return d.system.subscribe(d.topics[job], after[job]) },
		subscribers: d.Jobs * d.Subscribers, jobs: d.Jobs, first: firstEvent, atOnce: usualAtOnce, frame: d.Size,
	})
	if err != nil {
		return &r, err
	}
	d.swarm.start()
	if err = d.swarm.connected(ctx); err == nil {
		err = d.requests(ctx, publishers, after, &r)
	}
	if d.system.pid != 0 {
		r.events.PSS = treePSS(d.system.pid)
	}
	if d.sample != nil {
		d.sample()
	}
	found, latency, streamErr := d.swarm.finish(func(job int) uint32 { return d.last[job] })
	r.events.Faults = found
	r.events.P50, r.events.P99, r.events.Max = milliseconds(latency.quantile(0.5)), milliseconds(latency.quantile(0.99)), milliseconds(latency.max)
	if err == nil {
		err = streamErr
	}
	if err == nil {
		err = d.endJobs(ctx, publishers)
	}
	if err != nil {
		r.events.Error = err.Error()
	}
	if ctx.Err() != nil {
		return &r, context.Cause(ctx)
	}
	return &r, nil
}

// requests lets each publisher make its part of the requests, on the jobs that
// it alone writes.
func (d *dayLoad) requests(ctx context.Context, publishers []*publisher, first []string, r *dayRun) error {
	begin := time.Now()
	from, until := begin.Add(d.span.warmup), begin.Add(d.span.warmup+d.span.duration)
	counted := make(chan error, 1)
	go func() {
		err := pause(ctx, time.Until(from))
		m, before := d.startMeter(), d.swarm.delivered()
		if err == nil {
			err = pause(ctx, time.Until(until))
		}
		r.events.Deliveries = d.swarm.delivered() - before
		m.stop(&r.events)
		counted <- err
	}()
	var taken sync.Mutex
	seed := randomSeed()
	err := d.each(publishers, func(p *publisher, jobs []int) error {
		w := dayWorker{day: d, publisher: p, jobs: jobs, ids: map[int][]string{}, rng: newRand(seed, uint64(jobs[0]))}
		for _, job := range jobs {
			w.ids[job] = []string{first[job]}
		}
		w.work(ctx, begin, from, until, len(publishers))
		taken.Lock()
		defer taken.Unlock()
		for i := range w.requests {
			r.requests[i].merge(&w.requests[i])
		}
		return nil
	})
	if err := errors.Join(err, <-counted); err != nil {
		return err
	}
	if sum := r.all(); sum.err != nil {
		// The next sequence of a job is not known any more.
		return sum.err
	}
	return d.each(publishers, func(p *publisher, jobs []int) error {
		for _, job := range jobs {
			if err := d.next(p, job, d.swarm.now, true); err != nil {
				return err
			}
			if err := d.swarm.await(ctx, job, progressTimeout); err != nil {
				return err
			}
		}
		return nil
	})
}

// endJobs completes the jobs, so that a server that keeps jobs for a time after
// their end may drop them.
func (d *dayLoad) endJobs(ctx context.Context, publishers []*publisher) error {
	body := checkBody(statusCompleted, 1)
	return d.each(publishers, func(p *publisher, jobs []int) error {
		for _, job := range jobs {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if _, err := p.conn.ask(append(postHead(d.system.addr, d.key, d.topics[job], len(body)), body...)); err != nil {
				return fmt.Errorf("cannot end a job: %w", err)
			}
		}
		return nil
	})
}
