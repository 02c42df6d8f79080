package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// outage is a sidecar that spools, with a real server behind a line that can be cut.
type outage struct {
	*api
	fs     vfs.FS
	change func(*config.Config)
	behind *api
	up     *upstreamtest.Server
	// instead, if set, answers a request that reaches the upstream, or returns false.
	instead atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func startOutage(t *testing.T, change func(*config.Config)) *outage {
	t.Helper()
	o := &outage{fs: vfs.NewMem(), change: change, up: upstreamtest.Start(t)}
	o.behind = startServer(t, o.fs, "upstream", config.Default(), nil)
	base, err := url.Parse(o.behind.base)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	relay := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(base) }, Transport: transport, FlushInterval: -1,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	o.up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if instead := o.instead.Load(); instead == nil || !(*instead)(w, r) {
			relay.ServeHTTP(w, r)
		}
	})
	o.begin(t)
	return o
}

// begin starts the sidecar, for the first time or once more on what it has left.
func (o *outage) begin(t *testing.T) {
	t.Helper()
	cfg := config.Default()
	u := &cfg.Upstream
	u.URL, u.Auth, u.APIKey, u.Writes = o.up.URL, "local", config.Secret(keyA), "spool"
	u.MaxBackoff, u.BreakerFailures = config.Duration(50*time.Millisecond), 3
	if o.change != nil {
		o.change(cfg)
	}
	o.api = startServer(t, o.fs, "sidecar", cfg, o.behind)
}

func (o *outage) answer(f func(http.ResponseWriter, *http.Request) bool) { o.instead.Store(&f) }

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("not so after 20 s: " + what)
		}
	}
}

// drained waits until the upstream has all that it takes.
func (o *outage) drained(t *testing.T) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool { return o.metric("spool_pending") == 0 })
}

// step is a request that is told from others.
func step(n int) []byte {
	return body(func(c, s map[string]any) { c["stepNumber"], s["stepNumber"] = n, n })
}

// steps are the ids and step numbers of a job as a server lists them.
func (a *api) steps(t *testing.T, job string) (ids []string, steps []int) {
	t.Helper()
	r := a.do("GET", collection(job)+"?take=100", keyA, nil)
	var list struct {
		Data struct {
			Checkpoints []struct {
				ID         string
				StepNumber int
			}
		}
		Meta struct{ Total int }
	}
	if err := json.Unmarshal(r.body, &list); err != nil || r.StatusCode != 200 || list.Meta.Total != len(list.Data.Checkpoints) {
		t.Fatalf("list: %d %s %v", r.StatusCode, r.body, err)
	}
	for _, c := range list.Data.Checkpoints {
		ids, steps = append(ids, c.ID), append(steps, c.StepNumber)
	}
	return ids, steps
}

func wantSteps(t *testing.T, a *api, job string, want ...int) (ids []string) {
	t.Helper()
	ids, got := a.steps(t, job)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the steps are %v, want %v", got, want)
	}
	return ids
}

// wantStep reads the next message of a stream.
func (w *watcher) wantStep(n int) (id string) {
	w.t.Helper()
	e := w.next()
	if e.name != "message" || !strings.Contains(e.data, fmt.Sprintf(`"stepNumber":%d,`, n)) {
		w.t.Fatalf("event %.300v, want step %d", e, n)
	}
	return e.id
}

