package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// patiently lets streams of unknown jobs wait, with many heartbeats.
func patiently(c *config.Config) {
	c.Stream.UnknownJob, c.Stream.Heartbeat = "wait", config.Duration(20*time.Millisecond)
	c.Upstream.BreakerFailures, c.Upstream.Retries = 0, 0
}

// doorman is an upstream that answers what it is told to each credential.
type doorman struct {
	mu     sync.Mutex
	status map[string]int // by Authorization; 404 if it is not there
}

func (d *doorman) set(key string, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.status == nil {
		d.status = make(map[string]int)
	}
	d.status["Bearer "+key] = status
}

// only is the checkpoint that it has of each job.
var only = fmt.Sprintf(`{"id":%q,"sequence":1,"status":"completed"}`, unknownJob)

func (d *doorman) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	status := d.status[r.Header.Get("Authorization")]
	d.mu.Unlock()
	switch {
	case status == 0:
		w.WriteHeader(http.StatusNotFound)
	case status != http.StatusOK:
		w.WriteHeader(status)
	case strings.HasSuffix(r.URL.Path, "/stream"):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "id: %s\nevent: message\ndata: %s\n\nevent: complete\ndata: {\"status\":\"completed\"}\n\n", unknownJob, only)
	case r.Method == http.MethodPost:
		_, _ = fmt.Fprintf(w, `{"data":{"checkpoint":%s}}`, only)
	default:
		_, _ = fmt.Fprintf(w, `{"data":{"checkpoints":[%s]},"meta":{"total":1,"take":1,"skip":0}}`, only)
	}
}

// asks counts the requests of a key for a job's list.
func asks(up *upstreamtest.Server, key string) (n int) {
	for _, r := range up.Requests() {
		if r.Method == "GET" && strings.HasSuffix(r.Target, "?take=1") && r.Header.Get("Authorization") == "Bearer "+key {
			n++
		}
	}
	return n
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !is(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come about", what)
		}
	}
}

// A stream waits for what its own credential may see: that others are sent the job
// opens nothing, and shows nothing.
func TestWaitingStreamGetsWhatItsCredentialMaySee(t *testing.T) {
	up, d := upstreamtest.Start(t), new(doorman)
	up.Answer(d.serve)
	a := startAt(t, up.URL, "forward", func(c *config.Config) { patiently(c); c.Stream.MaxSubscribersPerJob = 3 })
	wall := a.watch(streamsOf([]string{jobID, jobs(1)[0]}), keyB)
	var strangers []*watcher
	for range 2 {
		strangers = append(strangers, a.watch(streamPath(jobID), keyB, "Last-Event-ID", unknownJob))
	}
	a.wants(streamPath(jobID), keyB, 503) // and that bound is its own
	d.set(keyA, 200)
	if r := a.do("POST", collection(jobID), keyA, body(nil)); r.StatusCode != 200 {
		t.Fatalf("POST: %d %s", r.StatusCode, r.body)
	}
	for range 3 {
		w := a.watch(streamPath(jobID), keyA)
		w.messages([]byte(only))
		w.complete(jobID, "completed")
		w.ended()
	}
	for _, path := range []string{collection(jobID) + unknownJob, collection(jobID), jobsPathOwn + "/" + jobID} {
		a.wants(path, keyB, 404)
	}
	a.server.sidecar.hub.Deleted(jobID)
	for _, w := range append(strangers, wall) {
		w.silent(3)
	}
	if a.server.sidecar.hub.Watched("", jobID) {
		t.Error("the job counts as watched")
	}

	before := asks(up, keyB)
	d.set(keyB, 200)
	for _, w := range strangers {
		w.messages([]byte(only))
		w.complete(jobID, "completed")
		w.ended()
	}
	if e := wall.next(); e.name != "message" || e.data != only {
		t.Errorf("the wall got %.100v", e)
	}
	wall.close()
	// One asks for all of a credential and a job.
	if n := asks(up, keyB) - before; n > 2*2 {
		t.Errorf("%d questions", n)
	}
	until(t, "the end of the waiting", func() bool { return a.server.sidecar.waits.count.Load() == 0 })
}

// The write that brings the first checkpoint wakes who waits for it, however long
// the pause between two questions has become.
func TestFirstWriteWakes(t *testing.T) {
	up, d := upstreamtest.Start(t), new(doorman)
	up.Answer(d.serve)
	a := startAt(t, up.URL, "forward", patiently)
	w := a.watch(streamPath(jobID), keyA)
	waits := a.server.sidecar.waits
	until(t, "the second question", func() bool { return asks(up, keyA) >= 2 })
	until(t, "the pause after it", func() bool {
		waits.mu.Lock()
		defer waits.mu.Unlock()
		return len(waits.queue) == 1
	})
	waits.mu.Lock()
	waits.queue[0].due = time.Now().Add(time.Hour)
	waits.mu.Unlock()
	d.set(keyA, 200)
	if r := a.do("POST", collection(jobID), keyA, body(nil)); r.StatusCode != 200 {
		t.Fatalf("POST: %d %s", r.StatusCode, r.body)
	}
	w.messages([]byte(only))
	w.complete(jobID, "completed")
	w.ended()
}

// A stream that waits ends when the upstream refuses its credential, and when it
// is away for too long.
func TestWaitingEnds(t *testing.T) {
	up, d := upstreamtest.Start(t), new(doorman)
	up.Answer(d.serve)
	a := startAt(t, up.URL, "forward", func(c *config.Config) {
		patiently(c)
		c.Upstream.GiveUp, c.Upstream.MaxBackoff = config.Duration(time.Second), config.Duration(300*time.Millisecond)
	})
	for key, status := range map[string]int{keyA: 401, keyRead: 403} {
		w := a.watch(streamPath(jobID), key)
		d.set(key, status)
		w.failed("revoked")
		a.wants(streamPath(jobID), key, status)
	}
	w := a.watch(streamPath(jobID), keyB)
	for _, status := range []int{500, 429, 503} { // none of them is a word on the credential
		before := asks(up, keyB)
		d.set(keyB, status)
		until(t, "the next question", func() bool { return asks(up, keyB) > before })
		w.silent(2)
	}
	d.set(keyB, 404)
	before := asks(up, keyB)
	until(t, "the next question", func() bool { return asks(up, keyB) > before+1 })
	w.silent(2)
	up.Down()
	w.failed("upstream_unavailable")
	a.wants(streamPath(jobID), keyB, 503)
}

// Those who leave are asked for no more.
func TestWaitingLeavesNothing(t *testing.T) {
	cfg := config.Default()
	patiently(cfg)
	a := startPair(t, vfs.NewMem(), cfg, "forward")
	var all []*watcher
	for _, key := range []string{keyA, keyA, keyB} {
		all = append(all, a.watch(streamsOf(jobs(3)), key))
	}
	if n := a.server.sidecar.waits.count.Load(); n != 6 {
		t.Errorf("%d wait, want 3 jobs of 2 credentials", n)
	}
	for _, w := range all {
		w.close()
	}
	waits := a.server.sidecar.waits
	until(t, "the end of the waiting", func() bool { return waits.count.Load() == 0 })
	waits.mu.Lock()
	defer waits.mu.Unlock()
	if len(waits.queue) != 0 || len(waits.of) != 0 {
		t.Errorf("%d in the queue, %d jobs", len(waits.queue), len(waits.of))
	}
}
