package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// benchKey is the API key of the servers that a scenario starts. They listen
// on loopback and end with the scenario.
const benchKey = "bench-key-on-loopback-only-0123456789"

// buildMilepost builds the product as it is shipped, without cgo, into dir.
func buildMilepost(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "milepost")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "milepost/cmd/milepost")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build milepost: %w\n%s", err, out)
	}
	return path, nil
}

// milepostServer is a running milepost.
type milepostServer struct {
	*process
	addr, admin string
	dir         string
}

// startMilepost starts the program binary on the data directory dir and waits
// until it is ready. Its configuration is the default one but for settings,
// which are environment variables such as MILEPOST_CACHE_SIZE=1MiB.
func startMilepost(ctx context.Context, binary, dir string, settings ...string) (*milepostServer, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "serve")
	// Nothing comes from the user's environment and directory.
	cmd.Dir = filepath.Dir(dir)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MILEPOST_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env,
		"MILEPOST_API_KEY="+benchKey,
		"MILEPOST_SERVER_LISTEN="+addr,
		"MILEPOST_SERVER_ADMIN_LISTEN="+admin,
		"MILEPOST_STORE_DIR="+dir,
	)
	for _, v := range settings {
		if strings.HasPrefix(v, "--") {
			cmd.Args = append(cmd.Args, v)
		} else {
			cmd.Env = append(cmd.Env, v)
		}
	}
	p, err := startProcess(cmd, dir+".log", syscall.SIGTERM)
	if err != nil {
		return nil, err
	}
	m := &milepostServer{process: p, addr: addr, admin: admin, dir: dir}
	err = p.ready(ctx, func() error {
		_, err := m.adminGet("/readyz")
		return err
	})
	if err != nil {
		_ = p.end()
		return nil, err
	}
	return m, nil
}

// adminGet reads path from the admin listener, whose answer must be 200.
func (m *milepostServer) adminGet(path string) ([]byte, error) {
	c, err := dialRaw(m.admin)
	if err != nil {
		return nil, err
	}
	defer c.close()
	body, err := c.ask(getRequest(m.admin, "", path))
	return bytes.Clone(body), err
}

// metric returns the sum of all series of the metric name.
func (m *milepostServer) metric(name string) (float64, error) {
	body, err := m.adminGet("/metrics")
	if err != nil {
		return 0, fmt.Errorf("cannot read metrics: %w", err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(body)) {
		rest, ok := strings.CutPrefix(line, name)
		if !ok || (rest[0] != ' ' && rest[0] != '{') {
			continue
		}
		fields := strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])
		v, err := strconv.ParseFloat(fields[0], 64)
		if err != nil {
			return 0, fmt.Errorf("metric %s reads %q", name, line)
		}
		sum, found = sum+v, true
	}
	if !found {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return sum, nil
}
