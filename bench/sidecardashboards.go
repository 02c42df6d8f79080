package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

const (
	// dashboardHistory checkpoints are there when dashboards open a job,
	// dashboardLive more come while they watch.
	dashboardHistory = 100
	dashboardLive    = 100
	// smokeDashboards are those of a smoke run.
	smokeDashboards = 1000
	// dashboardConnections read the job's last checkpoint once a dashboard.
	dashboardConnections = 64
)

// measureDashboards counts what reaches the upstream when dashboards that the
// sidecar knows nothing about open a job from its start, watch it, and read its
// last checkpoint. The job is written at the upstream, so that no write of its
// runtime counts, nor helps the sidecar to know it.
func measureDashboards(s *sidecarScenario) error {
	n := s.subscribers
	if s.smoke {
		n = min(n, smokeDashboards)
	}
	front, err := s.startSidecar(s.upstream.addr)
	if err != nil {
		return err
	}
	x := milepostSystem(s.upstream.addr, benchKey, s.upstream.pid())
	job := newID(newRand(randomSeed(), 0))
	if err := x.learnOverhead(newID(newRand(randomSeed(), 0))); err != nil {
		return err
	}
	w, err := s.newJobWriter(x, job)
	if err != nil {
		return err
	}
	defer w.publisher.conn.close()
	if _, err := w.write(dashboardHistory, func() time.Duration { return 0 }); err != nil {
		return err
	}
	before, err := countUpstream(front)
	if err != nil {
		return err
	}
	reachedBefore, err := s.reachedUpstream()
	if err != nil {
		return err
	}
	begin, cpu := time.Now(), cpuOf(front.pid())
	found, err := s.openDashboards(front, w, n)
	if err != nil {
		return err
	}
	after, err := countUpstream(front)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	cpu = cpuOf(front.pid()) - cpu
	reached, err := s.reachedUpstream()
	if err != nil {
		return err
	}
	if found.sum() > 0 {
		s.report.fail("dashboards: %s", found)
	}
	asked := after.minus(before)
	// The writes and readLast's own look are not the sidecar's.
	if other := reached - reachedBefore - dashboardLive - 1; other != asked.all() {
		s.report.fail("dashboards: the sidecar counts %g requests for the upstream, which has answered %g", asked.all(), other)
	}
	name := fmt.Sprintf("%d dashboards of one credential, %d checkpoints and %d more", n, dashboardHistory, dashboardLive)
	s.report.Figures = append(s.report.Figures,
		figure{Name: name + ": upstream streams", Value: asked.streams, AtMost: 1},
		figure{Name: name + ": other upstream requests", Value: asked.others, AtMost: 4},
		figure{Name: name + ": time until all had everything", Value: took.Seconds(), Unit: "s"},
		figure{Name: name + ": CPU of the sidecar", Value: cpu, Unit: "s"})
	return nil
}

// openDashboards opens n streams at once, writes while they watch, reads the
// last checkpoint once for each, and returns what was wrong with their events.
func (s *sidecarScenario) openDashboards(front *milepostServer, w *jobWriter, n int) (faults, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(generatorProcs))
	request := fmt.Appendf(nil, "GET %sstream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n",
		collectionPath(w.job), front.addr, benchKey)
	sw, err := newSwarm(swarmConfig{
		addr: front.addr, request: func(int) []byte { return request },
		subscribers: n, jobs: 1, first: 1, frame: smallFrame,
	})
	if err != nil {
		return faults{}, err
	}
	sw.gates[0].expect(w.last)
	sw.start()
	err = sw.await(s.ctx, 0, connectTimeout)
	id := ""
	if err == nil {
		sw.gates[0].expect(w.last + dashboardLive)
		if id, err = w.write(dashboardLive, sw.now); err == nil {
			err = sw.await(s.ctx, 0, connectTimeout)
		}
	}
	if err == nil {
		err = s.readLast(front, collectionPath(w.job)+id, n)
	}
	found, _, streamErr := sw.finish(func(int) uint32 { return w.last })
	return found, errors.Join(err, streamErr)
}

// readLast reads the checkpoint at path n times from front, and compares it
// with the upstream's.
func (s *sidecarScenario) readLast(front *milepostServer, path string, n int) error {
	c, err := newClient("http://"+s.upstream.addr, benchKey)
	if err != nil {
		return err
	}
	want, err := fetch(s.ctx, c, path)
	if err != nil {
		return err
	}
	gets := []knownGet{want.get(benchKey)}
	failures := make([]error, min(n, dashboardConnections))
	var all sync.WaitGroup
	for i := range failures {
		share := n / len(failures)
		if i < n%len(failures) {
			share++
		}
		all.Go(func() {
			t, err := newReadTask(front.addr, gets, 0)
			if err != nil {
				failures[i] = err
				return
			}
			defer t.close()
			for range share {
				if failures[i] = t.do(); failures[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// jobWriter writes the checkpoints of one job with markers.
type jobWriter struct {
	publisher *publisher
	job       string
	payload   int
	// last is the sequence that was written last.
	last uint32
}

// newJobWriter connects to x. Its frames have smallFrame bytes.
func (s *sidecarScenario) newJobWriter(x *fanoutSystem, job string) (*jobWriter, error) {
	payload, err := x.payloadSize(smallFrame)
	if err != nil {
		return nil, err
	}
	p, err := x.newPublisher()
	if err != nil {
		return nil, err
	}
	return &jobWriter{publisher: p, job: job, payload: payload}, nil
}

// write writes the next n checkpoints, sent at the times that sent gives, and
// returns the id of the last.
func (w *jobWriter) write(n int, sent func() time.Duration) (id string, err error) {
	for range n {
		m := marker{sequence: w.last + 1, sent: sent()}
		if id, err = w.publisher.publish(w.job, m, w.payload); err != nil {
			return "", err
		}
		w.last++
	}
	return id, nil
}
