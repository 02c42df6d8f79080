package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// outageRounds is how often TestOutageDrill kills the upstream.
var outageRounds = 2

// drill is an upstream, a sidecar in front of it, and who uses them. Both keep
// their addresses when they are started again.
type drill struct {
	t                *testing.T
	ctx              context.Context
	up, side         *process
	upDir, sideDir   string
	upEnv, sideEnv   []string
	upAPI, sideAPI   string
	upAdmin, sideAdm string
	written          atomic.Int64
}

func startDrill(t *testing.T, ctx context.Context) *drill {
	t.Helper()
	dir := t.TempDir()
	d := &drill{t: t, ctx: ctx, upDir: filepath.Join(dir, "up"), sideDir: filepath.Join(dir, "side")}
	d.upEnv = []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STREAM_HEARTBEAT=200ms"}
	d.up = startProcess(t, d.upDir, d.upEnv...)
	d.sideEnv = []string{
		"MILEPOST_UPSTREAM_URL=http://" + d.up.api, "MILEPOST_UPSTREAM_MAX_BACKOFF=200ms", "MILEPOST_UPSTREAM_AUTH_TTL=1s",
		"MILEPOST_UPSTREAM_STREAM_IDLE=1s", "MILEPOST_STREAM_HEARTBEAT=200ms", "MILEPOST_SERVER_DRAIN_SPREAD=100ms",
		"MILEPOST_STREAM_UNKNOWN_JOB=wait", // subscribers come before the job
	}
	d.side = startProcess(t, d.sideDir, d.sideEnv...)
	d.upAPI, d.upAdmin, d.sideAPI, d.sideAdm = d.up.api, d.up.admin, d.side.api, d.side.admin
	return d
}

func (d *drill) startUpstream() {
	d.t.Helper()
	d.up = startAt(d.t, d.upDir, d.upAPI, d.upAdmin, d.upEnv...)
}

// restartSidecar ends the sidecar and starts it again.
func (d *drill) restartSidecar(s syscall.Signal) {
	d.t.Helper()
	if err := d.side.stop(s); s == syscall.SIGTERM && err != nil {
		d.t.Errorf("the sidecar's end: %v\n%s", err, d.side.logs.String())
	}
	d.side = startAt(d.t, d.sideDir, d.sideAPI, d.sideAdm, d.sideEnv...)
}

// post writes a step of a job, and repeats it under the same key until it has an
// answer. Every second step goes through the sidecar.
func (d *drill) post(job string, step int, status string) bool {
	body := strings.Replace(requestBody(step), `"status":"proceeding"`, `"status":"`+status+`"`, 1)
	to := &process{api: [2]string{d.upAPI, d.sideAPI}[step%2]}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		code, answer, err := to.do("POST", path(job), secret, body, fmt.Sprint("step-", step))
		switch {
		case err == nil && code == 200:
			d.written.Add(1)
			return true
		case err == nil && code != 502 && code != 503 && code != 504 && code != 409:
			d.t.Errorf("POST: %d %s", code, answer)
			return false
		case d.ctx.Err() != nil:
			d.t.Errorf("the writer of %s: %v", job, d.ctx.Err())
			return false
		}
	}
}

// progress waits until so many more checkpoints were written.
func (d *drill) progress(n int64) {
	d.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for want := d.written.Load() + n; d.written.Load() < want; <-tick.C {
		if d.ctx.Err() != nil {
			d.t.Fatal("the writers do not get on")
		}
	}
}

// noticed waits until the sidecar knows that its upstream is away.
func (d *drill) noticed() {
	d.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		code, b, err := get("http://" + d.sideAdm + "/readyz?verbose")
		if err != nil || code != 200 {
			d.t.Fatalf("readyz in an outage: %d %s %v", code, b, err)
		}
		if strings.Contains(string(b), "upstream: cannot be reached") {
			return
		}
		if d.ctx.Err() != nil {
			d.t.Fatalf("the sidecar does not notice the outage: %s", b)
		}
	}
}

// TestOutageDrill kills the upstream again and again under subscribers and
// writers, and the sidecar as well, with the upstream and without: all end with
// the upstream's exact list. MILEPOST_OUTAGE_ROUNDS sets how often (default 2);
// from ten on there are 500 subscribers, and 50 writes a second.
func TestOutageDrill(t *testing.T) {
	rounds, subscribers, step := outageRounds, 60, int64(20)
	jobs, every := make([]string, 2), 20*time.Millisecond // between the writes of a job
	if rounds >= 10 {
		subscribers, step = 500, 100
		jobs, every = make([]string, 5), 100*time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Duration(rounds)*20*time.Second)
	defer cancel()
	d := startDrill(t, ctx)
	for i := range jobs {
		jobs[i] = fmt.Sprintf("drill%019d", i)
	}

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	followers := make([]*follower, subscribers)
	var reading, writing sync.WaitGroup
	for i := range followers {
		followers[i] = &follower{base: "http://" + d.sideAPI, job: jobs[i%len(jobs)]}
		reading.Go(func() {
			if err := followers[i].follow(ctx, client); err != nil {
				t.Errorf("subscriber %d: %v", i, err)
			}
		})
	}
	for _, job := range jobs {
		if !d.post(job, 0, "init") {
			t.FailNow()
		}
	}
	// One that nobody writes to any more: of the others the copy may have a hole at
	// any moment, and then no list.
	const quiet = "drillquiet00000000000000"
	if !d.post(quiet, 1, "init") {
		t.FailNow()
	}
	if all, _ := ids(t, d.side, quiet); len(all) != 1 {
		t.Fatalf("%d checkpoints of a job with one", len(all))
	}
	d.written.Store(int64(len(jobs)))
	stop := make(chan struct{})
	for _, job := range jobs {
		writing.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for step := 1; ; step++ {
				select {
				case <-stop:
					d.post(job, step, "completed")
					return
				case <-tick.C:
					if !d.post(job, step, "proceeding") {
						return
					}
				}
			}
		})
	}

	for round := range rounds {
		d.progress(step)
		if round == rounds/2 {
			d.restartSidecar(syscall.SIGKILL) // with the upstream there
			d.progress(step)
		}
		_ = d.up.stop(syscall.SIGKILL)
		switch round {
		case 0:
			d.noticed()
			list(t, d.side, quiet)
			d.restartSidecar(syscall.SIGKILL) // without it
		case rounds - 1:
			d.restartSidecar(syscall.SIGTERM)
		}
		d.startUpstream()
	}
	d.progress(step)
	close(stop)
	writing.Wait()
	reading.Wait()

	var total int64
	for i, job := range jobs {
		want, sum := ids(t, d.up, job)
		total += int64(len(want))
		for n, f := range followers {
			if n%len(jobs) != i {
				continue
			}
			if fmt.Sprint(f.ids) != fmt.Sprint(want) {
				t.Errorf("subscriber %d has %d checkpoints of %s, the upstream %d", n, len(f.ids), job, len(want))
			} else if f.sum != sum {
				t.Errorf("subscriber %d has other bytes of %s", n, job)
			}
		}
		if got, same := ids(t, d.side, job); fmt.Sprint(got) != fmt.Sprint(want) || same != sum {
			t.Errorf("the sidecar lists %d checkpoints of %s, the upstream %d", len(got), job, len(want))
		}
	}
	if total != d.written.Load() {
		t.Errorf("the upstream has %d checkpoints of %d that were acknowledged", total, d.written.Load())
	}
	t.Logf("%d subscribers of %d jobs with %d checkpoints, %d kills", subscribers, len(jobs), total, rounds)
}
