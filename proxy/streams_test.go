package proxy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"milepost/internal/config"
)

func TestStreamsOrderOfChecks(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	path := string(streamsPath)
	a.refuses(t, []fault{
		{"no key", "GET", path + "?job=" + jobID, "", "", 401, unauthorized},
		{"no key comes before the query", "GET", path, "", "", 401, unauthorized},
		{"a route that is nearly it", "GET", path + "/?job=" + jobID, keyA, "", 404, noRoute},
		{"a method", "POST", path + "?job=" + jobID, keyA, "{}", 405, noMethod},
		{"the method comes before the scope", "PUT", path, keyWrite, "", 405, noMethod},
		{"the scope comes before the query", "GET", path, keyWrite, "", 403, noRead},
		{"no job", "GET", path, keyA, "", 422, "@job"},
		{"an empty one", "GET", path + "?job=", keyA, "", 422, "@job"},
		{"no id", "GET", path + "?job=" + jobID + "&job=x", keyA, "", 422, "@job"},
		{"101 jobs", "GET", streamsOf(jobs(101)), keyA, "", 422, "@job"},
		{"the query comes before the job", "GET", path + "?job=" + unknownJob + "&job=x", keyA, "", 422, "@job"},
		{"an unknown job", "GET", path + "?job=" + jobID + "&job=" + unknownJob, keyA, "", 404, noJob},
		{"a job of another organization", "GET", path + "?job=" + jobID, keyB, "", 404, noJob},
		{"HEAD of no job", "HEAD", path, keyA, "", 422, ""},
	})
	if r := a.do("HEAD", path+"?job="+jobID, keyA, nil); r.StatusCode != 200 || r.Header.Get("Content-Type") != eventStream {
		t.Errorf("HEAD: %d %v", r.StatusCode, r.Header)
	}
	r := a.do("GET", path+"?job="+strings.Repeat("x&job=", 500), keyA, nil)
	var e struct{ Reason []json.RawMessage }
	if err := json.Unmarshal(r.body, &e); err != nil || len(e.Reason) != 100 {
		t.Errorf("500 faults are answered with %d, %v", len(e.Reason), err)
	}
	if n := a.metric("stream_subscribers"); n != 0 {
		t.Errorf("%v subscribers after refusals", n)
	}
}

// wall is what a client of many jobs has got.
type wall struct {
	watcher *watcher
	got     map[string][]string // by job
	ended   map[string]bool
	id      string
}

// read takes one event, which must be the next of its job.
func (w *wall) read() (job string) {
	w.watcher.t.Helper()
	e := w.watcher.next()
	var d struct {
		ExpertJobID string
		Sequence    int
	}
	if err := json.Unmarshal([]byte(e.data), &d); err != nil {
		w.watcher.t.Fatal(err)
	}
	job, w.id = d.ExpertJobID, e.id
	switch {
	case w.ended[job]:
		w.watcher.t.Fatalf("%s after the end of job %s", e.name, job)
	case e.name == "complete":
		w.ended[job] = true
	case e.name != "message" || d.Sequence != len(w.got[job])+1:
		w.watcher.t.Fatalf("%s with sequence %d of job %s, which has %d", e.name, d.Sequence, job, len(w.got[job]))
	default:
		w.got[job] = append(w.got[job], e.data)
	}
	return job
}

func (w *wall) count() (n int) {
	for _, got := range w.got {
		n += len(got)
	}
	return n
}

