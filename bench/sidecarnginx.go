package main

import "context"

// passingConfig relays everything, keeps the connections to the origin as its
// documentation advises, and caches nothing.
const passingConfig = `
worker_processes 2;
pid %[1]s/nginx.pid;
error_log stderr error;
%[2]s
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
		server %[4]s;
		keepalive 256;
		keepalive_requests 1000000000;
	}
	server {
		listen %[3]s;
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
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := runNginx(ctx, dir, passingConfig, []string{addr}, addr, origin)
	if err != nil {
		return nil, err
	}
	return &passingNginx{p, addr}, nil
}
