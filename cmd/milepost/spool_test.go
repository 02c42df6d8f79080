package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// spoolEnv is what makes a sidecar spool in front of an upstream.
func spoolEnv(upstream string) []string {
	return []string{
		"MILEPOST_API_KEY=" + secret, "MILEPOST_UPSTREAM_URL=http://" + upstream, "MILEPOST_UPSTREAM_AUTH=local",
		"MILEPOST_UPSTREAM_API_KEY=" + secret, "MILEPOST_UPSTREAM_WRITES=spool", "MILEPOST_UPSTREAM_MAX_BACKOFF=100ms",
		"MILEPOST_UPSTREAM_STREAM_IDLE=1s", "MILEPOST_STREAM_HEARTBEAT=200ms", "MILEPOST_SERVER_DRAIN_SPREAD=100ms",
	}
}

// TestSpoolDrill kills the upstream again and again under writers that go through
// the sidecar, and the sidecar as well: the upstream ends with every acknowledged
// checkpoint once, in the order of its writer, and each subscriber has seen each
// once.
func TestSpoolDrill(t *testing.T) {
	const writers, kills = 3, 5
	dir := t.TempDir()
	upDir, sideDir := filepath.Join(dir, "up"), filepath.Join(dir, "side")
	upEnv := []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STREAM_HEARTBEAT=200ms"}
	up := startProcess(t, upDir, upEnv...)
	side := startProcess(t, sideDir, spoolEnv(up.api)...)
	base := side.api // which it keeps
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()

	// A writer repeats a request under its key until it has an answer. All but the
	// sidecar's own end gives one at once.
	stop := make(chan struct{})
	var writing, reading sync.WaitGroup
	steps := make([]int, writers)
	subscribers := make([]*follower, 2*writers)
	post := func(w, step int, status string) bool {
		b := strings.Replace(requestBody(step), `"status":"proceeding"`, `"status":"`+status+`"`, 1)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ; ; <-tick.C {
			code, answer, err := (&process{api: base}).do("POST", path(spoolJob(w)), secret, b, fmt.Sprint("step-", step))
			switch {
			case err == nil && code == 200:
				return true
			case err == nil && code != 503 && code != 409:
				t.Errorf("POST: %d %s", code, answer)
				return false
			case ctx.Err() != nil:
				t.Errorf("writer %d: %v", w, ctx.Err())
				return false
			}
		}
	}
	for w := range writers {
		if !post(w, 1, "init") {
			t.FailNow()
		}
		for i := range 2 {
			f := &follower{base: "http://" + base, job: spoolJob(w)}
			subscribers[2*w+i] = f
			reading.Go(func() {
				if err := f.follow(ctx, client); err != nil {
					t.Errorf("a subscriber of %s: %v", f.job, err)
				}
			})
		}
		writing.Go(func() {
			tick := time.NewTicker(15 * time.Millisecond)
			defer tick.Stop()
			for steps[w] = 1; ; <-tick.C {
				select {
				case <-stop:
					steps[w]++
					post(w, steps[w], "completed")
					return
				default:
				}
				steps[w]++
				if !post(w, steps[w], "proceeding") {
					return
				}
			}
		})
	}
	pause := time.NewTicker(150 * time.Millisecond) // how long each state lasts
	defer pause.Stop()
	for round := range kills {
		<-pause.C
		upAPI, upAdmin := up.api, up.admin
		_ = up.stop(syscall.SIGKILL)
		<-pause.C
		if round == 2 {
			sideAPI, sideAdmin := side.api, side.admin
			_ = side.stop(syscall.SIGKILL)
			side = startAt(t, sideDir, sideAPI, sideAdmin, spoolEnv(upAPI)...)
			<-pause.C
		}
		up = startAt(t, upDir, upAPI, upAdmin, upEnv...)
	}
	<-pause.C
	close(stop)
	writing.Wait()
	reading.Wait()
	waitForSpool(t, side, 0)

	for w := range writers {
		job := spoolJob(w)
		want := stepsOf(t, up, job)
		for i, step := range want {
			if step != i+1 {
				t.Fatalf("%s: the upstream has the steps %v", job, want)
			}
		}
		if len(want) != steps[w] {
			t.Errorf("%s: the upstream has %d checkpoints of %d that were acknowledged", job, len(want), steps[w])
		}
		upstreams, _ := ids(t, up, job)
		for i, f := range subscribers[2*w : 2*w+2] {
			// What was shown before it was delivered has another id, which leads to the
			// upstream's.
			if got := resolved(t, side, job, f.ids); fmt.Sprint(got) != fmt.Sprint(upstreams) {
				t.Errorf("%s: subscriber %d has seen %d checkpoints, the upstream has %d\n%v\n%v", job, i, len(got), len(upstreams), got, upstreams)
			}
		}
	}
	t.Logf("%v checkpoints", steps)
}

