package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// health runs the verb as a container's health check does and returns its exit
// status and what it printed.
func (p *process) health() (int, string) {
	p.t.Helper()
	cmd := exec.Command(binary, "health")
	cmd.Env = append(cmd.Environ(), "MILEPOST_SERVER_ADMIN_LISTEN="+p.admin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// The service manager hears READY once the server is ready and STOPPING when it
// drains, and the verb health is of the same opinion.
func TestHealthAndTheServiceManager(t *testing.T) {
	dir := t.TempDir()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := manager.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	told := func(want string) {
		t.Helper()
		b := make([]byte, 256)
		n, err := manager.Read(b)
		if err != nil || string(b[:n]) != want {
			t.Fatalf("the service manager was told %q, %v; want %s", b[:n], err, want)
		}
	}
	p := startProcess(t, filepath.Join(dir, "data"), "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	told("READY=1")
	if code, out := p.health(); code != exitOK || out != "ready\n" {
		t.Errorf("of a ready server: status %d, %q", code, out)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	told("STOPPING=1")
	if code, out := p.health(); code != exitFailure || !strings.Contains(out, "cannot reach the server at "+p.admin) {
		t.Errorf("of no server: status %d, %q", code, out)
	}
}