// A hundred jobs on one connection: each in its order, resumed in any order of
// the jobs and with another beside them, until all have ended.
func TestStreamsOfAHundredJobs(t *testing.T) {
	a := start(t, nil)
	all := jobs(99)
	want := map[string][]string{}
	post := func(job string, b []byte) {
		raw, _ := a.post(job, b)
		want[job] = append(want[job], string(raw))
	}
	for i, j := range all {
		for range i%3 + 1 {
			post(j, body(nil))
		}
	}
	w := &wall{got: map[string][]string{}, ended: map[string]bool{}}
	open := func(jobs []string) {
		w.watcher = a.watch(streamsOf(jobs), keyRead, "Last-Event-ID", w.id)
	}
	open(all)
	for w.count() < 120 {
		w.read()
	}
	if len(w.id) > 1500 {
		t.Errorf("the id of a hundred jobs has %d characters", len(w.id))
	}
	w.watcher.close()
	<-a.left

	slices.Reverse(all)
	open(all)
	post(all[7], withStatus("completed"))
	post(all[8], body(nil))
	total := 0
	for _, list := range want {
		total += len(list)
	}
	for w.count() < total || !w.ended[all[7]] {
		w.read()
	}
	w.watcher.close()
	<-a.left

	// A job more: its beginning, and nothing of the others again.
	added := fmt.Sprintf("new%021d", 0)
	post(added, body(nil))
	all = append([]string{added}, all...)
	open(all)
	if job := w.read(); job != added {
		t.Errorf("got an event of job %s", job)
	}
	for _, j := range all {
		if !w.ended[j] {
			post(j, withStatus("stoppedByError"))
		}
	}
	for len(w.ended) < len(all) {
		w.read()
	}
	w.watcher.ended()
	<-a.left
	for j, list := range want {
		if !slices.Equal(w.got[j], list) {
			t.Errorf("job %s: %d checkpoints, want %d", j, len(w.got[j]), len(list))
		}
	}

	if r := a.do("GET", streamsOf(all), keyRead, nil, "Last-Event-ID", w.id); r.StatusCode != 204 {
		t.Errorf("after the end of all: %d", r.StatusCode)
	}
	// One was continued: it alone goes on.
	post(all[7], body(nil))
	open(all)
	delete(w.ended, all[7])
	if job := w.read(); job != all[7] {
		t.Errorf("got an event of job %s", job)
	}
	post(all[7], withStatus("completed"))
	w.read()
	w.read()
	w.watcher.ended()
}

func TestStreamsResume(t *testing.T) {
	a := start(t, nil)
	two := jobs(2)
	first, firstID := a.post(two[0], body(nil))
	second, _ := a.post(two[1], body(nil))
	w := a.watch(streamsOf([]string{two[0], two[0]}), keyA)
	id := w.messages(first)
	w.close()
	both := func(e1, e2 event) bool {
		return e1.data == string(first) && e2.data == string(second) || e1.data == string(second) && e2.data == string(first)
	}
	for name, from := range map[string]string{
		"an id of the stream of one job": firstID, "no id": "?", "half an id": id[:3], "one much too long": strings.Repeat("A", 9000),
		"the end of a stream of one job": "complete-" + firstID, "zeros": "AAAA", "an overlong number": "AAAA____________",
	} {
		w := a.watch(streamsOf(two), keyA, "Last-Event-ID", from)
		if e1, e2 := w.next(), w.next(); !both(e1, e2) {
			t.Errorf("%s: %.60v and %.60v", name, e1, e2)
		}
		w.close()
	}
	a.watch(streamsOf(two)+"&last_event_id="+id, keyA).messages(second)
	// On the stream of one job such an id means nothing.
	a.watch(streamPath(two[0]), keyA, "Last-Event-ID", id).messages(first)
}

// A wall that may wait for its jobs learns nothing of those of another
// organization.
func TestStreamsWaitForJobs(t *testing.T) {
	a := start(t, func(c *config.Config) {
		c.Stream.UnknownJob, c.Stream.Heartbeat = "wait", config.Duration(20*time.Millisecond)
	})
	ours, theirs := jobs(2)[0], jobs(2)[1]
	w := a.watch(streamsOf([]string{theirs, ours}), keyB)
	a.post(theirs, body(nil))
	a.post(theirs, withStatus("completed"))
	r := a.do("POST", collection(ours), keyB, withStatus("completed"))
	if r.StatusCode != 200 {
		t.Fatalf("%d %s", r.StatusCode, r.body)
	}
	if e := w.next(); e.name != "message" || !strings.Contains(e.data, ours) {
		t.Fatalf("got %.100v", e)
	}
	w.complete(ours, "completed")
	w.silent(3)
}