// What is written while the upstream is away is there at once for whoever reads
// and watches, is delivered in order when it is back, and nobody sees it twice.
func TestSpooledWritesAreDelivered(t *testing.T) {
	o := startOutage(t, nil)
	_, first := o.post(jobID, step(1))
	w := o.watch(streamPath(jobID), keyRead)
	w.wantStep(1)
	o.up.Down()
	raw, second := o.post(jobID, step(2))
	_, third := o.post(jobID, step(3))
	if w.wantStep(2) != second || w.wantStep(3) != third {
		t.Error("the stream has other ids than the answers")
	}
	if ids := wantSteps(t, o.api, jobID, 1, 2, 3); fmt.Sprint(ids) != fmt.Sprint([]string{first, second, third}) {
		t.Errorf("listed %v", ids)
	}
	r := o.do("GET", collection(jobID)+second, keyRead, nil)
	if r.StatusCode != 200 || string(r.body) != envelopeStart+string(raw)+envelopeEnd || r.Header.Get("Cache-Control") != "private, no-cache" || r.Header.Get("ETag") != `"`+second+`"` {
		t.Errorf("a pending one: %d %v %s", r.StatusCode, r.Header, r.body)
	}
	if r := o.do("GET", collection(jobID)+second, keyRead, nil, "If-None-Match", `"`+second+`"`); r.StatusCode != 304 || r.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("asked again: %d %v", r.StatusCode, r.Header)
	}
	other := jobs(1)[0] // begins in the outage
	_, begun := o.post(other, step(1))
	late := o.watch(streamPath(other), keyRead)
	if late.wantStep(1) != begun {
		t.Error("a job that the upstream does not know")
	}
	if o.metric("spool_pending") != 3 || o.metric("spool_accepted_total") != 3 || o.metric("spool_bytes") == 0 {
		t.Errorf("%v pending, %v accepted", o.metric("spool_pending"), o.metric("spool_accepted_total"))
	}

	o.up.Up()
	o.drained(t)
	theirs := wantSteps(t, o.behind, jobID, 1, 2, 3)
	wantSteps(t, o.behind, other, 1)
	want := o.behind.do("GET", collection(jobID)+theirs[1], keyA, nil)
	for _, id := range []string{second, theirs[1], second} {
		r := o.do("GET", collection(jobID)+id, keyRead, nil)
		if r.StatusCode != 200 || !bytes.Equal(r.body, want.body) || r.Header.Get("ETag") != `"`+theirs[1]+`"` || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("delivered, as %s: %d %v %s", id, r.StatusCode, r.Header, r.body)
		}
	}
	_, fourth := o.post(jobID, step(4))
	if w.wantStep(4) != fourth {
		t.Error("the stream does not go on")
	}
	for _, id := range []string{second, theirs[1]} {
		again := o.watch(streamPath(jobID), keyRead, "Last-Event-ID", id)
		if again.wantStep(3) != theirs[2] || again.wantStep(4) != fourth {
			t.Errorf("resumed after %s", id)
		}
		again.close()
	}
	_, _ = o.post(other, step(2))
	late.wantStep(2)
	if n := o.metric("spool_delivered_total"); n != 3 {
		t.Errorf("%v delivered", n)
	}
}

// A job ends for its watchers with a checkpoint that waits, and stays ended when
// the upstream has it.
func TestJobEndsInAnOutage(t *testing.T) {
	o := startOutage(t, nil)
	o.post(jobID, step(1))
	w := o.watch(streamPath(jobID), keyRead)
	w.wantStep(1)
	o.up.Down()
	_, last := o.post(jobID, withStatus("completed"))
	w.wantStep(1)
	done := w.complete(jobID, "completed")
	w.ended()
	if done != "complete-"+last {
		t.Errorf("complete has the id %s", done)
	}
	for _, up := range []bool{false, true} {
		if up {
			o.up.Up()
			o.drained(t)
		}
		if r := o.do("GET", streamPath(jobID), keyRead, nil, "Last-Event-ID", done); r.StatusCode != 204 {
			t.Errorf("after the end, delivered %t: %d", up, r.StatusCode)
		}
	}
	w = o.watch(streamPath(jobID), keyRead)
	w.wantStep(1)
	w.wantStep(1)
	w.complete(jobID, "completed")
	w.ended()
}

