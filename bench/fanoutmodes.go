package main

import (
	"context"
	"errors"
	"time"
)

// next publishes the next events of a job, as many as the backlog says; sent
// is when they were to be sent. With wait, the job's gate waits for the last.
func (l *fanoutLoad) next(p *publisher, job int, sent func() time.Duration, wait bool) error {
	if wait {
		l.swarm.gates[job].expect(l.last[job] + uint32(l.Backlog))
	}
	for range l.Backlog {
		m := marker{job: uint32(job), sequence: l.last[job] + 1, sent: sent()}
		// An event that was sent may arrive, whatever the answer says.
		l.last[job]++
		if _, err := l.publish(p, m); err != nil {
			return err
		}
	}
	return nil
}

// meter measures the CPU time of server and generator.
type meter struct {
	load              *fanoutLoad
	begin             time.Time
	server, generator float64
}

// startMeter begins to count.
func (l *fanoutLoad) startMeter() meter {
	m := meter{l, time.Now(), cpuOf(l.system.pid), selfCPU()}
	l.deliveredBefore, l.bytesBefore = l.swarm.counts()
	l.swarm.since.Store(int64(l.swarm.now()))
	return m
}

// stop ends counting.
func (m meter) stop(r *fanoutRun) {
	r.Seconds = time.Since(m.begin).Seconds()
	r.ServerCPU, r.GeneratorCPU = cpuOf(m.load.system.pid)-m.server, selfCPU()-m.generator
}

// saturate publishes the next events when all subscribers have the ones before.
func (l *fanoutLoad) saturate(ctx context.Context, p *publisher, r *fanoutRun) error {
	until := func(length time.Duration) (int64, error) {
		events := int64(0)
		for begin := time.Now(); events == 0 || time.Since(begin) < length; events += int64(l.Backlog) {
			if err := l.next(p, 0, l.swarm.now, true); err != nil {
				return events, err
			}
			if err := l.swarm.await(ctx, 0, progressTimeout); err != nil {
				return events, err
			}
		}
		return events, nil
	}
	if _, err := until(l.span.warmup); err != nil {
		return err
	}
	m := l.startMeter()
	events, err := until(l.span.duration)
	m.stop(r)
	r.Events, r.Deliveries = events, events*l.swarm.gates[0].readers
	return err
}

// steady publishes at a rate, whether or not the subscribers keep up. An event
// that is sent late counts from when it was to be sent.
func (l *fanoutLoad) steady(ctx context.Context, p *publisher, r *fanoutRun) (err error) {
	interval := time.Duration(float64(time.Second) / l.Rate)
	warm := max(1, int(l.span.warmup/interval))
	counted := max(1, int(l.span.duration/interval))
	var m meter
	beside := make(chan error, 1)
	begin := l.swarm.now()
	for i := range warm + counted {
		due := begin + time.Duration(i)*interval
		if err := pause(ctx, due-l.swarm.now()); err != nil {
			return err
		}
		if i == warm {
			m = l.startMeter()
			l.swarm.since.Store(int64(due))
			if l.beside != nil {
				go func() { beside <- l.beside(ctx) }()
				defer func() { err = errors.Join(err, <-beside) }()
			}
		}
		if err := l.next(p, 0, func() time.Duration { return due }, i == warm+counted-1); err != nil {
			return err
		}
		select {
		case <-l.swarm.trouble:
			return l.swarm.firstErr
		default:
		}
	}
	err = l.swarm.await(ctx, 0, progressTimeout)
	m.stop(r)
	r.Events = int64(counted * l.Backlog)
	r.Deliveries = r.Events * l.swarm.gates[0].readers
	return err
}

// manyJobs saturates many jobs: each gets its next event when its subscribers
// have the one before.
func (l *fanoutLoad) manyJobs(ctx context.Context, publishers []*publisher, r *fanoutRun) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	until := time.Now().Add(l.span.warmup + l.span.duration)
	counted := make(chan error, 1)
	go func() {
		err := pause(ctx, l.span.warmup)
		m, before := l.startMeter(), l.swarm.delivered()
		if err == nil {
			err = pause(ctx, l.span.duration)
		}
		r.Deliveries = l.swarm.delivered() - before
		m.stop(r)
		counted <- err
	}()
	err := l.each(publishers, func(p *publisher, jobs []int) error {
		for first := true; first || time.Now().Before(until); first = false {
			for _, job := range jobs {
				if !first {
					if err := l.swarm.await(ctx, job, progressTimeout); err != nil {
						cancel()
						return err
					}
				}
				if err := l.next(p, job, l.swarm.now, true); err != nil {
					cancel()
					return err
				}
			}
		}
		for _, job := range jobs {
			if err := l.swarm.await(ctx, job, progressTimeout); err != nil {
				cancel()
				return err
			}
		}
		return nil
	})
	err = errors.Join(err, <-counted)
	r.Events = r.Deliveries / int64(l.Subscribers)
	return err
}

// fillBytes are what is published before stalled subscribers count as stalled:
// more than the socket buffers of both sides hold by default.
const fillBytes = 1 << 20

// fill publishes until the sockets of stalled subscribers take no more.
func (l *fanoutLoad) fill(ctx context.Context, p *publisher) error {
	payload, err := l.system.payloadSize(32 << 10)
	if err != nil {
		return err
	}
	for range fillBytes / (32 << 10) {
		l.last[0]++
		l.swarm.gates[0].expect(l.last[0])
		if _, err := p.publish(l.topics[0], marker{sequence: l.last[0], sent: l.swarm.now()}, payload); err != nil {
			return err
		}
		if err := l.swarm.await(ctx, 0, progressTimeout); err != nil {
			return err
		}
	}
	return nil
}
