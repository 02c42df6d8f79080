package app

import (
	"bytes"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// managerSocket is where a service manager would listen.
func managerSocket(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// told returns the next datagram.
func told(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 256)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// The socket of systemd is a path; that of some containers is abstract.
func TestNotifySendsToTheSocketOfTheVariable(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "notify"), "@milepost-notify-test"} {
		manager := managerSocket(t, name)
		t.Setenv("NOTIFY_SOCKET", name)
		var log bytes.Buffer
		notify(stateReady, slog.New(slog.NewTextHandler(&log, nil)))
		if got := told(t, manager); got != "READY=1" || log.Len() > 0 {
			t.Errorf("%s: got %q, log %q", name, got, log.String())
		}
	}
}

func TestNotifyOfNobodyIsLoggedAndNoFailure(t *testing.T) {
	for variable, want := range map[string]bool{"": false, filepath.Join(t.TempDir(), "nobody"): true} {
		t.Setenv("NOTIFY_SOCKET", variable)
		var log bytes.Buffer
		notify(stateStopping, slog.New(slog.NewTextHandler(&log, nil)))
		if got := strings.Contains(log.String(), "STOPPING=1"); got != want {
			t.Errorf("NOTIFY_SOCKET=%q: log %q", variable, log.String())
		}
	}
}
