package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// startPerJob is how many checkpoints each job of the filled store has.
	startPerJob = 100
	// startUnflushed checkpoints are posted before each kill. They come to more
	// than twice the store's memtable of 64 MiB, which begins small and doubles
	// up to that: so the last one is full-sized, and what it holds is in the log
	// alone.
	startUnflushed = 60_000
	// idlePause is how long a process has been idle when its memory is read.
	idlePause = 2 * time.Second
)

// runStart is `bench start`.
func runStart(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "start", 5, progress)
	checkpoints := s.flags.Int("checkpoints", 1_000_000, "checkpoints in the store")
	return s.run(args, out, func() error {
		if *checkpoints < 1 {
			return usageError{fmt.Errorf("--checkpoints must be at least 1")}
		}
		unflushed := startUnflushed
		if s.smoke {
			*checkpoints, unflushed = 2000, 500
		}
		return measureStart(s, *checkpoints, unflushed)
	})
}

// measureStart fills a store and starts on it, after a graceful stop and after
// a kill in which checkpoints were in the log alone. Before that, it looks at
// the memory of a process that has nothing to do.
func measureStart(s *scenario, checkpoints, unflushed int) error {
	dir := s.path(dataDir)
	empty, err := s.start(dir)
	if err != nil {
		return err
	}
	s.say("posting %d checkpoints", checkpoints)
	begin := time.Now()
	jobs, err := fillJobs(s, empty.server, checkpoints)
	if err != nil {
		return err
	}
	took := time.Since(begin).Seconds()
	if err := empty.server.end(); err != nil {
		return err
	}
	disk, err := diskBytes(dir)
	if err != nil {
		return err
	}

	var clean, crashed starts
	var logged []float64
	for round := range s.rounds {
		st, err := s.start(dir)
		if err != nil {
			return err
		}
		clean.add(s, fmt.Sprintf("start %d of %d", round+1, s.rounds), st)
		if err := jobs.check(st.server); err != nil {
			return err
		}
		if err := st.server.end(); err != nil {
			return err
		}
	}
	m, err := s.startServer(dir)
	if err != nil {
		return err
	}
	for round := range s.rounds {
		more, err := fillJobs(s, m, unflushed)
		if err != nil {
			return err
		}
		m.kill()
		log, err := logBytes(dir)
		if err != nil {
			return err
		}
		logged = append(logged, float64(log)/1e6)
		st, err := s.start(dir)
		if err != nil {
			return err
		}
		crashed.add(s, fmt.Sprintf("start %d of %d after kill -9, a log of %d MB", round+1, s.rounds, log/1e6), st)
		for _, j := range []filledJobs{jobs, more} {
			if err := j.check(st.server); err != nil {
				return err
			}
		}
		m = st.server
	}
	_, cleanSlowest := bounds(clean.seconds)
	_, crashedSlowest := bounds(crashed.seconds)
	s.report.Figures = append(s.report.Figures,
		figure{Name: "memory of a fresh idle process, empty store (PSS)", Value: empty.memory, Unit: "MiB", AtMost: 50},
		figure{Name: "checkpoints posted", Value: float64(checkpoints)},
		figure{Name: "jobs", Value: float64(len(jobs.ids))},
		figure{Name: "posted at", Value: float64(checkpoints) / took, Unit: "checkpoints/s"},
		figure{Name: "on disk", Value: float64(disk) / 1e6, Unit: "MB"},
		figure{Name: "from exec to ready, median", Value: median(clean.seconds), Unit: "s", AtMost: 1},
		figure{Name: "from exec to ready, slowest", Value: cleanSlowest, Unit: "s", AtMost: 1},
		figure{Name: "memory of a fresh idle process, full store (PSS), median", Value: median(clean.memory), Unit: "MiB", AtMost: 50},
		figure{Name: "log to replay after kill -9, median", Value: median(logged), Unit: "MB"},
		figure{Name: "from exec to ready after kill -9, median", Value: median(crashed.seconds), Unit: "s", AtMost: 1},
		figure{Name: "from exec to ready after kill -9, slowest", Value: crashedSlowest, Unit: "s", AtMost: 1},
		figure{Name: "memory idle after kill -9 and replay (PSS), median", Value: median(crashed.memory), Unit: "MiB"},
	)
	return nil
}

// started is a server that has just started and was idle since.
type started struct {
	server *milepostServer
	// seconds from exec to ready.
	seconds float64
	// memory after idlePause in MiB.
	memory float64
}

// start starts milepost on the data directory dir.
func (s *scenario) start(dir string) (started, error) {
	if _, err := s.milepostBinary(); err != nil { // not to count its build
		return started{}, err
	}
	begin := time.Now()
	m, err := s.startServer(dir)
	if err != nil {
		return started{}, err
	}
	st := started{server: m, seconds: time.Since(begin).Seconds()}
	err = pause(s.ctx, idlePause)
	st.memory = float64(treePSS(m.pid())) / (1 << 20)
	return st, err
}

// starts are those of one kind.
type starts struct{ seconds, memory []float64 }

// add takes in a start, and says so as what.
func (all *starts) add(s *scenario, what string, st started) {
	s.say("%s: ready after %.0f ms, %.0f MiB", what, 1000*st.seconds, st.memory)
	all.seconds = append(all.seconds, st.seconds)
	all.memory = append(all.memory, st.memory)
}

// filledJobs are jobs of startPerJob checkpoints, the last of what is left.
type filledJobs struct {
	ids  []string
	last int
}

// fillJobs posts checkpoints in new jobs.
func fillJobs(s *scenario, m *milepostServer, checkpoints int) (filledJobs, error) {
	rng := newRand(randomSeed(), 0)
	jobs := filledJobs{ids: make([]string, (checkpoints+startPerJob-1)/startPerJob)}
	for i := range jobs.ids {
		jobs.ids[i] = newID(rng)
	}
	jobs.last = checkpoints - (len(jobs.ids)-1)*startPerJob
	begin := time.Now()
	err := loader{
		addr: m.addr, key: benchKey, size: minTemplate(), total: checkpoints, perJob: startPerJob,
		progress: func(done int) { s.say("%d checkpoints after %.0f s", done, time.Since(begin).Seconds()) },
	}.load(s.ctx, jobs.ids)
	return jobs, err
}

// check sees that the first job and the last still have their checkpoints.
func (jobs filledJobs) check(m *milepostServer) error {
	end := len(jobs.ids) - 1
	first := startPerJob
	if end == 0 {
		first = jobs.last
	}
	for job, total := range map[string]int{jobs.ids[0]: first, jobs.ids[end]: jobs.last} {
		t, err := newListTask(m.addr, benchKey, collectionPath(job)+"?take=1&skip=0", 1, total)
		if err != nil {
			return err
		}
		err = t.do()
		t.close()
		if err != nil {
			return fmt.Errorf("job %s: %w", job, err)
		}
	}
	return nil
}

// logBytes adds up the files of the store's write-ahead log in the data
// directory dir.
func logBytes(dir string) (int64, error) {
	logs, err := filepath.Glob(filepath.Join(dir, "db", "*.log"))
	if err == nil && len(logs) == 0 {
		err = fmt.Errorf("no write-ahead log in %s", dir)
	}
	total := int64(0)
	for _, path := range logs {
		info, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, err
}
