package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

const (
	// warmReads are the reads of one run from a warm store.
	warmReads = 60
	// coldReads are the first reads after as many openings in one run.
	coldReads = 12
)

// The systems of the store scenario: the store as it is, and the same database
// with each body whole, compressed as quickly and as well as zstd usually is.
const (
	byContent    = "by content"
	wholeFastest = "whole, zstd fastest"
	wholeDefault = "whole, zstd default"
)

// runStore is `bench store`.
func runStore(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "store", 9, progress)
	file := s.flags.String("trace", "", "store the job in this `FILE` (.jsonl, with its .meta.json beside) instead of a growing one")
	return s.run(args, out, func() error {
		var job source = s.growingJob()
		if *file != "" {
			t, err := readTrace(*file)
			if err != nil {
				return usageError{err}
			}
			job = t
		}
		docs, err := documentsOf(job)
		if err != nil {
			return fmt.Errorf("cannot make the job's checkpoints: %w", err)
		}
		return measureStore(s, docs)
	})
}

// measureStore writes checkpoints of one job and reads the last of them, in
// this process and without HTTP: what it costs to store and find them alone.
func measureStore(s *scenario, docs []document) error {
	kinds := []storeKind{
		{byContent, newContentKeeper, openContentReader},
		{wholeFastest, wholeKeeperOf(zstd.SpeedFastest), openWholeReader},
		{wholeDefault, wholeKeeperOf(zstd.SpeedDefault), openWholeReader},
	}
	total, last := 0, len(docs[len(docs)-1].JSON)
	for _, d := range docs {
		total += len(d.JSON)
	}
	s.report.note("%d checkpoints of %.1f MB, the last of %.2f MB; bodies stored whole go into the same database",
		len(docs), float64(total)/1e6, float64(last)/1e6)
	cases := []struct {
		name, measure string
		of            func(measurement) float64
		// atMost bounds the ratio to either way of storing bodies whole.
		atMost float64
		run    func(k storeKind, dir string) (measurement, error)
	}{
		{"store write", "CPU time a write", measurement.cpuEach, 0.7,
			func(k storeKind, dir string) (measurement, error) { return k.measureWrites(dir, docs) }},
		{"store read, blocks cached", "time a read", measurement.secondsEach, 2,
			func(k storeKind, dir string) (measurement, error) { return k.measureReads(dir, docs, warmReads, false) }},
		{"store read, first after opening", "time a read", measurement.secondsEach, 2,
			func(k storeKind, dir string) (measurement, error) { return k.measureReads(dir, docs, coldReads, true) }},
	}
	for _, c := range cases {
		var systems []system
		for i, k := range kinds {
			dir := s.path(fmt.Sprintf("store-%d", i))
			systems = append(systems, system{k.name, func(context.Context, span) (measurement, error) {
				runtime.GC() // each run pays for its own garbage alone
				return c.run(k, dir)
			}})
		}
		all, err := s.interleave(c.name, systems)
		if err != nil {
			return err
		}
		for _, whole := range []string{wholeFastest, wholeDefault} {
			s.report.compareAtMost(all, byContent, whole, c.measure, c.of, c.atMost)
		}
	}
	return nil
}
