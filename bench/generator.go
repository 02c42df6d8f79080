package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// generatorTolerance is by how much our generator and wrk may differ.
const generatorTolerance = 0.1

// runGenerator is `bench generator`.
func runGenerator(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "generator", 5, progress)
	return s.run(args, out, func() error { return measureGenerator(s) })
}

// measureGenerator lets this program and wrk load the same static file of nginx
// in turn. Both must find the rate that the file is served at.
func measureGenerator(s *scenario) error {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		s.report.note("left out: wrk: %v", errNoPeer)
		return nil
	}
	file := cannedAnswer{Body: string(textPool()[:4<<10])}
	// Nothing is asked of the origin: the file is nginx's own.
	nginx, err := startNginx(s.ctx, s.path("nginx"), "127.0.0.1:9", map[string]cannedAnswer{"/file": file})
	if errors.Is(err, errNoPeer) {
		s.report.note("left out: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	s.cleanup(nginx.end)
	get := knownGet{request: getRequest(nginx.static, "none", "/file"), status: 200, want: []byte(file.Body)}
	ours := drivenReads([]readSystem{{"this generator", nginx.pid(), nginx.static}}, []knownGet{get})
	theirs := system{"wrk", func(ctx context.Context, t span) (measurement, error) {
		return measureWrk(ctx, wrk, "http://"+nginx.static+"/file", t, nginx.pid())
	}}
	all, err := s.interleave(fmt.Sprintf("GET 4 KB of a file of nginx, %d connections", readConnections), append(ours, theirs))
	if err != nil {
		return err
	}
	s.report.compare(all, "this generator", "wrk", "requests/s", measurement.perSecond, 1-generatorTolerance)
	s.report.compareAtMost(all, "this generator", "wrk", "requests per server CPU second", measurement.perCPUSecond, 1+generatorTolerance)
	return nil
}

// wrkResult is what wrk's summary says.
var (
	wrkRequests = regexp.MustCompile(`(\d+) requests in ([0-9.]+)(ms|s|m)`)
	wrkErrors   = regexp.MustCompile(`Socket errors:|Non-2xx`)
)

// measureWrk makes one run of wrk, with a connection for each of ours.
func measureWrk(ctx context.Context, program, url string, t span, pid int) (measurement, error) {
	seconds := max(1, int((t.duration+time.Second-1)/time.Second))
	run := func(seconds int) ([]byte, error) {
		return exec.CommandContext(ctx, program, "-t2", fmt.Sprintf("-c%d", readConnections), fmt.Sprintf("-d%ds", seconds), url).CombinedOutput()
	}
	before, self := cpuOf(pid), childCPU()
	out, err := run(seconds)
	if err != nil {
		return measurement{}, fmt.Errorf("wrk: %w\n%s", err, excerpt(out))
	}
	m, err := parseWrk(string(out))
	m.ServerCPU, m.GeneratorCPU, m.PSS = cpuOf(pid)-before, childCPU()-self, treePSS(pid)
	return m, err
}

// parseWrk reads wrk's summary.
func parseWrk(out string) (measurement, error) {
	found := wrkRequests.FindStringSubmatch(out)
	if found == nil {
		return measurement{}, fmt.Errorf("wrk says %s", excerpt([]byte(out)))
	}
	requests, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return measurement{}, fmt.Errorf("wrk says %s", excerpt([]byte(out)))
	}
	d, err := time.ParseDuration(found[2] + found[3])
	if err != nil {
		return measurement{}, fmt.Errorf("wrk says %s", excerpt([]byte(out)))
	}
	m := measurement{Requests: requests, Seconds: d.Seconds()}
	if wrkErrors.MatchString(out) {
		m.Errors, m.FirstError = 1, "wrk had errors: "+excerpt([]byte(out))
	}
	return m, nil
}