// An answer that is lost on its way is asked for again under the same key: the
// upstream has the checkpoint once, and so do those who watch.
func TestLostAnswers(t *testing.T) {
	o := startOutage(t, impatient)
	o.post(jobID, step(1))
	w := o.watch(streamPath(jobID), keyRead)
	w.wantStep(1)
	for n := 2; n <= 9; n++ {
		lost := atomic.Bool{}
		o.answer(func(rw http.ResponseWriter, r *http.Request) bool {
			if r.Method != "POST" || lost.Swap(true) {
				return false
			}
			req, err := http.NewRequest("POST", o.behind.base+r.RequestURI, r.Body)
			if err != nil {
				t.Error(err)
			}
			req.Header = r.Header.Clone()
			resp, err := o.behind.client.Do(req)
			if err != nil || resp.StatusCode != 200 {
				t.Errorf("POST: %v %v", resp, err)
				return false
			}
			_ = resp.Body.Close()
			if n%2 == 0 {
				panic(http.ErrAbortHandler)
			}
			<-r.Context().Done() // too late
			return true
		})
		header := []string{}
		if n%3 == 0 {
			header = []string{"Idempotency-Key", fmt.Sprint("step-", n)}
		}
		_, id := o.post(jobID, step(n), header...)
		if w.wantStep(n) != id {
			t.Errorf("step %d was shown under another id than answered", n)
		}
	}
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	o.post(jobID, step(10))
	w.wantStep(10)
}

// What the upstream refuses for good is kept and shown, and holds up nobody.
func TestDeadLetters(t *testing.T) {
	o := startOutage(t, nil)
	o.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "POST" || r.Header.Get("Idempotency-Key") != "bad" {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(422)
		_, _ = fmt.Fprint(w, `{"code":422,"error":"Validation Failed","reason":[]}`)
		return true
	})
	o.post(jobID, step(1))
	w := o.watch(streamPath(jobID), keyRead)
	o.up.Down()
	_, bad := o.post(jobID, step(2), "Idempotency-Key", "bad")
	o.post(jobID, step(3))
	other := jobs(1)[0]
	o.post(other, step(1))
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 3)
	wantSteps(t, o.behind, other, 1)
	o.post(jobID, step(4))
	for n := 1; n <= 4; n++ {
		w.wantStep(n)
	}
	list, err := o.server.Spooled()
	if err != nil || len(list) != 1 || list[0].ID != bad || list[0].Status != 422 || !strings.Contains(string(list[0].Refusal), "Validation Failed") {
		t.Fatalf("the spool: %+v, %v", list, err)
	}
	if o.metric("spool_dead") != 1 || o.metric("spool_refused_total") != 1 {
		t.Errorf("%v dead, %v refused", o.metric("spool_dead"), o.metric("spool_refused_total"))
	}
	if r := o.do("GET", collection(jobID)+bad, keyRead, nil); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("a dead one: %d %v", r.StatusCode, r.Header)
	}
	if r := o.do("POST", collection(jobID), keyA, step(2), "Idempotency-Key", "bad"); r.StatusCode != 200 || !strings.Contains(string(r.body), bad) {
		t.Errorf("repeated: %d %s", r.StatusCode, r.body)
	}

	// Tried again when the upstream takes it, it comes last there.
	o.answer(func(http.ResponseWriter, *http.Request) bool { return false })
	if n, err := o.server.RetrySpooled(""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 3, 4, 2)
	if r := o.do("GET", collection(jobID)+bad, keyRead, nil); r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("delivered after all: %d %v", r.StatusCode, r.Header)
	}
	o.post(jobID, step(5))
	w.wantStep(5)
	if _, err := o.server.RetrySpooled(bad); err == nil {
		t.Error("what was delivered is tried again")
	}
}

