package main

import (
	"bufio"
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

// TestDrainFinishesWhatHasBegun: after SIGTERM the server says that it is not
// ready and still answers the request whose body it was reading.
func TestDrainFinishesWhatHasBegun(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret, "MILEPOST_SERVER_DRAIN_TIMEOUT=20s")
	job, text := "drain0000000000000000001", requestBody(1)
	c, err := net.Dial("tcp", p.api)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
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
	if _, err := io.WriteString(c, text[100:]); err != nil {
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
	case <-deadline:
		t.Error("the server did not end")
	}
}
