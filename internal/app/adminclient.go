package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"milepost/internal/config"
)

// Backup asks the running server to write a copy of its store to a directory.
func Backup(cfg *config.Config, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return askAdmin(cfg, "/backup", adminRequest{Dir: dir})
}

// Delete asks the running server to delete a job with all its checkpoints.
func Delete(cfg *config.Config, job string) error {
	return askAdmin(cfg, "/delete", adminRequest{Job: job})
}

func askAdmin(cfg *config.Config, path string, q adminRequest) error {
	return askAdminFor(cfg, path, q, nil)
}

// askAdminFor asks and decodes the answer, unless it is of no interest.
func askAdminFor(cfg *config.Config, path string, q adminRequest, answer any) error {
	address := cfg.Server.AdminListen
	if address == "" {
		return fmt.Errorf("server.admin_listen is off: there is nobody to ask")
	}
	token, err := os.ReadFile(filepath.Join(cfg.Store.Dir, tokenFile))
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot read the admin token: %w; run this as the user that runs the server", err)
	}
	if err != nil {
		return fmt.Errorf("cannot read the admin token; is the server running on this data directory? %w", err)
	}
	body, err := json.Marshal(&q)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := adminHTTP(address).Do(req)
	if err != nil {
		return fmt.Errorf("cannot reach the server at %s: %w; is it running? server.admin_listen (--admin-listen) says where it is", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("the server refused: %s", strings.TrimSpace(string(reason)))
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("the server's answer is not what it should be: %w", err)
	}
	return nil
}

// adminHTTP returns a client that reaches the listener at address whatever the
// host of a URL.
func adminHTTP(address string) *http.Client {
	network, dial := splitAddress(address)
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, dial)
		},
	}}
}
