package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc64"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// follower reads a job's stream as a careful client does: it reconnects after
// every end but that of the job, and says what it got last.
type follower struct {
	base, job string
	ids       []string
	sum       uint64 // over the data of the checkpoints
}

// follow reads until the job has ended.
func (f *follower) follow(ctx context.Context, client *http.Client) error {
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		done, err := f.read(ctx, client)
		if done || err != nil {
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return fmt.Errorf("after %d checkpoints: %w", len(f.ids), ctx.Err())
		}
	}
}

// read reads one connection to its end.
func (f *follower) read(ctx context.Context, client *http.Client) (done bool, err error) {
	req, err := http.NewRequestWithContext(ctx, "GET", f.base+path(f.job)+"stream", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if len(f.ids) > 0 {
		req.Header.Set("Last-Event-ID", f.ids[len(f.ids)-1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return false, nil // it is down
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusBadGateway, resp.StatusCode == http.StatusGatewayTimeout:
		return false, nil
	case resp.StatusCode != http.StatusOK:
		return false, fmt.Errorf("the stream: %d", resp.StatusCode)
	}
	var id, event, data string
	r := bufio.NewReader(resp.Body)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false, nil // cut
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			data = value
		case "":
			switch event {
			case "message":
				f.ids, f.sum = append(f.ids, id), sumOf(f.sum, data)
			case "complete":
				return true, nil
			case "error":
				return false, nil
			}
			id, event, data = "", "", ""
		}
	}
}

// list checks the answers of a sidecar whose upstream is down.
func list(t *testing.T, side *process, job string) {
	t.Helper()
	req, err := http.NewRequest("GET", "http://"+side.api+path(job)+"?take=100", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Age") == "" {
		t.Errorf("the list in an outage: %d %v", resp.StatusCode, resp.Header)
	}
	if code, b, err := side.do("POST", path(job), "another-key-0123456789", requestBody(1), ""); err != nil || code < 502 || code > 504 {
		t.Errorf("a write in an outage: %d %s %v", code, b, err)
	}
}

// sumOf adds a checkpoint's JSON to a sum over those before it.
func sumOf(sum uint64, data string) uint64 {
	return crc64.Update(sum, crcTable, []byte(data))
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// ids lists the checkpoints of a job, and sums up their JSON.
func ids(t *testing.T, p *process, job string) (all []string, sum uint64) {
	t.Helper()
	return idsAs(t, p, job, secret)
}

// idsAs is ids with a key.
func idsAs(t *testing.T, p *process, job, key string) (all []string, sum uint64) {
	t.Helper()
	for {
		code, b, err := p.do("GET", fmt.Sprintf("%s?take=100&skip=%d", path(job), len(all)), key, "", "")
		if err != nil || code != 200 {
			t.Fatalf("the list: %d %s %v", code, b, err)
		}
		var list struct {
			Data struct{ Checkpoints []json.RawMessage }
			Meta struct{ Total int }
		}
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, text := range list.Data.Checkpoints {
			var c struct{ ID string }
			if err := json.Unmarshal(text, &c); err != nil {
				t.Fatal(err)
			}
			all, sum = append(all, c.ID), sumOf(sum, string(text))
		}
		if len(all) >= list.Meta.Total || len(list.Data.Checkpoints) == 0 {
			return all, sum
		}
	}
}

// TestReadyWithoutItsUpstream: a sidecar is of use without the upstream, and says
// what is wrong to whom asks.
func TestReadyWithoutItsUpstream(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_UPSTREAM_URL=http://"+freeAddress(t), "MILEPOST_UPSTREAM_RETRIES=0",
		"MILEPOST_UPSTREAM_MAX_BACKOFF=5m") // the longest that the configuration takes
	if code, b, err := p.do("GET", path("none00000000000000000001"), secret, "", ""); err != nil || code != 503 {
		t.Errorf("a list: %d %s %v", code, b, err)
	}
	for query, want := range map[string]string{"": "ready\n", "?verbose": "ready\nupstream: cannot be reached\n"} {
		if code, b, err := get("http://" + p.admin + "/readyz" + query); err != nil || code != 200 || string(b) != want {
			t.Errorf("readyz%s: %d %q %v", query, code, b, err)
		}
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.logs.String())
	}
}

