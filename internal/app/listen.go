package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

	"milepost/internal/config"
)

func splitAddress(address string) (network, rest string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// listen opens host:port or unix:/path, with TLS if it is configured.
func listen(address string, secure *tls.Config) (net.Listener, error) {
	network, rest := splitAddress(address)
	if network == "unix" {
		if err := removeStale(rest); err != nil {
			return nil, err
		}
	}
	ln, err := net.Listen(network, rest)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("cannot listen on %q: %w; stop the process that has it, or set another address", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q: %w", address, err)
	}
	if secure == nil {
		return ln, nil
	}
	return tls.NewListener(ln, secure), nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at socket %q: %w", path, err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%q exists and is no socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("somebody listens on socket %q already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether socket %q is in use: %w", path, err)
	}
	return os.Remove(path)
}

// address is where a client finds the server.
func address(ln net.Listener, cfg *config.Config) string {
	if strings.HasPrefix(cfg.Server.Listen, "unix:") {
		return cfg.Server.Listen
	}
	scheme := "http://"
	if cfg.Server.TLSCert != "" {
		scheme = "https://"
	}
	host, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		return scheme + ln.Addr().String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost" // it listens on all, and nobody can call that
	}
	return scheme + net.JoinHostPort(host, port)
}