// What is dropped is gone everywhere, and its watchers come back.
func TestDroppedCheckpoint(t *testing.T) {
	o := startOutage(t, nil)
	o.post(jobID, step(1))
	o.up.Down()
	_, second := o.post(jobID, step(2))
	_, third := o.post(jobID, step(3))
	w := o.watch(streamPath(jobID), keyRead)
	for n := 1; n <= 3; n++ {
		w.wantStep(n)
	}
	if err := o.server.DropSpooled(second); err != nil {
		t.Fatal(err)
	}
	w.failed("storage")
	w.ended()
	if err := o.server.DropSpooled(second); err == nil {
		t.Error("dropped twice")
	}
	wantSteps(t, o.api, jobID, 1, 3)
	w = o.watch(streamPath(jobID), keyRead, "Last-Event-ID", third)
	o.post(jobID, step(4))
	w.wantStep(4)
	o.up.Up()
	o.drained(t)
	if r := o.do("GET", collection(jobID)+second, keyRead, nil); r.StatusCode != 404 {
		t.Errorf("dropped: %d", r.StatusCode)
	}
	wantSteps(t, o.behind, jobID, 1, 3, 4)
}

// While it is spooled, a request is judged by our own rules, as the embedded store
// would.
func TestSpoolValidates(t *testing.T) {
	o := startOutage(t, func(c *config.Config) { c.Upstream.SpoolMax = config.Size(3 * len(step(1))) })
	o.up.Down()
	_, id := o.post(jobID, step(1), "Idempotency-Key", "one")
	for _, c := range []struct {
		name   string
		body   []byte
		header []string
		code   int
		want   string
	}{
		{"repeated", step(1), []string{"Idempotency-Key", "one"}, 200, id},
		{"another body", step(2), []string{"Idempotency-Key", "one"}, 422, "Idempotency-Key"},
		{"a malformed key", step(2), []string{"Idempotency-Key", strings.Repeat("k", 256)}, 422, "Idempotency-Key"},
		{"no JSON", []byte("{"), nil, 400, "Bad Request"},
		{"the wrong shape", []byte(`{"checkpoint":{}}`), nil, 422, "checkpoint.status"},
		{"no expert", body(func(c, _ map[string]any) {
			c["expert"] = map[string]any{"key": "Not An Expert", "name": "x", "version": "1.0.0"}
		}), nil, 400, "Expert not found: Not An Expert"},
		{"no room", body(func(c, _ map[string]any) { c["note"] = strings.Repeat("x", 3*len(step(1))) }), nil, 503, "upstream.spool_max"},
	} {
		r := o.do("POST", collection(jobID), keyA, c.body, c.header...)
		if r.StatusCode != c.code || !strings.Contains(string(r.body), c.want) || c.code == 503 && r.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v %s", c.name, r.StatusCode, r.Header, r.body)
		}
	}
	if n := o.metric("limit_rejections_total", "spool_max"); n != 1 {
		t.Errorf("%v rejected", n)
	}
	if r := o.do("POST", collection(jobID), keyRead, step(2)); r.StatusCode != 403 {
		t.Errorf("a key that only reads: %d", r.StatusCode)
	}
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1)
	// The key's answer is the upstream's now.
	raw, again := o.post(jobID, step(1), "Idempotency-Key", "one")
	if ids := wantSteps(t, o.behind, jobID, 1); ids[0] != again {
		t.Errorf("%s %s", again, raw)
	}
}

// The process ends before the upstream is back: the next one delivers.
func TestSpoolSurvivesARestart(t *testing.T) {
	o := startOutage(t, nil)
	o.post(jobID, step(1))
	o.up.Down()
	for n := 2; n <= 5; n++ {
		o.post(jobID, step(n))
	}
	_, last := o.post(jobID, step(6))
	o.stop()
	o.begin(t)
	wantSteps(t, o.api, jobID, 1, 2, 3, 4, 5, 6)
	w := o.watch(streamPath(jobID), keyRead, "Last-Event-ID", last)
	o.post(jobID, step(7))
	w.wantStep(7)
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 2, 3, 4, 5, 6, 7)
	wantSteps(t, o.api, jobID, 1, 2, 3, 4, 5, 6, 7)
}

