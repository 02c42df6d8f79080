package app

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"milepost/internal/config"
)

// healthTimeout is how long the server may take to say that it is ready. The
// answer needs no disk and no lock that is held for long, so a healthy server
// takes microseconds.
const healthTimeout = 5 * time.Second

// Health asks the running server's admin listener whether it may get traffic
// (/readyz). The error has the reasons why not.
func Health(cfg *config.Config) error {
	address := cfg.Server.AdminListen
	if address == "" {
		return errors.New("server.admin_listen is off: there is nobody to ask")
	}
	client := adminHTTP(address)
	client.Timeout = healthTimeout
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://admin/readyz")
	if err != nil {
		return fmt.Errorf("cannot reach the server at %s: %w; is it running? server.admin_listen (--admin-listen) says where it is", address, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return fmt.Errorf("the answer of the server at %s broke off: %w", address, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.ReplaceAll(strings.TrimSpace(string(answer)), "\n", "; "))
	}
	return nil
}
