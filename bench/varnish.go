package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// varnishConfig caches what an origin answers for an hour, whatever its caller
// sends: as shipped, Varnish passes requests with Authorization on.
const varnishConfig = `vcl 4.1;
backend origin { .host = "%s"; .port = "%s"; }
sub vcl_recv { return (hash); }
sub vcl_backend_response {
	unset beresp.http.Set-Cookie;
	unset beresp.http.Vary;
	set beresp.ttl = 1h;
	return (deliver);
}
`

// varnishServer is a running Varnish in front of an origin.
type varnishServer struct {
	*process
	addr string
}

// startVarnish starts Varnish in dir in front of origin, with its objects in
// memory and the settings that it is shipped with.
func startVarnish(ctx context.Context, dir, origin string) (*varnishServer, error) {
	path, err := exec.LookPath("varnishd")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/varnishd"); err != nil {
			return nil, fmt.Errorf("varnishd: %w", errNoPeer)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(origin)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "default.vcl")
	if err := os.WriteFile(file, fmt.Appendf(nil, varnishConfig, host, port), 0o644); err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(exec.Command(path, "-F", "-a", addr, "-f", file, "-n", filepath.Join(dir, "work"), "-s", "malloc,256m"), dir+".log", syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, dials(addr)); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return &varnishServer{p, addr}, nil
}
