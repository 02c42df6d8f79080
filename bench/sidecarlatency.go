package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

const (
	// liveRate is how many events a second the latency of live events is taken
	// from: few enough that each finds the servers at rest.
	liveRate = 100
	// addedLatency is the most in milliseconds that the sidecar may add at p50.
	addedLatency = 1
)

// measureSidecarLatency compares the time of a POST and of a live event through
// the sidecar with that at the upstream itself.
func measureSidecarLatency(s *sidecarScenario) error {
	front, err := s.startSidecar(s.upstream.addr)
	if err != nil {
		return err
	}
	ids, writer := newRand(randomSeed(), 0), uint32(0)
	var systems []system
	for _, b := range []build{{sidecarName, front}, {embeddedName, s.upstream}} {
		systems = append(systems, driven(b.name, b.server.pid(), openers(1, func() (*link, error) {
			writer++
			return newWriteTask(b.server.addr, benchKey, newID(ids), writeSize, writer, true)
		})))
	}
	all, err := s.interleave(fmt.Sprintf("POST %d KB, 1 connection", writeSize>>10), systems)
	if err != nil {
		return err
	}
	added := make([]float64, s.rounds)
	for i := range added {
		added[i] = all[0].Runs[i].P50 - all[1].Runs[i].P50
	}
	s.report.addAdded("a POST", added)
	for i := range added {
		through, direct, err := s.liveEvents(front)
		if err != nil {
			return err
		}
		s.say("live events, run %d of %d: p50 %.2f ms through the sidecar, %.2f ms at the upstream", i+1, s.rounds, through, direct)
		added[i] = through - direct
	}
	s.report.addAdded("a live event", added)
	return nil
}

// addAdded adds the figure of what the sidecar adds to the latency of what.
func (r *report) addAdded(what string, milliseconds []float64) {
	low, high := bounds(milliseconds)
	r.Figures = append(r.Figures, figure{
		Name:  fmt.Sprintf("added to the p50 of %s (median of %d, %.3f–%.3f)", what, len(milliseconds), low, high),
		Value: median(milliseconds), Unit: "ms", AtMost: addedLatency,
	})
}

// liveEvents writes a job at the upstream at a steady rate, watches it there
// and at the sidecar at the same time, and returns both p50s in milliseconds
// from when an event was to be sent: the same events, so that what the write
// itself takes is in both alike.
func (s *sidecarScenario) liveEvents(front *milepostServer) (through, direct float64, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
	x := milepostSystem(s.upstream.addr, benchKey, s.upstream.pid())
	ids := newRand(randomSeed(), 0)
	if err := x.learnOverhead(newID(ids)); err != nil {
		return 0, 0, err
	}
	w, err := s.newJobWriter(x, newID(ids))
	if err != nil {
		return 0, 0, err
	}
	defer w.publisher.conn.close()
	origin := time.Now()
	now := func() time.Duration { return time.Since(origin) }
	after, err := w.write(1, now)
	if err != nil {
		return 0, 0, err
	}
	swarms := make([]*swarm, 2)
	for i, addr := range []string{front.addr, s.upstream.addr} {
		request := milepostSystem(addr, benchKey, 0).subscribe(w.job, after)
		swarms[i], err = newSwarm(swarmConfig{
			addr: addr, request: func(int) []byte { return request },
			subscribers: 1, jobs: 1, first: firstEvent, frame: smallFrame,
		})
		if err != nil {
			return 0, 0, err
		}
		// The times in the markers count from one origin for both.
		swarms[i].origin = origin
	}
	for _, sw := range swarms {
		sw.start()
	}
	err = s.writeLive(w, swarms, now)
	p50 := make([]float64, len(swarms))
	for i, sw := range swarms {
		found, latency, streamErr := sw.finish(func(int) uint32 { return w.last })
		if found.sum() > 0 && streamErr == nil {
			streamErr = fmt.Errorf("live events: %s", found)
		}
		err = errors.Join(err, streamErr)
		p50[i] = milliseconds(latency.quantile(0.5))
	}
	return p50[0], p50[1], err
}

// writeLive writes for the run's duration, after a warm-up, and waits until all
// swarms have everything.
func (s *sidecarScenario) writeLive(w *jobWriter, swarms []*swarm, now func() time.Duration) error {
	for _, sw := range swarms {
		if err := sw.connected(s.ctx); err != nil {
			return err
		}
	}
	const interval = time.Second / liveRate
	warm := max(1, int(s.duration/4/interval))
	counted := max(1, int(s.duration/interval))
	last := w.last + uint32(warm+counted)
	for _, sw := range swarms {
		sw.gates[0].expect(last)
	}
	begin := now()
	for i := range warm + counted {
		due := begin + time.Duration(i)*interval
		if err := pause(s.ctx, due-now()); err != nil {
			return err
		}
		if i == warm {
			for _, sw := range swarms {
				sw.since.Store(int64(due))
			}
		}
		if _, err := w.write(1, func() time.Duration { return due }); err != nil {
			return err
		}
	}
	for _, sw := range swarms {
		if err := sw.await(s.ctx, 0, progressTimeout); err != nil {
			return err
		}
	}
	return nil
}