// TestCheckConfigOfUpstream: each fault of a sidecar's configuration is named.
func TestCheckConfigOfUpstream(t *testing.T) {
	for text, want := range map[string]string{
		"[upstream]\nurl = \"ftp://x\"\n":                                           "upstream.url",
		"[upstream]\nurl = \"http://x/path\"\n":                                     "upstream.url",
		"[upstream]\nurl = \"http://user:pw@x\"\n":                                  "upstream.url",
		"[upstream]\nauth = \"none\"\n":                                             "upstream.auth",
		"[upstream]\nurl = \"http://x\"\nauth = \"local\"\n":                        "upstream.api_key",
		"[upstream]\nauth_ttl = \"0s\"\n":                                           "upstream.auth_ttl",
		"[upstream]\ncert = \"a.pem\"\n":                                            "upstream.cert",
		"[upstream]\ntrusted_proxies = [\"10.0.0.1\"]\n":                            "upstream.trusted_proxies",
		"[upstream]\nmax_backoff = \"1ms\"\nstream_idle = \"0s\"\nretries = 100\n":  "upstream.retries",
		"[upstream]\nurl = \"https://x\"\nmax_event = \"1KiB\"\nlinger = \"-1s\"\n": "upstream.max_event",
	} {
		file := filepath.Join(t.TempDir(), "milepost.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command(binary, "check-config", "--config", file).CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%q gives %s", text, out)
		}
	}
	good := filepath.Join(t.TempDir(), "good.toml")
	if err := os.WriteFile(good, []byte("[upstream]\nurl = \"https://api.example.com\"\nauth = \"local\"\napi_key = \"a-secret-of-the-sidecar\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(binary, "check-config", "--config", good).CombinedOutput(); err != nil {
		t.Errorf("a good configuration: %v\n%s", err, out)
	}
}

// TestDataDirectoryServesOneOrTheOther: a start on a directory of the other kind
// says what to do, leaves everything as it is, and does not count as a crash.
func TestDataDirectoryServesOneOrTheOther(t *testing.T) {
	base := t.TempDir()
	upDir, sideDir := filepath.Join(base, "up"), filepath.Join(base, "side")
	const job = "oneortheother00000000000"
	start := func() (up, side *process) {
		up = startProcess(t, upDir, "MILEPOST_API_KEY="+secret)
		return up, startProcess(t, sideDir, "MILEPOST_UPSTREAM_URL=http://"+up.api)
	}
	up, side := start()
	if code, b, err := side.do("POST", path(job), secret, requestBody(1), ""); err != nil || code != 200 {
		t.Fatalf("POST: %d %s %v", code, b, err)
	}
	for _, p := range []*process{side, up} {
		if err := p.stop(syscall.SIGTERM); err != nil {
			t.Fatalf("SIGTERM: %v\n%s", err, p.logs.String())
		}
	}
	for _, c := range []struct{ dir, upstream, says string }{
		{upDir, "http://127.0.0.1:1", "start without upstream.url"},
		{sideDir, "", "Set upstream.url (--upstream)"},
	} {
		cmd := exec.Command(binary, "--listen", "127.0.0.1:0", "--admin-listen", "", "--data", c.dir, "--upstream", c.upstream)
		cmd.Env = append(os.Environ(), "MILEPOST_STORE_MIN_FREE=0B", "MILEPOST_API_KEY="+secret)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(out), c.says) || !strings.Contains(string(out), c.dir) {
			t.Errorf("exit %d, want 1 with %q:\n%s", code, c.says, out)
		}
	}
	up, side = start()
	for _, p := range []*process{up, side} {
		if got, _ := ids(t, p, job); len(got) != 1 {
			t.Errorf("%d checkpoints, want 1", len(got))
		}
		if _, b, err := get("http://" + p.admin + "/metrics"); err != nil || !strings.Contains(string(b), "milepost_unclean_shutdowns_total 0\n") {
			t.Errorf("a refused start counts as a crash: %v", err)
		}
	}
}
