package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// runResume is `bench resume`.
func runResume(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "resume", "none", progress)
	r := resume{scenario: s}
	s.flags.IntVar(&r.subscribers, "subscribers", mostSubscribers, "subscribers that come back at once")
	s.flags.IntVar(&r.behind, "behind", 50, "checkpoints that each has missed")
	size := s.flags.String("size", sizeText(smallFrame), "size of a frame")
	return s.run(args, out, func() error {
		sizes, err := parseList(*size, parseSize)
		if err != nil {
			return err
		}
		if r.subscribers < 1 || r.subscribers > maxSubscribers || r.behind < 1 || len(sizes) != 1 {
			return usageError{fmt.Errorf("--subscribers and --behind are positive, and there is one --size")}
		}
		r.size = sizes[0]
		if s.smoke {
			r.subscribers = min(r.subscribers, 25)
		}
		return r.measure()
	})
}

// resume is subscribers that come back all at once, each some checkpoints behind.
type resume struct {
	scenario            *fanoutScenario
	subscribers, behind int
	size                int
}

// measure lets them come back again and again, each time to a fresh job.
func (r resume) measure() error {
	s := r.scenario
	x, err := s.startMilepost()
	if err != nil {
		return err
	}
	if x.end != nil {
		s.cleanup(x.end)
	}
	var seconds, peak, cpu, settled []float64
	failed, caught := int64(0), 0
	for round := range s.rounds {
		found, err := r.once(x)
		if err != nil {
			return err
		}
		s.say("resume, run %d of %d: all caught up after %.2f s, %.2f CPU seconds, peak PSS %.0f MiB; %s %s",
			round+1, s.rounds, found.seconds, found.cpu, found.peak, found.faults, found.err)
		if found.faults.sum() > 0 || found.err != "" {
			s.report.fail("run %d: %s %s", round+1, found.faults, found.err)
		} else {
			caught++
		}
		failed += found.faults.Failed
		seconds, cpu = append(seconds, found.seconds), append(cpu, found.cpu)
		peak, settled = append(peak, found.peak), append(settled, found.before)
	}
	low, high := bounds(seconds)
	name := fmt.Sprintf("%d reconnect at once, each %d checkpoints of %s behind", r.subscribers, r.behind, sizeText(r.size))
	s.report.Figures = append(s.report.Figures,
		figure{Name: fmt.Sprintf("%s: time until all have caught up (median of %d, %.2f–%.2f)", name, s.rounds, low, high), Value: median(seconds), Unit: "s"},
		figure{Name: name + ": part of the runs in which all caught up and none was refused", Value: float64(caught) / float64(s.rounds), AtLeast: 1},
		figure{Name: "refused or cut, in all runs", Value: float64(failed)},
		figure{Name: "server CPU, median", Value: median(cpu), Unit: "s"},
		figure{Name: "memory before (PSS), median", Value: median(settled), Unit: "MiB"},
		figure{Name: "peak memory (PSS, looked at 20 times a second), median", Value: median(peak), Unit: "MiB"},
	)
	return nil
}

// resumed is what one run gave.
type resumed struct {
	seconds, cpu, before, peak float64
	faults                     faults
	err                        string
}

// once publishes what is missed, then lets all connect without a bound.
func (r resume) once(x *fanoutSystem) (found resumed, err error) {
	ctx := r.scenario.ctx
	load := fanoutLoad{fanoutCase: fanoutCase{Jobs: 1, Subscribers: r.subscribers, Size: r.size, Backlog: 1}, system: x}
	publishers, err := load.open()
	for _, p := range publishers {
		defer p.conn.close()
	}
	if err != nil {
		return found, err
	}
	after, err := load.prepare(ctx, publishers)
	if err != nil {
		return found, err
	}
	last := uint32(firstEvent - 1 + r.behind)
	for n := uint32(firstEvent); n <= last; n++ {
		if _, err := publishers[0].publish(load.topics[0], marker{sequence: n}, load.payload); err != nil {
			return found, err
		}
	}
	sw, err := newSwarm(swarmConfig{
		addr:        x.addr,
		request:     func(int) []byte { return x.subscribe(load.topics[0], after[0]) },
		subscribers: r.subscribers, jobs: 1, first: firstEvent, frame: r.size,
	})
	if err != nil {
		return found, err
	}
	sw.gates[0].expect(last)
	found.before = mebibytes(x.pid)
	watch := watchPSS(x.pid)
	begin, cpu := time.Now(), cpuOf(x.pid)
	sw.start()
	err = sw.await(ctx, 0, connectTimeout)
	found.seconds, found.cpu = time.Since(begin).Seconds(), cpuOf(x.pid)-cpu
	found.peak = watch.stop()
	var streamErr error
	found.faults, _, streamErr = sw.finish(func(int) uint32 { return last })
	if err = errors.Join(err, streamErr); err != nil {
		found.err = err.Error()
	}
	return found, ctx.Err()
}

// mebibytes is the memory of a process tree, 0 for none.
func mebibytes(pid int) float64 {
	if pid == 0 {
		return 0
	}
	return float64(treePSS(pid)) / (1 << 20)
}

// pssWatch looks at the memory of a process tree while something happens.
type pssWatch struct {
	ended chan struct{}
	peak  chan float64
}

// pssLook is how often memory is looked at.
const pssLook = 50 * time.Millisecond

// watchPSS begins to look.
func watchPSS(pid int) *pssWatch {
	w := &pssWatch{ended: make(chan struct{}), peak: make(chan float64)}
	go func() {
		tick := time.NewTicker(pssLook)
		defer tick.Stop()
		peak := mebibytes(pid)
		for {
			select {
			case <-tick.C:
				peak = max(peak, mebibytes(pid))
			case <-w.ended:
				w.peak <- max(peak, mebibytes(pid))
				return
			}
		}
	}()
	return w
}

// stop returns the most that was seen, in MiB.
func (w *pssWatch) stop() float64 {
	close(w.ended)
	return <-w.peak
}
