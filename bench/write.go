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
	cross := s.flags.Bool("pgbench", false, "load PostgreSQL by pgbench too, to check our client of it")
	return s.runOn(args, out, func(s *scenario, server subject) error { return measureWrites(s, server, *cross) })
}

// writePeers are what milepost is measured against; each may be nil.
type writePeers struct {
	postgres *postgresServer
	pgbench  *pgbench
	raw      *pebblePeer
}

// startWritePeers starts the peers, and notes which are not installed.
func startWritePeers(s *scenario, cross bool) (writePeers, error) {
	var p writePeers
	if !s.peers || s.target != "" {
		return p, nil
	}
	var err error
	if p.postgres, err = startPostgres(s.ctx, s.path("postgres")); err == nil {
		s.cleanup(p.postgres.end)
		if cross {
			p.pgbench, err = newPgbench(p.postgres, s.path("pgbench"))
		}
	}
	if errors.Is(err, errNoPeer) {
		s.report.note("left out: %v", err)
	} else if err != nil {
		return p, err
	}
	if p.raw, err = startPebblePeer(s.path("pebble")); err != nil {
		return p, err
	}
	s.cleanup(p.raw.end)
	return p, nil
}

// measureWrites posts from 1, 16 and 64 connections, each to a job of its own,
// and then recorded jobs. cross adds PostgreSQL loaded by pgbench to those of 64.
func measureWrites(s *scenario, server subject, cross bool) error {
	peers, err := startWritePeers(s, cross)
	if err != nil {
		return err
	}
	ids, writer := newRand(randomSeed(), 0), uint32(0)
	for _, connections := range []int{1, 16, 64} {
		open := func(dial func(job string, writer uint32) (*link, error)) func() ([]*link, error) {
			return openers(connections, func() (*link, error) {
				writer++
				return dial(newID(ids), writer)
			})
		}
		systems := []system{driven("milepost", server.pid, open(func(job string, writer uint32) (*link, error) {
			return newWriteTask(server.addr, server.key, job, writeSize, writer, true)
		}))}
		if peers.postgres != nil {
			systems = append(systems, driven("postgres", peers.postgres.pid(), open(func(job string, writer uint32) (*link, error) {
				return newPGTask(peers.postgres.addr, job, writeSize, writer)
			})))
		}
		if peers.raw != nil {
			systems = append(systems, system{"raw pebble", func(_ context.Context, t span) (measurement, error) {
				return peers.raw.measure(pebbleRun{Goroutines: connections, Size: writeSize, Warmup: t.warmup, Duration: t.duration})
			}})
		}
		if peers.pgbench != nil && connections == 64 {
			systems = append(systems, system{"postgres by pgbench", func(ctx context.Context, t span) (measurement, error) {
				writer++
				body, err := newTemplate(writeSize, writer)
				if err != nil {
					return measurement{}, err
				}
				return peers.pgbench.measure(ctx, connections, newID(ids), body.next().body, t)
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
		s.report.compare(all, "postgres", "milepost", "p99", measurement.p99, wantTail)
		s.report.compare(all, "milepost", "raw pebble", "requests/s", measurement.perSecond, wantRaw)
		s.report.compare(all, "postgres", "postgres by pgbench", "requests/s", measurement.perSecond, 0)
		s.report.compare(all, "postgres", "postgres by pgbench", "requests per server CPU second", measurement.perCPUSecond, 0)
	}
	return measureRecordedJobs(s, server, peers)
}
