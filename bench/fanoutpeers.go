package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// peerStarter starts a peer with its files under dir.
type peerStarter struct {
	name  string
	start func(ctx context.Context, dir string) (*fanoutSystem, error)
}

// peerStarters are the peers of the fan-out scenarios.
var peerStarters = []peerStarter{
	{"nchan", startNchan},
	{"hub", startHub},
	{"centrifuge", startCentrifuge},
}

// nchanModules are where Debian and others put nchan's module.
var nchanModules = []string{
	"/usr/lib/nginx/modules/ngx_nchan_module.so",
	"/usr/lib64/nginx/modules/ngx_nchan_module.so",
	"/etc/nginx/modules/ngx_nchan_module.so",
}

// nchanConfig is what nchan's documentation advises for events that go to many
// subscribers of one server: channels by the URL's id, messages in shared
// memory and never in a file, a short buffer with a time-out so that it does
// not grow, two workers for two cores, no access log. New subscribers get what
// is published from then on. The buffer is four times the backlog that the
// benchmark publishes at once.
const nchanConfig = `
load_module %[4]s;
worker_processes 2;
worker_rlimit_nofile 20000;
pid %[1]s/nginx.pid;
error_log stderr error;
%[2]s
events { worker_connections 18000; }
http {
	access_log off;
	tcp_nodelay on;
	keepalive_requests 1000000000;
	keepalive_timeout 3600s;
	client_max_body_size 1m;
	client_body_buffer_size 256k;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	nchan_shared_memory_size 256M;
	nchan_message_buffer_length 64;
	nchan_message_timeout 1m;
	server {
		listen %[3]s reuseport backlog=4096;
		location ~ ^/pub/(\w+)$ {
			nchan_publisher http;
			nchan_channel_id $1;
		}
		location ~ ^/sub/(\w+)$ {
			nchan_subscriber eventsource;
			nchan_channel_id $1;
			nchan_subscriber_first_message newest;
		}
	}
}
`

// startNchan starts nginx with nchan.
func startNchan(ctx context.Context, dir string) (*fanoutSystem, error) {
	module := ""
	for _, path := range nchanModules {
		if _, err := os.Stat(path); err == nil {
			module = path
			break
		}
	}
	if module == "" {
		return nil, fmt.Errorf("nchan (Debian's libnginx-mod-nchan): %w", errNoPeer)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := runNginx(ctx, dir, nchanConfig, []string{addr}, addr, module)
	if err != nil {
		return nil, err
	}
	// id: 1795518774:12, data: and the line ends.
	x := plainSystem("nchan", addr, p.pid(), "", "", len("id: 1795518774:0\ndata: \n\n"))
	x.end = p.end
	return x, nil
}

// startHub starts the hand-written hub of bench/peers.
func startHub(ctx context.Context, dir string) (*fanoutSystem, error) {
	p, addr, err := startGoPeer(ctx, dir, "hub")
	if err != nil {
		return nil, err
	}
	x := plainSystem("hub", addr, p.pid(), "", "", len("id: 100\ndata: \n\n"))
	x.end = p.end
	return x, nil
}

// startCentrifuge starts the centrifuge server of bench/peers.
func startCentrifuge(ctx context.Context, dir string) (*fanoutSystem, error) {
	p, addr, err := startGoPeer(ctx, dir, "centrifuge")
	if err != nil {
		return nil, err
	}
	overhead := len(`data: {"channel":"","pub":{"data":""}}`+"\n\n") + idLength
	x := plainSystem("centrifuge", addr, p.pid(), `"`, `"`, overhead)
	x.end = p.end
	return x, nil
}

// startGoPeer builds and starts a program of bench/peers, a module of its own,
// so that the product does not depend on what they need.
func startGoPeer(ctx context.Context, dir, name string) (*process, string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "milepost").Output()
	if err != nil {
		return nil, "", fmt.Errorf("%s: cannot find its sources: %w", name, errNoPeer)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	binary := filepath.Join(dir, name)
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./"+name)
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), "bench", "peers")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("%s: cannot build it (%s): %w", name, excerpt(out), errNoPeer)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	p, err := startProcess(exec.Command(binary, "-addr", addr), dir+".log", syscall.SIGKILL)
	if err != nil {
		return nil, "", err
	}
	if err := p.ready(ctx, dials(addr)); err != nil {
		return nil, "", errors.Join(err, p.end())
	}
	return p, addr, nil
}
