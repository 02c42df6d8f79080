package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// startPerJob is how many checkpoints each job of the filled store has.
const startPerJob = 1000

// runStart is `bench start`.
func runStart(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "start", 5, progress)
	checkpoints := s.flags.Int("checkpoints", 1_000_000, "checkpoints in the store")
	return s.run(args, out, func() error {
		if *checkpoints < 1 {
			return usageError{fmt.Errorf("--checkpoints must be at least 1")}
		}
		if s.smoke {
			*checkpoints = 2000
		}
		return measureStart(s, *checkpoints)
	})
}

// idlePause is how long a process has been idle when its memory is read.
const idlePause = 2 * time.Second

// measureStart fills a store and starts on it; before that, it looks at the
// memory of a process that has nothing to do.
func measureStart(s *scenario, checkpoints int) error {
	binary, err := s.milepostBinary()
	if err != nil {
		return err
	}
	dir := s.path("milepost-data")
	m, err := startMilepost(s.ctx, binary, dir)
	if err != nil {
		return err
	}
	defer func() { _ = m.end() }()
	if err := pause(s.ctx, idlePause); err != nil {
		return err
	}
	idle := treePSS(m.pid())

	s.say("posting %d checkpoints", checkpoints)
	rng := newRand(randomSeed(), 0)
	jobs := make([]string, (checkpoints+startPerJob-1)/startPerJob)
	for i := range jobs {
		jobs[i] = newID(rng)
	}
	begin := time.Now()
	err = loader{
		addr: m.addr, key: benchKey, size: minTemplate(), total: checkpoints, perJob: startPerJob,
		progress: func(done int) { s.say("%d checkpoints after %.0f s", done, time.Since(begin).Seconds()) },
	}.load(s.ctx, jobs)
	if err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	if err := m.end(); err != nil {
		return err
	}
	disk, err := diskBytes(dir)
	if err != nil {
		return err
	}

	var seconds, memory []float64
	for round := range s.rounds {
		begin := time.Now()
		if m, err = startMilepost(s.ctx, binary, dir); err != nil {
			return err
		}
		seconds = append(seconds, time.Since(begin).Seconds())
		err := pause(s.ctx, idlePause)
		memory = append(memory, float64(treePSS(m.pid()))/(1<<20))
		if err == nil {
			err = checkTotal(m, jobs[0], min(checkpoints, startPerJob))
		}
		if err != nil {
			return err
		}
		if err := m.end(); err != nil {
			return err
		}
		s.say("start %d of %d: ready after %.0f ms", round+1, s.rounds, 1000*seconds[round])
	}
	_, slowest := bounds(seconds)
	s.report.Figures = append(s.report.Figures,
		figure{Name: "memory of a fresh idle process (PSS)", Value: float64(idle) / (1 << 20), Unit: "MiB", AtMost: 50},
		figure{Name: "checkpoints posted", Value: float64(checkpoints)},
		figure{Name: "posted at", Value: float64(checkpoints) / took, Unit: "checkpoints/s"},
		figure{Name: "on disk", Value: float64(disk) / 1e6, Unit: "MB"},
		figure{Name: "from exec to ready, median", Value: median(seconds), Unit: "s", AtMost: 1},
		figure{Name: "from exec to ready, slowest", Value: slowest, Unit: "s"},
		figure{Name: "memory idle on the full store (PSS), median", Value: median(memory), Unit: "MiB"},
	)
	return nil
}

// checkTotal sees that a job still has its checkpoints.
func checkTotal(m *milepostServer, job string, want int) error {
	c, err := dialRaw(m.addr)
	if err != nil {
		return err
	}
	defer c.close()
	t := listTask{conn: c, request: getRequest(m.addr, benchKey, collectionPath(job)+"?take=1&skip=0"), first: 1, total: int64(want)}
	return t.do()
}
