package app

import (
	"fmt"
	"log/slog"
	"net"
	"os"
)

// The states that the service manager is told, in the words of sd_notify(3).
const (
	stateReady    = "READY=1"
	stateStopping = "STOPPING=1"
)

// notify tells the service manager that started the program of its state
// (sd_notify(3), Type=notify), if there is one. Failing to is no reason to
// stop: the manager has its own time limit, after which it says so.
func notify(state string, log *slog.Logger) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if err := sendState(path, state); err != nil {
		log.Warn("cannot notify the service manager", "state", state, "error", err)
	}
}

// sendState sends one datagram to a socket; a path that begins with @ is in
// Linux' abstract namespace, as in the variable.
func sendState(path, state string) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("cannot write to %q: %w", path, err)
	}
	return nil
}
