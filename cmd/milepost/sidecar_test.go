package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// follower reads a job's stream as a careful client does: it reconnects after
// every end but that of the job, and says what it got last.
type follower struct {
	base, job string
	ids       []string
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
	var id, event string
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
		case "":
			switch event {
			case "message":
				f.ids = append(f.ids, id)
			case "complete":
				return true, nil
			case "error":
				return false, nil
			}
			id, event = "", ""
		}
	}
}

// TestOutageDrill kills the upstream again and again under subscribers and a
// writer, and the sidecar as well: all end with the upstream's exact list.
func TestOutageDrill(t *testing.T) {
	const subscribers, kills = 200, 8
	dir := t.TempDir()
	upDir, sideDir := filepath.Join(dir, "up"), filepath.Join(dir, "side")
	upEnv := []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STREAM_HEARTBEAT=200ms"}
	up := startProcess(t, upDir, upEnv...)
	sideEnv := []string{
		"MILEPOST_UPSTREAM_URL=http://" + up.api, "MILEPOST_UPSTREAM_MAX_BACKOFF=200ms", "MILEPOST_UPSTREAM_AUTH_TTL=1s",
		"MILEPOST_UPSTREAM_STREAM_IDLE=1s", "MILEPOST_STREAM_HEARTBEAT=200ms", "MILEPOST_SERVER_DRAIN_SPREAD=100ms",
	}
	side := startProcess(t, sideDir, sideEnv...)
	addresses := []string{up.api, side.api} // which they keep
	const job = "drill0000000000000000001"
	if code, b, err := up.do("POST", path(job), secret, requestBody(1), "first"); err != nil || code != 200 {
		t.Fatalf("POST: %d %s %v", code, b, err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	followers := make([]*follower, subscribers)
	var reading sync.WaitGroup
	for i := range followers {
		followers[i] = &follower{base: "http://" + side.api, job: job}
		reading.Go(func() {
			if err := followers[i].follow(ctx, client); err != nil {
				t.Errorf("subscriber %d: %v", i, err)
			}
		})
	}

	// The writer retries under the same key until it has an answer; every second
	// one goes through the sidecar.
	var written atomic.Int64
	written.Store(1)
	stop := make(chan struct{})
	var writing sync.WaitGroup
	post := func(step int, status string) {
		b := strings.Replace(requestBody(step), `"status":"proceeding"`, `"status":"`+status+`"`, 1)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; ; <-tick.C {
			p := addresses[step%2]
			code, answer, err := (&process{api: p}).do("POST", path(job), secret, b, fmt.Sprint("step-", step))
			switch {
			case err == nil && code == 200:
				written.Add(1)
				return
			case err == nil && code != 502 && code != 503 && code != 504 && code != 409:
				t.Errorf("POST: %d %s", code, answer)
				return
			case ctx.Err() != nil:
				t.Errorf("the writer: %v", ctx.Err())
				return
			}
		}
	}
	writing.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for step := 2; ; step++ {
			select {
			case <-stop:
				post(step, "completed")
				return
			case <-tick.C:
				post(step, "proceeding")
			}
		}
	})
	progress := func(n int64) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for want := written.Load() + n; written.Load() < want; <-tick.C {
			if ctx.Err() != nil {
				t.Fatal("the writer does not get on")
			}
		}
	}

	for round := range kills {
		progress(20)
		upAPI, upAdmin := up.api, up.admin
		_ = up.stop(syscall.SIGKILL)
		if round == 1 {
			list(t, side, job)
		}
		if round == 2 || round == 3 {
			signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[round-2]
			sideAPI, sideAdmin := side.api, side.admin
			if err := side.stop(signal); signal == syscall.SIGTERM && err != nil {
				t.Errorf("the sidecar's end: %v\n%s", err, side.logs.String())
			}
			side = startAt(t, sideDir, sideAPI, sideAdmin, sideEnv...)
		}
		up = startAt(t, upDir, upAPI, upAdmin, upEnv...)
	}
	progress(20)
	close(stop)
	writing.Wait()
	reading.Wait()

	want := ids(t, up, job)
	if int64(len(want)) != written.Load() {
		t.Errorf("the upstream has %d checkpoints of %d that were acknowledged", len(want), written.Load())
	}
	for i, f := range followers {
		if fmt.Sprint(f.ids) != fmt.Sprint(want) {
			t.Errorf("subscriber %d has %d checkpoints, the upstream %d", i, len(f.ids), len(want))
		}
	}
	if got := ids(t, side, job); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the sidecar lists %d checkpoints, the upstream %d", len(got), len(want))
	}
	t.Logf("%d subscribers have %d checkpoints each", subscribers, len(want))
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
	code, b, err := get("http://" + side.admin + "/readyz?verbose")
	if err != nil || code != 200 || !strings.Contains(string(b), "upstream: cannot be reached") {
		t.Errorf("readyz in an outage: %d %s %v", code, b, err)
	}
	if code, b, err := side.do("POST", path(job), "another-key-0123456789", requestBody(1), ""); err != nil || code < 502 || code > 504 {
		t.Errorf("a write in an outage: %d %s %v", code, b, err)
	}
}

// ids lists the checkpoints of a job.
func ids(t *testing.T, p *process, job string) (all []string) {
	t.Helper()
	for {
		code, b, err := p.do("GET", fmt.Sprintf("%s?take=100&skip=%d", path(job), len(all)), secret, "", "")
		if err != nil || code != 200 {
			t.Fatalf("the list: %d %s %v", code, b, err)
		}
		var list struct {
			Data struct{ Checkpoints []struct{ ID string } }
			Meta struct{ Total int }
		}
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Data.Checkpoints {
			all = append(all, c.ID)
		}
		if len(all) >= list.Meta.Total || len(list.Data.Checkpoints) == 0 {
			return all
		}
	}
}

// TestReadyWithoutItsUpstream: a sidecar is of use without the upstream, and says
// what is wrong to whom asks.
func TestReadyWithoutItsUpstream(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_UPSTREAM_URL=http://"+freeAddress(t), "MILEPOST_UPSTREAM_RETRIES=0")
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
		"[stream]\nunknown_job = \"wait\"\n[upstream]\nurl = \"http://x\"\n":        "stream.unknown_job",
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