func spoolJob(w int) string { return fmt.Sprintf("spool%019d", w) }

// waitForSpool waits until so many checkpoints are in the spool.
func waitForSpool(t *testing.T, p *process, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		if code, b, err := get("http://" + p.admin + "/metrics"); err == nil && code == 200 && strings.Contains(string(b), fmt.Sprintf("\nmilepost_spool_pending %d\n", n)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the spool does not get to %d\n%s", n, p.logs.String())
		}
	}
}

// stepsOf are the step numbers of a job, in its order.
func stepsOf(t *testing.T, p *process, job string) (steps []int) {
	t.Helper()
	for {
		code, b, err := p.do("GET", fmt.Sprintf("%s?take=100&skip=%d", path(job), len(steps)), secret, "", "")
		if err != nil || code != 200 {
			t.Fatalf("the list: %d %s %v", code, b, err)
		}
		var list struct {
			Data struct{ Checkpoints []struct{ StepNumber int } }
			Meta struct{ Total int }
		}
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Data.Checkpoints {
			steps = append(steps, c.StepNumber)
		}
		if len(steps) >= list.Meta.Total {
			return steps
		}
	}
}

// resolved asks a server for checkpoints and returns the ids that they have.
func resolved(t *testing.T, p *process, job string, seen []string) (canonical []string) {
	t.Helper()
	for _, id := range seen {
		code, b, err := p.do("GET", path(job)+id, secret, "", "")
		var one struct {
			Data struct{ Checkpoint struct{ ID string } }
		}
		if err != nil || code != 200 || json.Unmarshal(b, &one) != nil {
			t.Fatalf("GET %s: %d %s %v", id, code, b, err)
		}
		canonical = append(canonical, one.Data.Checkpoint.ID)
	}
	return canonical
}

