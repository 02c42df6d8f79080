package proxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// Where a job ends is the upstream's to say: one that was continued there, past
// the sidecar, goes on for whoever comes, and for who watches others beside it.
func TestEndOfAJobIsAskedFor(t *testing.T) {
	a := startPair(t, vfs.NewMem(), config.Default(), "forward")
	direct := func(status string) json.RawMessage {
		t.Helper()
		r := a.upstream.do("POST", collection(jobID), keyA, withStatus(status))
		if r.StatusCode != 200 {
			t.Fatalf("POST: %d %s", r.StatusCode, r.body)
		}
		return json.RawMessage(strings.TrimSuffix(strings.TrimPrefix(string(r.body), envelopeStart), envelopeEnd))
	}
	all := []json.RawMessage{direct("init"), direct("completed")}
	other := jobs(1)[0]
	a.post(other, body(nil))

	w := a.watch(streamPath(jobID), keyA)
	w.messages(all...)
	done := w.complete(jobID, "completed")
	w.ended()
	wall := a.watch(streamsOf([]string{jobID}), keyA)
	wall.messages(all...)
	wall.complete(jobID, "completed")
	wall.ended()
	both := a.watch(streamsOf([]string{other, jobID}), keyA)
	for range 4 { // the other's, two of the job's, and its end, in some order
		both.next()
	}
	if r := a.do("GET", streamPath(jobID), keyA, nil, "Last-Event-ID", done); r.StatusCode != 204 {
		t.Errorf("after the end: %d", r.StatusCode)
	}

	all = append(all, direct("proceeding"))
	w = a.watch(streamPath(jobID), keyA)
	w.messages(all...)
	all = append(all, direct("completed"))
	w.messages(all[3])
	w.complete(jobID, "completed")
	w.ended()
	w = a.watch(streamPath(jobID), keyA, "Last-Event-ID", done)
	w.messages(all[2:]...)
	w.complete(jobID, "completed")
	w.ended()
}

// An upstream may know no sequence, as in the document, and write its JSON on many
// lines: what it gives is given on, one request each.
func TestUpstreamWithoutSequences(t *testing.T) {
	up := upstreamtest.Start(t)
	text := fmt.Sprintf("{\"data\":{\"checkpoint\":{\n  \"id\": %q,\n  \"status\": \"init\",\n  \"messages\": [\n 1.10, {\"a\": \"b\"} ],\n \"new\": null\n}}}", unknownJob)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "GET" && strings.HasSuffix(r.URL.Path, "/checkpoints/") {
			_, _ = fmt.Fprint(w, `{"data":{"checkpoints":[]},"meta":{"total":0,"take":1,"skip":0}}`)
			return
		}
		_, _ = fmt.Fprint(w, text)
	})
	a := startAt(t, up.URL, "forward", nil)
	want := envelopeStart + fmt.Sprintf(`{"id":%q,"status":"init","messages":[1.10,{"a":"b"}],"new":null}`, unknownJob) + envelopeEnd
	for i := range 4 {
		r := a.do("GET", collection(jobID)+unknownJob, keyA, nil)
		if r.StatusCode != 200 || string(r.body) != want || r.Header.Get("ETag") != `"`+unknownJob+`"` {
			t.Errorf("time %d: %d %v %s", i, r.StatusCode, r.Header, r.body)
		}
		if i == 1 {
			a.cache.Deleted()
		}
	}
	if n := len(up.Requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A write reaches the upstream as it was sent, in the caller's name, without what
// is of the connection, and once, whatever becomes of it.
func TestWritesArePassedOnce(t *testing.T) {
	up := upstreamtest.Start(t)
	a := startAt(t, up.URL, "forward", impatient)
	a.do("POST", collection(jobID)+"?x=%2F", keyA, []byte(`{"any": "thing"}`), "X-Own", "1", "Connection", "X-Hop", "X-Hop", "1", "Traceparent", "00-1-2-01")
	a.do("POST", strings.TrimSuffix(collection(jobID), "/"), keyA, []byte(`{}`))
	a.do("POST", collection(jobID), keyA, []byte("no JSON"), "Content-Type", "text/plain", "Content-Encoding", "x")
	got := up.Requests()
	if len(got) != 3 {
		t.Fatalf("%d requests: %v", len(got), got)
	}
	for i, target := range []string{collection(jobID) + "?x=%2F", strings.TrimSuffix(collection(jobID), "/"), collection(jobID)} {
		if r := got[i]; r.Method != "POST" || r.Target != target || r.Header.Get("Authorization") != "Bearer "+keyA || r.Header.Get("X-Forwarded-For") == "" || r.Header.Get("Via") == "" {
			t.Errorf("%+v, want %s", r, target)
		}
	}
	if h := got[0].Header; h.Get("X-Own") != "1" || h.Get("X-Hop") != "" || h.Get("Traceparent") != "00-1-2-01" {
		t.Errorf("%v", h)
	}
	for _, mode := range []upstreamtest.Mode{upstreamtest.Drop, upstreamtest.Hang, upstreamtest.CutInHead, upstreamtest.CutInBody} {
		before := len(up.Requests())
		up.Misbehave(mode)
		if r := a.do("POST", collection(jobID), keyA, body(nil)); r.StatusCode < 502 || r.StatusCode > 504 {
			t.Errorf("POST: %d", r.StatusCode)
		}
		if n := len(up.Requests()) - before; n != 1 {
			t.Errorf("a write was sent %d times", n)
		}
		up.Release()
	}
}

// Large pages are not held: they pass through.
func TestPageBeyondTheBoundPasses(t *testing.T) {
	cfg := config.Default()
	cfg.Upstream.MaxEvent = 64 << 10
	a := startPair(t, vfs.NewMem(), cfg, "forward")
	for range 3 {
		if r := a.upstream.do("POST", collection(jobID), keyA, sized(40<<10)); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	want := a.upstream.do("GET", collection(jobID), keyA, nil)
	if got := a.do("GET", collection(jobID), keyA, nil); got.StatusCode != 200 || string(got.body) != string(want.body) {
		t.Errorf("%d with %d bytes, want %d", got.StatusCode, len(got.body), len(want.body))
	}
	a.wants(collection(jobID), keyB, 404)
	a.wants(collection(jobID), "", 401)
}

// A list from the copy has the bytes that the copy keeps, also when the upstream
// has shown others of the same checkpoint since.
func TestListFromTheCopyIsWhatItKeeps(t *testing.T) {
	up := upstreamtest.Start(t)
	var updated atomic.Value
	var away atomic.Bool
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, `{"data":{"checkpoints":[{"type":"checkpoint","id":%q,"sequence":1,"status":"init","messages":[],"expert":{"key":"a","updatedAt":%q}}]},"meta":{"total":1,"take":20,"skip":0}}`,
			unknownJob, updated.Load())
	})
	a := startAt(t, up.URL, "forward", impatient)
	list := func(want string) {
		t.Helper()
		if r := a.do("GET", collection(jobID), keyA, nil); r.StatusCode != 200 || !strings.Contains(string(r.body), want) {
			t.Fatalf("%d %s, want %s", r.StatusCode, r.body, want)
		}
	}
	for _, day := range []string{"2026-01-01", "2026-02-02"} {
		updated.Store(day)
		list(day)
	}
	away.Store(true)
	list("2026-01-01")
}
