package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// writeSize is the size in bytes of the bodies of the write scenario.
const writeSize = 8 << 10

// runWrite is `bench write`.
func runWrite(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "write", 5, progress)
	s.allowTarget()
	s.allowPeers()
	return s.run(args, out, func() error { return measureWrites(s) })
}

// measureWrites posts from 1, 16 and 64 connections, each to a job of its own.
func measureWrites(s *scenario) error {
	server, err := s.startSubject()
	if err != nil {
		return err
	}
	peers := s.peers && s.target == ""
	var postgres *postgresServer
	var raw *pebblePeer
	if peers {
		postgres, err = startPostgres(s.ctx, s.path("postgres"))
		switch {
		case errors.Is(err, errNoPeer):
			s.report.note("left out: %v", err)
		case err != nil:
			return err
		default:
			s.cleanup(postgres.end)
		}
		if raw, err = startPebblePeer(s.path("pebble")); err != nil {
			return err
		}
		s.cleanup(raw.end)
	}
	ids, writer := newRand(randomSeed(), 0), uint32(0)
	for _, connections := range []int{1, 16, 64} {
		open := func(dial func(job string, writer uint32) (task, error)) func() ([]task, error) {
			return func() ([]task, error) {
				var tasks []task
				for range connections {
					writer++
					t, err := dial(newID(ids), writer)
					if err != nil {
						return tasks, err
					}
					tasks = append(tasks, t)
				}
				return tasks, nil
			}
		}
		systems := []system{driven("milepost", server.pid, open(func(job string, writer uint32) (task, error) {
			return newWriteTask(server.addr, server.key, job, writeSize, writer, true)
		}))}
		if postgres != nil {
			systems = append(systems, driven("postgres", postgres.pid(), open(func(job string, writer uint32) (task, error) {
				return newPGTask(postgres.addr, job, writeSize, writer)
			})))
		}
		if raw != nil {
			systems = append(systems, system{"raw pebble", func(_ context.Context, t span) (measurement, error) {
				return raw.measure(pebbleRun{Goroutines: connections, Size: writeSize, Warmup: t.warmup, Duration: t.duration})
			}})
		}
		all, err := s.interleave(fmt.Sprintf("POST 8 KB, %d connections", connections), systems)
		if err != nil {
			return err
		}
		// The bounds are those that the project sets itself for 64 connections.
		wantCPU, wantRate, wantRaw, wantTail := 0.0, 0.0, 0.0, 0.0
		if connections == 64 {
			wantCPU, wantRate, wantRaw, wantTail = 2.5, 2, 0.5, 1
		}
		s.report.compare(all, "milepost", "postgres", "requests per server CPU second", measurement.perCPUSecond, wantCPU)
		s.report.compare(all, "milepost", "postgres", "requests/s", measurement.perSecond, wantRate)
		s.report.compare(all, "postgres", "milepost", "p99", func(m measurement) float64 { return m.P99 }, wantTail)
		s.report.compare(all, "milepost", "raw pebble", "requests/s", measurement.perSecond, wantRaw)
	}
	return nil
}
