package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// runNginx starts nginx with its files in dir, and waits until it listens at all
// addrs. config is a format whose first argument is dir and whose second is a
// directive for the user, if one is needed; args are the rest.
func runNginx(ctx context.Context, dir, config string, addrs []string, args ...any) (*process, error) {
	path, err := exec.LookPath("nginx")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			return nil, fmt.Errorf("nginx: %w", errNoPeer)
		}
	}
	user := ""
	if os.Getuid() == 0 {
		// Its workers read and write below our directory.
		user = "user root;"
	}
	file := filepath.Join(dir, "nginx.conf")
	text := fmt.Appendf(nil, config, append([]any{dir, user}, args...)...)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, text, 0o644)); err != nil {
		return nil, fmt.Errorf("cannot configure nginx: %w", err)
	}
	p, err := startProcess(exec.Command(path, "-p", dir, "-c", file, "-g", "daemon off;"), dir+".log", syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	for _, addr := range addrs {
		if err := p.ready(ctx, dials(addr)); err != nil {
			return nil, errors.Join(err, p.end())
		}
	}
	return p, nil
}