// A sidecar that does not spool any more delivers what it has, keeps the order of
// those jobs, and refuses what else cannot be delivered.
func TestSpoolIsEmptiedAfterItIsTurnedOff(t *testing.T) {
	o := startOutage(t, nil)
	o.up.Down()
	o.post(jobID, step(1))
	o.stop()
	o.change = func(c *config.Config) { c.Upstream.Writes = "through" }
	o.begin(t)
	o.post(jobID, step(2))
	if r := o.do("POST", collection(jobs(1)[0]), keyA, step(1)); r.StatusCode != 503 {
		t.Errorf("another job: %d", r.StatusCode)
	}
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 2)
	o.post(jobID, step(3))
	wantSteps(t, o.behind, jobID, 1, 2, 3)
}

// A delegate names the checkpoint that delegated to it by the id that its runtime
// was given. The upstream gets the id that it has given itself.
func TestDelegatorIsTranslated(t *testing.T) {
	o := startOutage(t, nil)
	delegate := func(n int, id string) []byte {
		return body(func(c, s map[string]any) {
			c["stepNumber"], s["stepNumber"] = n, n
			c["delegatedBy"] = map[string]any{"expert": c["expert"], "toolCallId": "call", "toolName": "tool", "checkpointId": id}
			c["note"] = `"delegatedBy":{"checkpointId":"` + id + `"}`
		})
	}
	o.up.Down()
	_, parent := o.post(jobID, step(1))
	o.post(jobID, delegate(2, parent))
	o.up.Up()
	o.drained(t)
	o.post(jobID, delegate(3, parent)) // passes through
	ids := wantSteps(t, o.behind, jobID, 1, 2, 3)
	for _, id := range ids[1:] {
		var got struct {
			Data struct {
				Checkpoint struct {
					DelegatedBy struct{ CheckpointID string }
					Note        string
				}
			}
		}
		r := o.behind.do("GET", collection(jobID)+id, keyA, nil)
		if err := json.Unmarshal(r.body, &got); err != nil {
			t.Fatal(err)
		}
		c := got.Data.Checkpoint
		if c.DelegatedBy.CheckpointID != ids[0] || !strings.Contains(c.Note, parent) {
			t.Errorf("delegated by %s with the note %s, want %s", c.DelegatedBy.CheckpointID, c.Note, ids[0])
		}
	}
}

// A job that is deleted takes what waits with it.
func TestDeletedJobIsNotDelivered(t *testing.T) {
	o := startOutage(t, nil)
	o.up.Down()
	o.post(jobID, step(1))
	other := jobs(1)[0]
	o.post(other, step(1))
	if err := o.server.DeleteJob(jobID); err != nil {
		t.Fatal(err)
	}
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, other, 1)
	if r := o.behind.do("GET", collection(jobID), keyA, nil); r.StatusCode != 404 {
		t.Errorf("delivered all the same: %d", r.StatusCode)
	}
}

// What is not about the checkpoint, or only for the moment, is tried again.
func TestDeliveryIsTriedAgain(t *testing.T) {
	o := startOutage(t, nil)
	var tries atomic.Int32
	codes := []int{401, 403, 408, 409, 425, 429, 500, 502, 503, 504, 302}
	o.answer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != "POST" {
			return false
		}
		n := int(tries.Add(1))
		if n > len(codes) {
			return false
		}
		w.WriteHeader(codes[n-1])
		return true
	})
	o.up.Down()
	o.post(jobID, step(1))
	o.post(jobID, step(2))
	o.up.Up()
	o.drained(t)
	wantSteps(t, o.behind, jobID, 1, 2)
	if n := tries.Load(); int(n) != len(codes)+2 {
		t.Errorf("%d tries", n)
	}
}