// spoolCommand runs milepost spool and returns what it prints.
func spoolCommand(p *process, dir string, args ...string) (string, error) {
	c := exec.Command(binary, append(append([]string{"spool"}, args...), "--data", dir, "--admin-listen", p.admin)...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// An upstream that knows no expert of that name refuses for good what the sidecar
// has accepted: the operator sees it, tries again and gives up.
func TestSpoolCommand(t *testing.T) {
	dir := t.TempDir()
	upDir, sideDir, catalog := filepath.Join(dir, "up"), filepath.Join(dir, "side"), filepath.Join(dir, "catalog.json")
	if err := os.WriteFile(catalog, []byte(`[{"type":"expertDigest","id":"dddddddddddddddddddddddd","key":"helper@1.0.0","name":"helper",`+
		`"minRuntimeVersion":"v1.0","description":"","owner":{"organizationId":"oooooooooooooooooooooooo","createdAt":"2025-01-01T00:00:00.000Z"},`+
		`"createdAt":"2025-01-02T00:00:00.000Z","updatedAt":"2025-01-03T00:00:00Z","version":"1.0.0","tags":[]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	upEnv := []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_EXPERTS_MODE=catalog", "MILEPOST_EXPERTS_CATALOG=" + catalog}
	upAPI, upAdmin := freeAddress(t), freeAddress(t)
	side := startProcess(t, sideDir, spoolEnv(upAPI)...)
	job := spoolJob(0)
	bad := strings.ReplaceAll(requestBody(2), "helper", "nobody")
	for step, b := range []string{requestBody(1), bad, requestBody(3)} {
		if code, answer, err := side.do("POST", path(job), secret, b, ""); err != nil || code != 200 {
			t.Fatalf("step %d: %d %s %v", step+1, code, answer, err)
		}
	}
	out, err := spoolCommand(side, sideDir, "ls")
	if err != nil || strings.Count(out, " pending ") != 3 {
		t.Errorf("ls: %v\n%s", err, out)
	}
	up := startAt(t, upDir, upAPI, upAdmin, upEnv...)
	waitForSpool(t, side, 0)
	if got := stepsOf(t, up, job); fmt.Sprint(got) != "[1 3]" {
		t.Errorf("the upstream has the steps %v", got)
	}
	list := func() (id string) {
		t.Helper()
		out, err := spoolCommand(side, sideDir, "ls", "--json")
		var dead struct {
			ID, Job, State, Refusal string
			Status                  int
		}
		if err != nil || json.Unmarshal([]byte(out), &dead) != nil || dead.State != "dead" || dead.Status != 400 || dead.Job != job || !strings.Contains(dead.Refusal, "Expert not found: nobody@1.0.0") {
			t.Fatalf("ls --json: %v\n%s", err, out)
		}
		return dead.ID
	}
	if code, b, err := get("http://" + side.admin + "/readyz?verbose"); err != nil || code != 200 || string(b) != "ready\nupstream: reachable\nspool: 0 checkpoints wait, 1 were refused\n" {
		t.Errorf("readyz: %d %q %v", code, b, err)
	}
	id := list()
	if out, err := spoolCommand(side, sideDir, "ls"); err != nil || !strings.Contains(out, " dead ") || !strings.Contains(out, "400 ") {
		t.Errorf("ls: %v\n%s", err, out)
	}
	if out, err := spoolCommand(side, sideDir, "retry", "--all"); err != nil || out != "1 refused checkpoints are delivered again\n" {
		t.Errorf("retry: %v\n%s", err, out)
	}
	waitForSpool(t, side, 0)
	if again := list(); again != id {
		t.Errorf("it is %s now and was %s", again, id)
	}
	for _, args := range [][]string{{}, {"ls", "x"}, {"retry"}, {"drop"}, {"drop", "--all"}, {"other", id}} {
		if out, err := spoolCommand(side, sideDir, args...); err == nil || err.(*exec.ExitError).ExitCode() != exitUsage {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if out, err := spoolCommand(side, sideDir, "drop", id, "--json"); err != nil || out != "{\"dropped\":\""+id+"\"}\n" {
		t.Errorf("drop: %v\n%s", err, out)
	}
	if out, err := spoolCommand(side, sideDir, "drop", id); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("dropped twice: %v\n%s", err, out)
	}
	if out, err := spoolCommand(side, sideDir, "ls"); err != nil || out != "the spool is empty\n" {
		t.Errorf("ls: %v\n%s", err, out)
	}
	if code, b, err := side.do("GET", path(job)+id, secret, "", ""); err != nil || code != 404 {
		t.Errorf("dropped: %d %s %v", code, b, err)
	}
	if out, err := spoolCommand(up, upDir, "ls"); err == nil || !strings.Contains(out, "there is no spool") {
		t.Errorf("without an upstream: %v\n%s", err, out)
	}
}

// A spool needs a key of the sidecar's own, and says so before it starts.
func TestCheckConfigOfSpool(t *testing.T) {
	for text, want := range map[string]string{
		"[upstream]\nurl = \"http://x\"\nwrites = \"spool\"\n":                                                                              "upstream.writes",
		"[upstream]\nurl = \"http://x\"\nwrites = \"later\"\n":                                                                              "upstream.writes",
		"[upstream]\nurl = \"http://x\"\nauth = \"local\"\napi_key = \"a-secret-of-the-sidecar\"\nwrites = \"spool\"\nspool_max = \"1B\"\n": "upstream.spool_max",
		"[upstream]\nurl = \"http://x\"\nauth = \"local\"\napi_key = \"a-secret-of-the-sidecar\"\nwrites = \"spool\"\n":                     "",
	} {
		file := filepath.Join(t.TempDir(), "milepost.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(binary, "check-config", "--config", file).CombinedOutput()
		if (err == nil) != (want == "") || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v %s", text, err, out)
		}
	}
}
