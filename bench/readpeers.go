package main

import "errors"

// The peers of reads, as they are named in reports.
const (
	bareFasthttp = "bare fasthttp"
	nginxPushOff = "nginx, tcp_nopush off"
	nginxPushOn  = "nginx, tcp_nopush on"
	nginxStatic  = "nginx static"
	varnishName  = "Varnish"
)

// readSystem is a running server that has the answers to the reads.
type readSystem struct {
	name string
	pid  int
	addr string
}

// startReadPeers starts the peers with their answers, and notes which are not
// installed.
func startReadPeers(s *scenario, answers map[string]cannedAnswer) ([]readSystem, error) {
	if !s.peers || s.target != "" {
		return nil, nil
	}
	bare, err := startFasthttpPeer(s.ctx, answers, s.path("answers.json"))
	if err != nil {
		return nil, err
	}
	s.cleanup(bare.end)
	all := []readSystem{{bareFasthttp, bare.pid(), bare.addr}}
	// The caches' origin is the bare peer, which they ask once for each body.
	nginx, err := startNginx(s.ctx, s.path("nginx"), bare.addr, answers)
	if err == nil {
		s.cleanup(nginx.end)
		all = append(all, readSystem{nginxPushOff, nginx.pid(), nginx.withoutPush}, readSystem{nginxPushOn, nginx.pid(), nginx.withPush},
			readSystem{nginxStatic, nginx.pid(), nginx.static})
	} else if !errors.Is(err, errNoPeer) {
		return nil, err
	}
	varnish, varnishErr := startVarnish(s.ctx, s.path("varnish"), bare.addr)
	if varnishErr == nil {
		s.cleanup(varnish.end)
		all = append(all, readSystem{varnishName, varnish.pid(), varnish.addr})
	} else if !errors.Is(varnishErr, errNoPeer) {
		return nil, varnishErr
	}
	for _, err := range []error{err, varnishErr} {
		if err != nil {
			s.report.note("left out: %v", err)
		}
	}
	return all, nil
}

// drivenReads lets many connections ask each system for gets.
func drivenReads(systems []readSystem, gets []knownGet) []system {
	var all []system
	for _, x := range systems {
		connection := 0
		all = append(all, driven(x.name, x.pid, openers(readConnections, func() (*link, error) {
			// Each begins elsewhere, so that they do not all ask for the same.
			connection++
			return newReadTask(x.addr, gets, connection*7919)
		})))
	}
	return all
}