// Somebody else writes to the job at the upstream while a delivery is under way:
// nothing is lost and nothing seen twice.
func TestStrangerWritesBetween(t *testing.T) {
	o := startOutage(t, nil)
	o.post(jobID, step(1))
	w := o.watch(streamPath(jobID), keyRead)
	w.wantStep(1)
	o.up.Down()
	o.post(jobID, step(2))
	w.wantStep(2)
	if r := o.behind.do("POST", collection(jobID), keyA, step(10)); r.StatusCode != 200 {
		t.Fatal(r.StatusCode)
	}
	o.up.Up()
	w.wantStep(10)
	o.post(jobID, step(3))
	w.wantStep(3)
	wantSteps(t, o.behind, jobID, 1, 10, 2, 3)
}

// Who waits for a job that the upstream does not know gets it with the first
// checkpoint that is spooled.
func TestWaitingStreamGetsASpooledJob(t *testing.T) {
	o := startOutage(t, func(c *config.Config) { c.Stream.UnknownJob = "wait" })
	w := o.watch(streamPath(jobID), keyRead)
	o.up.Down()
	_, id := o.post(jobID, step(1))
	if w.wantStep(1) != id {
		t.Error("the stream has another id than the answer")
	}
	o.up.Up()
	o.drained(t)
	o.post(jobID, step(2))
	w.wantStep(2)
}

