package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestFailedStartIsNoUncleanShutdown: a start that fails closes what it opened,
// so the next one has nothing to report.
func TestFailedStartIsNoUncleanShutdown(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(binary, "--data", dir, "--listen", taken.Addr().String(), "--admin-listen", "")
	cmd.Env = append(os.Environ(), "MILEPOST_STORE_MIN_FREE=0B")
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), "cannot listen") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	_, b, err := get("http://" + p.admin + "/metrics")
	if err != nil || !strings.Contains(string(b), "milepost_unclean_shutdowns_total 0\n") {
		t.Errorf("the failed start counts as an unclean shutdown: %v", err)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.logs.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "running")); !os.IsNotExist(err) {
		t.Errorf("the mark of a running server is left: %v", err)
	}
}

// beginDrain sends a part of a request, then SIGTERM, and returns the connection
// and the rest of the request once the server says that it drains.
func beginDrain(t *testing.T, p *process) (c net.Conn, rest string) {
	t.Helper()
	job, text := "drain0000000000000000001", requestBody(1)
	c, err := net.Dial("tcp", p.api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: milepost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path(job), secret, len(text), text[:100]); err != nil {
		t.Fatal(err)
	}
	// Connections are accepted in order: an answer to this one shows that the
	// server has the first.
	if code, _, err := p.do("GET", path(job), secret, "", ""); err != nil || code != 404 {
		t.Fatalf("the job before its first checkpoint: %d %v", code, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for draining := false; !draining; {
		code, b, err := get("http://" + p.admin + "/readyz")
		if err != nil {
			t.Fatalf("readyz during the drain: %v", err)
		}
		draining = code == 503 && string(b) == "draining\n"
		select {
		case <-deadline:
			t.Fatalf("readyz after SIGTERM: %d %s", code, b)
		case <-tick.C:
		}
	}
	return c, text[100:]
}

// TestDrainFinishesWhatHasBegun: after SIGTERM the server says that it is not
// ready and still answers the request whose body it was reading.
func TestDrainFinishesWhatHasBegun(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret, "MILEPOST_SERVER_DRAIN_TIMEOUT=20s")
	c, rest := beginDrain(t, p)
	if _, err := io.WriteString(c, rest); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("the request in flight: %v", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the request in flight: %d", resp.StatusCode)
	}
	select {
	case err := <-p.exited:
		if err != nil {
			t.Errorf("the end: %v\n%s", err, p.logs.String())
		}
	case <-time.After(20 * time.Second):
		t.Error("the server did not end")
	}
}

// TestSecondSignalEndsTheDrain: whoever sends a second one does not want to wait
// for the requests in flight.
func TestSecondSignalEndsTheDrain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret, "MILEPOST_SERVER_DRAIN_TIMEOUT=1h")
	beginDrain(t, p)
	var exit *exec.ExitError
	if err := p.stop(syscall.SIGINT); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the second signal: %v, want exit status 1", err)
	}
	if !strings.Contains(p.logs.String(), "second signal: ending at once") {
		t.Errorf("log:\n%s", p.logs.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "running")); err != nil {
		t.Errorf("the mark of a process that did not come to its end: %v", err)
	}
}
