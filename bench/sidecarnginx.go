package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// passingConfig relays everything, keeps the connections to the origin as its
// documentation advises, and caches nothing.
const passingConfig = `
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr error;
%[4]s
events { worker_connections 4096; multi_accept on; }
http {
	access_log off;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	keepalive_timeout 3600s;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream origin {
		server %[3]s;
		keepalive 256;
		keepalive_requests 1000000000;
	}
	server {
		listen %[2]s;
		location / {
			proxy_pass http://origin;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}
	}
}
`

// passingNginx is a running nginx that relays to an origin.
type passingNginx struct {
	*process
	addr string
}

// startPassingNginx starts nginx in dir in front of origin.
func startPassingNginx(ctx context.Context, dir, origin string) (*passingNginx, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, fmt.Errorf("nginx: %w", errNoPeer)
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		// Its workers read and write below our directory.
		user = "user root;"
	}
	config := fmt.Sprintf(passingConfig, dir, addr, origin, user)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/nginx.conf", []byte(config), 0o644)); err != nil {
		return nil, fmt.Errorf("cannot configure nginx: %w", err)
	}
	p, err := startProcess(exec.Command(path, "-p", dir, "-c", dir+"/nginx.conf", "-g", "daemon off;"), dir+".log", syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	if err := p.ready(ctx, dials(addr)); err != nil {
		_ = p.end()
		return nil, err
	}
	return &passingNginx{p, addr}, nil
}