// A client that asks before it sends its body may send it in an outage, too.
func TestSpoolTakesBodiesThatAskFirst(t *testing.T) {
	o := startOutage(t, nil)
	o.up.Down()
	l := o.dial()
	defer l.Close()
	b := step(1)
	l.send(head("POST", collection(jobID), keyA, fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue\r\n", len(b))))
	line, err := l.reader.ReadString('\n')
	if err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := l.reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	l.send(string(b))
	r, err := http.ReadResponse(l.reader, nil)
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	_ = r.Body.Close()
}

// Writes of which it is not known what became, and what is pending, hold back what
// the upstream tells; writes that begin later do not.
func TestHolds(t *testing.T) {
	var h holds
	var pending atomic.Bool
	wait := func() chan bool {
		done := make(chan bool, 1)
		begun := make(chan struct{})
		go func() {
			close(begun)
			waited, err := h.wait(t.Context(), jobID, func(string) bool { return pending.Load() })
			done <- waited && err == nil
		}()
		<-begun
		return done
	}
	if waited := <-wait(); waited || h.writing(jobID) {
		t.Error("nothing is to be waited for")
	}
	pending.Store(true)
	end := h.begin(jobID)
	done := wait()
	eventually(t, "a write is under way", func() bool { return h.writing(jobID) })
	end()
	later := h.begin(jobID)
	defer later()
	select {
	case <-done:
		t.Error("it went on while something was pending")
	default:
	}
	h.release(jobID) // of no use: something is pending again
	pending.Store(false)
	h.release(jobID)
	eventually(t, "it goes on", func() bool {
		h.release(jobID)
		return len(done) == 1
	})
	if !<-done {
		t.Error("it did not wait")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.wait(ctx, jobID, func(string) bool { return true }); err == nil {
		t.Error("it outlived its context")
	}
}

// A stream of several jobs resumes by places, which stay what they were when the
// upstream counts without a checkpoint that it has refused; and both ids of a
// checkpoint do wherever one does.
func TestSpooledPlacesStay(t *testing.T) {
	o := startOutage(t, nil)
	o.answer(func(w http.ResponseWriter, r *http.Request) bool {
		refuses := r.Method == "POST" && r.Header.Get("Idempotency-Key") == "bad"
		if refuses {
			w.WriteHeader(400)
		}
		return refuses
	})
	other := jobs(1)[0]
	o.post(jobID, step(1))
	o.post(other, step(1))
	o.up.Down()
	_, bad := o.post(jobID, step(2), "Idempotency-Key", "bad")
	_, third := o.post(jobID, step(3))
	wall := o.watch(streamsOf([]string{jobID, other}), keyRead)
	var seen []string
	for range 4 {
		seen = append(seen, wall.next().id)
	}
	wall.close()
	o.up.Up()
	o.drained(t)
	o.post(jobID, step(4))
	for i, id := range seen {
		again := o.watch(streamsOf([]string{jobID, other}), keyRead, "Last-Event-ID", id)
		for range len(seen) - i { // what it has not seen, and the new one
			if e := again.next(); e.name != "message" {
				t.Errorf("resumed after %d: %+v", i+1, e)
			}
		}
		again.close()
	}
	ids := wantSteps(t, o.behind, jobID, 1, 3, 4)
	for _, id := range []string{bad, third, ids[1]} {
		if r := o.do("GET", "/api/milepost/v1/jobs/"+jobID+"/diff?from="+ids[0]+"&to="+id, keyRead, nil); r.StatusCode != 200 {
			t.Errorf("the diff with %s: %d %s", id, r.StatusCode, r.body)
		}
		if r := o.do("HEAD", collection(jobID)+id, keyRead, nil); r.StatusCode != 200 || r.Header.Get("ETag") == "" || len(r.body) != 0 {
			t.Errorf("HEAD of %s: %d %v", id, r.StatusCode, r.Header)
		}
		if r := o.do("GET", collection(jobID)+id, keyRead, nil, "Accept-Encoding", "gzip"); r.StatusCode != 200 || r.Header.Get("Content-Encoding") == "" && len(r.body) > minCoded+256 {
			t.Errorf("compressed, %s: %d %v", id, r.StatusCode, r.Header)
		}
	}
}

// Whatever a body is, what stands at the place that delegator names is the id, and
// another id in its place leaves the rest as it was.
func FuzzDelegator(f *testing.F) {
	for _, seed := range []string{
		`{"checkpoint":{"delegatedBy":{"checkpointId":"job000000000000000000001"}}}`,
		`{"a":[{"checkpoint":1}],"checkpoint": {"x":{"delegatedBy":2}, "delegatedBy" : { "y":null, "checkpointId" :  "\u0061" , "z":1}}, "step":{}}`,
		`{"checkpoint":{"delegatedBy":null}}`, `{"checkpoint":{"delegatedBy":{"checkpointId":7}}}`, `[]`, `{`, ``, `{"checkpoint":{"delegatedBy":{"checkpointId":"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		at, id, ok := delegator(body)
		if !ok {
			return
		}
		var text string
		if err := json.Unmarshal(body[at.Start:at.End], &text); err != nil || text != id {
			t.Fatalf("%q at %v: %v", body[at.Start:at.End], at, err)
		}
		next := append(append(bytes.Clone(body[:at.Start]), `"another"`...), body[at.End:]...)
		if _, got, ok := delegator(next); !ok || got != "another" || json.Valid(next) != json.Valid(body) {
			t.Fatalf("%q became %q", body, next)
		}
	})
}

// A copy that is to be made anew, to which something is spooled in the moment when
// it could go, goes after that.
func TestStrangeCopyGoesLater(t *testing.T) {
	o := startOutage(t, nil)
	o.up.Down()
	_, local := o.post(jobID, step(1))
	p := o.server.sidecar.spool
	p.strange.add(jobID)
	p.settled(jobID, store.Settled{Drained: true})
	if _, err := o.server.store.Sequence(jobID, local); err != nil {
		t.Errorf("what is pending: %v", err)
	}
	if err := o.server.DropSpooled(local); err != nil {
		t.Fatal(err)
	}
	if p.strange.take(jobID) {
		t.Error("the copy was not looked at once nothing was pending")
	}
	p.strange.add(jobID)
	_, _ = o.post(jobID, step(2))
	p.settled(jobID, store.Settled{Drained: true})
	if !p.strange.take(jobID) {
		t.Error("it is forgotten that the copy is not of the upstream's job")
	}
}
