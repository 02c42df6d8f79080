package main

import (
	"errors"
	"fmt"
	"strings"
)

// sidecarGetSize is the size of the bodies that are read through the sidecar.
const sidecarGetSize = 4 << 10

// measureSidecarCache reads one checkpoint again and again from the sidecar's
// local copy, beside nginx that has cached it from the same upstream.
func measureSidecarCache(s *sidecarScenario) error {
	front, err := s.startSidecar(s.upstream.addr)
	if err != nil {
		return err
	}
	stored, err := storeAnswer(s.ctx, subject{addr: front.addr, key: benchKey}, sidecarGetSize)
	if err != nil {
		return err
	}
	systems := []readSystem{{sidecarName, front.pid(), front.addr}}
	if s.peers {
		nginx, err := startNginx(s.ctx, s.path("nginx-cache"), s.upstream.addr, nil)
		switch {
		case err == nil:
			s.cleanup(nginx.end)
			systems = append(systems, readSystem{nginxPushOff, nginx.pid(), nginx.withoutPush}, readSystem{nginxPushOn, nginx.pid(), nginx.withPush})
		case errors.Is(err, errNoPeer):
			s.report.note("left out: %v", err)
		default:
			return err
		}
	}
	// Each cache has it before it counts; the sidecar has it since the POST.
	for _, x := range systems[1:] {
		c, err := newClient("http://"+x.addr, benchKey)
		if err != nil {
			return err
		}
		if _, err := fetch(s.ctx, c, stored.path); err != nil {
			return err
		}
	}
	before, err := s.reachedUpstream()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("cached GET %d KB, %d connections", sidecarGetSize>>10, readConnections)
	all, err := s.interleave(name, drivenReads(systems, []knownGet{stored.get(benchKey)}))
	if err != nil {
		return err
	}
	after, err := s.reachedUpstream()
	if err != nil {
		return err
	}
	s.report.compare(all, sidecarName, betterNginx(all), "requests per server CPU second", measurement.perCPUSecond, 1.1)
	if after > before {
		s.report.fail("%g of the cached GETs reached the upstream", after-before)
	}
	return nil
}

// The systems of pass-through, as they are named in reports.
const (
	passNginx  = "nginx proxy_pass"
	passDirect = "the upstream itself"
)

// measureSidecarPass reads a file of another server through the sidecar and
// through nginx. Its path is none of the API's, so neither keeps it.
func measureSidecarPass(s *sidecarScenario) error {
	if !s.peers {
		s.report.note("left out: pass-through, whose upstream is nginx")
		return nil
	}
	const path = "/files/report.json"
	file := cannedAnswer{Body: strings.Repeat("milepost", sidecarGetSize/len("milepost"))}
	origin, err := startNginx(s.ctx, s.path("nginx-files"), s.upstream.addr, map[string]cannedAnswer{path: file})
	if errors.Is(err, errNoPeer) {
		s.report.note("left out: %v", err)
		return nil
	}
	if err != nil {
		return err
	}
	s.cleanup(origin.end)
	front, err := s.startSidecar(origin.static)
	if err != nil {
		return err
	}
	proxy, err := startPassingNginx(s.ctx, s.path("nginx-pass"), origin.static)
	if err != nil {
		return err
	}
	s.cleanup(proxy.end)
	systems := []readSystem{
		{sidecarName, front.pid(), front.addr}, {passNginx, proxy.pid(), proxy.addr}, {passDirect, origin.pid(), origin.static},
	}
	name := fmt.Sprintf("pass-through GET %d KB, %d connections", sidecarGetSize>>10, readConnections)
	all, err := s.interleave(name, drivenReads(systems, []knownGet{storedAnswer{path, file}.get(benchKey)}))
	if err != nil {
		return err
	}
	s.report.compare(all, sidecarName, passNginx, "requests per server CPU second", measurement.perCPUSecond, 0.8)
	s.report.compare(all, sidecarName, passNginx, "requests/s", measurement.perSecond, 0)
	return nil
}
