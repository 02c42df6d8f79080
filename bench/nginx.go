package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// nginxConfig caches on disk what an origin answers, as its documentation
// advises for files that are asked for again and again: sendfile, a cache of
// open files, no access log. tcp_nopush differs between two servers, because
// with it on, loopback stalls on large bodies.
const nginxConfig = `
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr error;
%[2]s
events { worker_connections 4096; multi_accept on; }
http {
	access_log off;
	sendfile on;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	keepalive_timeout 3600s;
	open_file_cache max=1000 inactive=1h;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	proxy_cache_path %[1]s/cache levels=1:2 keys_zone=checkpoints:10m inactive=1h use_temp_path=off;
	proxy_cache checkpoints;
	proxy_cache_key $request_uri;
	proxy_cache_valid 200 1h;
	proxy_ignore_headers Cache-Control Expires Vary Set-Cookie;
	proxy_http_version 1.1;
	server { listen %[3]s; tcp_nopush off; location / { proxy_pass http://%[5]s; } }
	server { listen %[4]s; tcp_nopush on; location / { proxy_pass http://%[5]s; } }
	server { listen %[6]s; tcp_nopush off; proxy_cache off; default_type application/json; root %[1]s/static; }
}
`

// nginxServer is a running nginx with a cache in front of an origin, and with
// files.
type nginxServer struct {
	*process
	// withoutPush and withPush are the addresses with tcp_nopush off and on,
	// static is that of the files, with tcp_nopush off.
	withoutPush, withPush, static string
}

// startNginx starts nginx in dir in front of origin. files are bodies by path.
func startNginx(ctx context.Context, dir, origin string, files map[string]cannedAnswer) (*nginxServer, error) {
	for name, file := range files {
		name = filepath.Join(dir, "static", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(file.Body), 0o644)); err != nil {
			return nil, fmt.Errorf("cannot write a file for nginx: %w", err)
		}
	}
	off, errOff := freeAddr()
	on, errOn := freeAddr()
	static, errStatic := freeAddr()
	if err := errors.Join(errOff, errOn, errStatic); err != nil {
		return nil, err
	}
	p, err := runNginx(ctx, dir, nginxConfig, []string{off, on, static}, off, on, origin, static)
	if err != nil {
		return nil, err
	}
	return &nginxServer{p, off, on, static}, nil
}
