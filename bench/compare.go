package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// The two builds of a comparison, as they are named in its report.
const (
	newBuild = "new"
	oldBuild = "old"
)

// runCompare is `bench compare`, of which compare.sh makes use.
func runCompare(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "compare", 5, progress)
	before := s.flags.String("old", "", "the milepost `FILE` to compare with")
	after := s.flags.String("new", "", "the milepost `FILE` that may have got slower")
	return s.run(args, out, func() error {
		if *before == "" || *after == "" {
			return usageError{errors.New("--old and --new are needed")}
		}
		return compareBuilds(s, *before, *after)
	})
}

// build is a running server of one of two builds.
type build struct {
	name   string
	server *milepostServer
}

// compareBuilds measures writes, reads and fan-out of two builds in turn.
func compareBuilds(s *scenario, before, after string) error {
	var builds []build
	for _, b := range [][2]string{{newBuild, after}, {oldBuild, before}} {
		binary, err := filepath.Abs(b[1])
		if err != nil {
			return err
		}
		m, err := startMilepost(s.ctx, binary, s.path("data-"+b[0]))
		if err != nil {
			return fmt.Errorf("the %s build: %w", b[0], err)
		}
		s.cleanup(m.end)
		builds = append(builds, build{b[0], m})
	}
	if err := compareWrites(s, builds); err != nil {
		return err
	}
	if err := compareReads(s, builds); err != nil {
		return err
	}
	return compareFanout(s, builds)
}

// compareWrites posts from 64 connections.
func compareWrites(s *scenario, builds []build) error {
	const connections = 64
	ids, writer := newRand(randomSeed(), 0), uint32(0)
	var systems []system
	for _, b := range builds {
		systems = append(systems, driven(b.name, b.server.pid(), openers(connections, func() (*link, error) {
			writer++
			return newWriteTask(b.server.addr, benchKey, newID(ids), writeSize, writer, true)
		})))
	}
	return s.compareSystems(fmt.Sprintf("POST 8 KB, %d connections", connections), systems)
}

// compareReads reads one checkpoint again and again.
func compareReads(s *scenario, builds []build) error {
	var systems []system
	for _, b := range builds {
		a, err := storeAnswer(s.ctx, subject{addr: b.server.addr, key: benchKey}, 4<<10)
		if err != nil {
			return err
		}
		systems = append(systems, drivenReads([]readSystem{{b.name, b.server.pid(), b.server.addr}}, []knownGet{a.get(benchKey)})...)
	}
	return s.compareSystems(fmt.Sprintf("GET 4 KB, %d connections", readConnections), systems)
}

// compareSystems compares the builds' runs in what matters.
func (s *scenario) compareSystems(name string, systems []system) error {
	all, err := s.interleave(name, systems)
	if err != nil {
		return err
	}
	s.report.compare(all, newBuild, oldBuild, "requests/s", measurement.perSecond, 0)
	s.report.compare(all, newBuild, oldBuild, "requests per server CPU second", measurement.perCPUSecond, 0)
	s.report.compareAtMost(all, newBuild, oldBuild, "p99", measurement.p99, 0)
	return nil
}

// compareFanout publishes to 1,000 subscribers.
func compareFanout(s *scenario, builds []build) error {
	f := &fanoutScenario{scenario: s}
	c := fanoutCase{Jobs: 1, Subscribers: 1000, Size: smallFrame, Backlog: 1}
	if s.smoke {
		c.shrink()
	}
	var systems []*fanoutSystem
	for _, b := range builds {
		x := milepostSystem(b.server.addr, benchKey, b.server.pid())
		if err := x.learnOverhead(newID(newRand(randomSeed(), 0))); err != nil {
			return err
		}
		x.name = b.name
		systems = append(systems, x)
	}
	all, err := f.interleaveFanout([]fanoutCase{c}, systems)
	if err != nil {
		return err
	}
	a, b := all[seriesKey{c.String(), newBuild}], all[seriesKey{c.String(), oldBuild}]
	for _, m := range []struct {
		name string
		of   func(fanoutRun) float64
	}{{"deliveries/s", fanoutRun.perSecond}, {"deliveries per server CPU second", fanoutRun.perCPUSecond}} {
		s.report.compareStreams(fmt.Sprintf("fan-out, %s: %s / %s in %s", c, newBuild, oldBuild, m.name), a, b, m.of, 0, 0)
	}
	return nil
}
