package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"milepost/cache/store"
)

// walMetric counts the bytes that milepost's store has written to its log.
const walMetric = "milepost_store_wal_bytes_written_total"

// runGrowth is `bench growth`.
func runGrowth(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "growth", 1, progress)
	return s.run(args, out, func() error { return measureGrowth(s) })
}

// measureGrowth posts one long growing job and sees what it takes to keep it.
func measureGrowth(s *scenario) error {
	dir := s.path(dataDir)
	m, err := s.startServer(dir)
	if err != nil {
		return err
	}
	before, err := m.metric(walMetric)
	if err != nil {
		return err
	}
	c, err := newClient("http://"+m.addr, benchKey)
	if err != nil {
		return err
	}
	check := newChecker(newID(newRand(randomSeed(), 0)), true)
	posted, last := 0, 0
	cpu := treeCPU(m.pid())
	err = s.growingJob().play(func(r request) (answer, error) {
		status, body, err := c.post(s.ctx, check.job, r)
		if err != nil {
			return answer{}, err
		}
		posted, last = posted+len(r.body), len(r.body)
		return check.check(r, status, body)
	})
	if err != nil {
		return fmt.Errorf("the growing job: %w", err)
	}
	cpu = treeCPU(m.pid()) - cpu
	after, err := m.metric(walMetric)
	if err != nil {
		return err
	}
	if err := m.end(); err != nil {
		return err
	}
	if err := compact(dir); err != nil {
		return err
	}
	disk, err := diskBytes(dir)
	if err != nil {
		return err
	}
	s.report.Figures = append(s.report.Figures,
		figure{Name: "checkpoints posted", Value: float64(check.next - 1)},
		figure{Name: "bytes posted", Value: float64(posted) / 1e6, Unit: "MB"},
		figure{Name: "the last body", Value: float64(last) / 1e6, Unit: "MB"},
		figure{Name: "written to the WAL", Value: (after - before) / 1e6, Unit: "MB"},
		figure{Name: "posted / written to the WAL", Value: float64(posted) / (after - before), AtLeast: 50},
		figure{Name: "on disk after compaction", Value: float64(disk) / 1e6, Unit: "MB"},
		figure{Name: "posted / on disk after compaction", Value: float64(posted) / float64(disk), AtLeast: 100},
		figure{Name: "server CPU time a checkpoint", Value: 1000 * cpu / float64(check.next-1), Unit: "ms"},
	)
	return nil
}

// compact rewrites the store of a stopped server.
func compact(dir string) error {
	st, err := store.Open(store.Options{Dir: dir})
	if err != nil {
		return fmt.Errorf("cannot open what milepost wrote: %w", err)
	}
	return errors.Join(st.Compact(), st.Close())
}

// diskBytes adds up the files below dir. The ballast, which is there to be
// given up when the disk is full, is no part of what the job takes.
func diskBytes(dir string) (int64, error) {
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(e.Name(), "ballast") {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		total += info.Size()
		return nil
	})
	return total, err
}
