package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/proxy/upstream"
	"milepost/proxy/upstream/upstreamtest"
)

// pair starts a pair whose verdicts go by a clock.
func pair(t *testing.T, fs vfs.FS, auth string, change func(*config.Config)) (*api, *clock) {
	t.Helper()
	cfg := config.Default()
	cfg.Upstream.BreakerFailures = 0
	if change != nil {
		change(cfg)
	}
	c := newClock()
	a := startPair(t, fs, cfg, auth)
	a.timed(c)
	return a, c
}

// timed lets the verdicts of a sidecar go by a clock.
func (a *api) timed(c *clock) {
	u := &a.config.Upstream
	a.server.sidecar.now = c.read
	a.server.sidecar.verdicts = upstream.NewVerdicts(a.store.Verdicts(), u.AuthTTL.Std(), u.StaleAuth.Std(), c.read)
}

// revoke takes all keys from the upstream but those that are named.
func (a *api) revoke(kept ...string) {
	var keys []config.Key
	for _, k := range testKeys() {
		for _, name := range kept {
			if k.Name == name {
				keys = append(keys, k)
			}
		}
	}
	a.upstream.server.Reload(a.upstream.config, keys)
}

// wants fails the test unless a GET of a path has this status.
func (a *api) wants(path, key string, code int) {
	a.t.Helper()
	if r := a.do("GET", path, key, nil); r.StatusCode != code {
		a.t.Errorf("GET %s with %q: %d %.200s, want %d", path, key, r.StatusCode, r.body, code)
	}
}

// Whatever a caller puts into its request, it gets from the copy what the upstream
// itself would give for the same request, or an error.
func TestCopyIsGivenToWhomTheUpstreamGives(t *testing.T) {
	a, _ := pair(t, vfs.NewMem(), "forward", nil)
	_, id := a.post(jobID, body(nil))
	a.wants(collection(jobID)+id, keyA, 200)
	for _, head := range []string{
		"", "Authorization:", "Authorization: Bearer", "Authorization: Bearer ", "Authorization: " + keyA,
		"Authorization: Bearer " + keyA, "Authorization: bearer " + keyA, "Authorization: BEARER " + keyA,
		"Authorization: Bearer  " + keyA, "Authorization: Bearer\t" + keyA, "Authorization:Bearer " + keyA,
		"Authorization:\tBearer " + keyA, "Authorization:  Bearer " + keyA + " ", "Authorization: Bearer " + keyA + "\t",
		"authorization: Bearer " + keyA, "AUTHORIZATION: Bearer " + keyA, "Authorization : Bearer " + keyA,
		"Authorization: Bearer\r\n " + keyA, "Authorization: Bearer " + keyA + ",", "Authorization: Bearer " + keyA + ", Bearer " + keyB,
		"Authorization: Bearer " + keyA[:5] + "%2d" + keyA[6:], "Authorization: Bearer " + strings.ToUpper(keyA), "Authorization: Bearer " + keyA + "\x00",
		"Authorization: Basic " + keyA, "Authorization: Bearer " + keyB, "Authorization: Bearer " + keyRead, "Authorization: Bearer " + keyWrite,
		"Authorization: Bearer nobody-has-this-secret", "Authorization: Bearer " + keyA + "x", "Authorization: Bearer " + keyA[:len(keyA)-1],
		"Authorization: Bearer " + keyA + "\r\nAuthorization: Bearer " + keyB, "Authorization: Bearer " + keyB + "\r\nAuthorization: Bearer " + keyA,
		"Authorization: Bearer " + keyA + "\r\nauthorization: Bearer " + keyA, "Authorization:\r\nAuthorization: Bearer " + keyA,
		"Proxy-Authorization: Bearer " + keyA, "X-Authorization: Bearer " + keyA, "Authorization_: Bearer " + keyA, "X-Api-Key: " + keyA,
		"Cookie: Authorization=Bearer " + keyA, "Connection: Authorization\r\nAuthorization: Bearer nobody-has-this-secret",
		"Authorization: Bearer nobody-has-this-secret\r\nX-Forwarded-User: " + keyA,
	} {
		for _, path := range []string{collection(jobID) + id, collection(jobID) + "?take=1", streamPath(jobID), streamsOf([]string{jobID}), string(ownJobsPath) + "/" + jobID} {
			request := fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n", path, head)
			if head == "" {
				request = fmt.Sprintf("HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
			}
			var got [2]int
			for i, server := range []*api{a, a.upstream} {
				l := server.dial()
				l.send(request)
				r, err := http.ReadResponse(l.reader, &http.Request{Method: "HEAD"})
				if err != nil {
					t.Fatalf("%q: %v", request, err)
				}
				got[i] = r.StatusCode
				_ = l.Close()
			}
			if got[0] != got[1] && (got[0] == 200 || got[0] < 400) {
				t.Errorf("%q: the sidecar says %d, the upstream %d", request, got[0], got[1])
			}
		}
	}
	// None of that has taken anything from whom may read.
	a.wants(collection(jobID)+id, keyA, 200)
	a.wants(collection(jobID)+id, keyRead, 200)
}

// A key that may write learns nothing from having written.
func TestWritingGivesNoRight(t *testing.T) {
	a, _ := pair(t, vfs.NewMem(), "forward", nil)
	_, id := a.post(jobID, body(nil))
	if r := a.do("POST", collection(jobID), keyWrite, body(nil)); r.StatusCode != 200 {
		t.Fatalf("POST: %d", r.StatusCode)
	}
	for _, path := range []string{collection(jobID) + id, collection(jobID), streamPath(jobID)} {
		a.wants(path, keyWrite, 403)
	}
	// A caller whom the upstream knows by something else than Authorization has no
	// name here, and what it has sent opens nothing to the others without a name.
	up := upstreamtest.Start(t)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = fmt.Fprintf(w, `{"data":{"checkpoint":{"id":%q,"sequence":1,"status":"init"}}}`, unknownJob)
	})
	s := startAt(t, up.URL, "forward", nil)
	if r := s.do("POST", collection(jobID), "", body(nil), "Cookie", "session=1"); r.StatusCode != 200 {
		t.Fatalf("POST with a cookie: %d %s", r.StatusCode, r.body)
	}
	s.wants(collection(jobID)+unknownJob, "", 401)
}

// A verdict lasts auth_ttl, and no longer if the upstream has another word.
func TestVerdictEndsWithItsTime(t *testing.T) {
	fs := vfs.NewMem()
	a, c := pair(t, fs, "forward", nil)
	_, id := a.post(jobID, body(nil))
	one, ttl := collection(jobID)+id, a.config.Upstream.AuthTTL.Std()
	a.wants(one, keyA, 200)
	a.wants(one, keyRead, 200)
	a.revoke("b", "w")
	c.advance(ttl - time.Millisecond)
	a.wants(one, keyA, 200)
	c.advance(time.Millisecond)
	a.wants(one, keyA, 401)
	c.advance(-ttl) // nothing of it is left
	a.wants(one, keyA, 401)
	// A refusal of anything of the job is one of all.
	a.wants(collection(jobID), keyRead, 401)
	a.wants(one, keyRead, 401)

	// Over a restart, and without the upstream.
	a.stop()
	cfg := config.Default()
	cfg.Upstream.URL, cfg.Upstream.BreakerFailures, cfg.Upstream.Retries = a.upstream.base, 0, 0
	a = startServer(t, fs, "sidecar", cfg, nil)
	a.timed(c)
	for _, key := range []string{keyA, keyRead, keyB, ""} {
		for _, path := range []string{one, collection(jobID), streamPath(jobID)} {
			a.wants(path, key, 503)
		}
	}
}

// In an outage what was accepted lately is served up to stale_auth, to whom it
// was, and nothing to others; lists only from a copy without holes.
func TestOutage(t *testing.T) {
	fs := vfs.NewMem()
	a, c := pair(t, fs, "forward", func(c *config.Config) { c.Upstream.Retries = 0 })
	holes := jobs(1)[0]
	raw, id := a.post(jobID, body(nil))
	last, _ := a.post(jobID, withStatus("completed"))
	for range 2 {
		if r := a.upstream.do("POST", collection(holes), keyA, body(nil)); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	a.wants(collection(holes)+"?take=1&skip=1", keyA, 200)
	one := collection(jobID) + id
	a.wants(one, keyA, 200)
	c.advance(time.Second)
	a.upstream.stop()
	check := func() {
		t.Helper()
		a.wants(one, keyA, 200)
		for _, key := range []string{keyB, keyRead, keyWrite, "nobody-has-this-secret", ""} {
			for _, path := range []string{one, collection(jobID), streamPath(jobID), streamsOf([]string{jobID})} {
				a.wants(path, key, 503)
			}
		}
		r := a.do("GET", collection(jobID)+"?order=desc", keyA, nil)
		want := fmt.Sprintf(`{"data":{"checkpoints":[%s,%s]},"meta":{"total":2,"take":10,"skip":0}}`, last, raw)
		if r.StatusCode != 200 || r.Header.Get("Age") == "" || string(r.body) != want {
			t.Errorf("the list: %d %v %s", r.StatusCode, r.Header, r.body)
		}
		a.wants(collection(holes), keyA, 503)
		a.wants(collection(jobID)+"?take=0", keyA, 422)
		w := a.watch(streamPath(jobID), keyA)
		w.messages(raw, last)
		w.complete(jobID, "completed")
		w.ended()
		// A place that the copy does not know is not taken for the beginning.
		if r := a.do("GET", streamPath(jobID), keyA, nil, "Last-Event-ID", unknownJob); r.StatusCode != 503 {
			t.Errorf("a place that only the upstream knows: %d", r.StatusCode)
		}
		l := a.dial()
		l.send(head("GET", streamPath(jobID), keyA, "Accept: text/event-stream\r\nLast-Event-ID: "+unknownJob+"\r\n"))
		if b, err := io.ReadAll(l.reader); len(b) > 0 || err != nil {
			t.Errorf("a browser that is to come back got %q, %v", b, err)
		}
		r = a.do("POST", collection(jobID), keyA, body(nil))
		if r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("POST: %d %v", r.StatusCode, r.Header)
		}
		a.wants("/anything", keyA, 503)
	}
	check()
	c.advance(a.config.Upstream.StaleAuth.Std() - time.Second - time.Millisecond)
	check()
	// Over a restart.
	front := a.upstream
	a.stop()
	cfg := config.Default()
	cfg.Upstream.URL, cfg.Upstream.BreakerFailures, cfg.Upstream.Retries = front.base, 0, 0
	a = startServer(t, fs, "sidecar", cfg, nil)
	a.timed(c)
	check()
	if n := a.metric("stale_lists_total"); n == 0 {
		t.Error("no list is counted as answered from the copy")
	}
	c.advance(time.Millisecond)
	for _, path := range []string{one, collection(jobID), streamPath(jobID)} {
		a.wants(path, keyA, 503)
	}
}

// quick makes a sidecar verify open streams every tenth of a second.
func quick(c *config.Config) {
	c.Upstream.AuthTTL, c.Upstream.MaxBackoff = config.Duration(100*time.Millisecond), config.Duration(50*time.Millisecond)
	c.Upstream.StaleAuth = config.Duration(10 * time.Second)
}

// A key that the upstream revokes loses its streams; if theirs is what the job is
// followed with, another subscriber's takes its place.
func TestRevokedKeyLosesItsStreams(t *testing.T) {
	cfg := config.Default()
	quick(cfg)
	a := startPair(t, vfs.NewMem(), cfg, "forward")
	raw, _ := a.post(jobID, body(nil))
	lost := a.watch(streamPath(jobID), keyA)
	lost.messages(raw)
	kept, wall := a.watch(streamPath(jobID), keyRead), a.watch(streamsOf([]string{jobID}), keyA)
	kept.messages(raw)
	wall.messages(raw)
	a.revoke("b", "r", "w")
	lost.failed("revoked")
	wall.failed("revoked")
	r := a.upstream.do("POST", collection(jobID), keyWrite, withStatus("completed"))
	if r.StatusCode != 200 {
		t.Fatalf("POST: %d", r.StatusCode)
	}
	if e := kept.next(); e.name != "message" || !strings.Contains(string(r.body), e.data) {
		t.Errorf("got %.100v", e)
	}
	kept.complete(jobID, "completed")
	kept.ended()
}

// A ticket opens its streams with the credential that it carries, is verified
// with it again and again, and ends with it.
func TestForwardedTickets(t *testing.T) {
	fs := vfs.NewMem()
	cfg := config.Default()
	quick(cfg)
	up := startServer(t, fs, "upstream", config.Default(), nil)
	a := startFront(t, fs, cfg, "forward", up)
	raw, id := a.post(jobID, body(nil))
	a.post(jobs(1)[0], body(nil))
	text, _ := a.ticket(keyRead, jobID)
	other, _ := a.ticket(keyRead, jobs(1)[0])
	open := func() *watcher { return a.watch(withTicket(streamPath(jobID), text), "") }
	w := open()
	w.messages(raw)
	a.refused(streamPath(jobs(1)[0]), text, "ticket_job")
	for _, path := range []string{collection(jobID), collection(jobID) + id} {
		a.wants(withTicket(path, text), "", 401)
	}
	a.wants(withTicket(streamPath(jobID), text), "nobody-has-this-secret", 401)

	begin := a.metric("upstream_requests_total", "200", "verify")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); a.metric("upstream_requests_total", "200", "verify") < begin+3; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the stream of a ticket is not verified")
		}
	}
	next, _ := a.post(jobID, body(nil))
	w.messages(next)

	_, sealed := split([]byte(text))
	plain, foreign := text[:len(text)-len(sealed)-sealedLength], other[len(other)-len(sealed)-sealedLength:]
	for _, forged := range []string{plain, plain + foreign, text[:len(text)-1], text + "A", plain + "AAAA", other[:len(plain)] + text[len(plain):]} {
		if r := a.do("GET", withTicket(streamPath(jobID), forged), "", nil); r.StatusCode != 401 {
			t.Errorf("the ticket %q: %d", forged, r.StatusCode)
		}
	}

	// Over a restart of the sidecar, and not at another.
	a.stop()
	w.close()
	strange := startFront(t, vfs.NewMem(), cfg, "forward", up)
	strange.wants(withTicket(streamPath(jobID), text), "", 401)
	a = startFront(t, fs, cfg, "forward", up)
	w = open()
	w.messages(raw, next)
	a.revoke("a", "b", "w")
	w.failed("revoked")
	a.wants(withTicket(streamPath(jobID), text), "", 401)
}

// Each character of a ticket and of what is sealed in it counts.
func TestForgedSidecarTickets(t *testing.T) {
	m := ticketMaker{secret: []byte("a secret of the store"), ttl: time.Hour, now: time.Now}
	c := new(caller)
	plain, _ := m.issue(c, []string{jobID})
	text := plain + m.seal(plain, "Bearer "+keyA)
	opens := func(text []byte) bool {
		ticket, sealed := split(text)
		_, ok := m.read(ticket)
		authorization, err := m.unseal(string(ticket), sealed)
		return ok && err == nil && authorization == "Bearer "+keyA
	}
	if !opens([]byte(text)) {
		t.Fatal("the ticket itself does not open")
	}
	for i := range text {
		for _, with := range []byte("A_z0.") {
			forged := []byte(text)
			if forged[i] == with {
				continue
			}
			if forged[i] = with; opens(forged) {
				t.Errorf("opens with %q at %d", with, i)
			}
		}
		if opens([]byte(text[:i])) || opens([]byte(text[:i]+"\n"+text[i:])) {
			t.Errorf("opens when cut or broken at %d", i)
		}
	}
	if strings.Contains(text, keyA) {
		t.Error("the ticket shows the key")
	}
	again := m.seal(plain, "Bearer "+keyA)
	if text == plain+again {
		t.Error("what is sealed looks the same twice")
	}
	for _, short := range []string{"", "A", "AAAA", "____", "....", "AAAAAAAA"} {
		if opens([]byte(short)) {
			t.Errorf("%q opens", short)
		}
	}
}

// startAt starts a sidecar in front of whatever is at a URL, without the checks of
// a client that knows the API.
func startAt(t *testing.T, url, auth string, change func(*config.Config)) *api {
	t.Helper()
	cfg := config.Default()
	cfg.Upstream.URL, cfg.Upstream.Auth, cfg.Upstream.Retries, cfg.Upstream.BreakerFailures = url, auth, 0, 0
	if auth == "local" {
		cfg.Upstream.APIKey = config.Secret("the-sidecars-own-secret")
	}
	if change != nil {
		change(cfg)
	}
	a := startServer(t, vfs.NewMem(), "sidecar", cfg, nil)
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	a.client = &http.Client{Transport: transport}
	return a
}

// With auth "local" nothing reaches the upstream without a local key, nor with
// any credential but the sidecar's own.
func TestLocalKeysDecide(t *testing.T) {
	up := upstreamtest.Start(t)
	a := startAt(t, up.URL, "local", nil)
	paths := []string{"/anything", collection(jobID), collection(jobID) + unknownJob, streamPath(jobID), streamsOf([]string{jobID}), "/api/studio/v1/expert_jobs/" + jobID}
	for _, key := range []string{"", "nobody-has-this-secret", "the-sidecars-own-secret"} {
		for _, path := range paths {
			for _, method := range []string{"GET", "POST", "DELETE", "OPTIONS", "PUT"} {
				if r := a.do(method, path, key, nil); r.StatusCode != 401 {
					t.Errorf("%s %s with %q: %d", method, path, key, r.StatusCode)
				}
			}
		}
	}
	for _, c := range []struct{ method, path, key string }{
		{"GET", "/anything", keyWrite}, {"DELETE", "/anything", keyRead}, {"POST", "/anything", keyRead}, {"PUT", "/anything", keyRead},
		{"GET", collection(jobID), keyWrite}, {"POST", collection(jobID), keyRead}, {"GET", streamPath(jobID), keyWrite}, {"HEAD", collection(jobID) + unknownJob, keyWrite},
	} {
		if r := a.do(c.method, c.path, c.key, nil); r.StatusCode != 403 {
			t.Errorf("%s %s with %s: %d", c.method, c.path, c.key, r.StatusCode)
		}
	}
	if n := len(up.Requests()); n != 0 {
		t.Fatalf("%d requests have reached the upstream: %v", n, up.Requests())
	}
	for _, path := range paths {
		a.do("GET", path, keyRead, nil)
		a.do("POST", path, keyA, body(nil))
		a.do("DELETE", path, keyWrite, nil)
	}
	if len(up.Requests()) < len(paths) {
		t.Errorf("%d requests have reached the upstream", len(up.Requests()))
	}
	for _, r := range up.Requests() {
		if got := r.Header["Authorization"]; len(got) != 1 || got[0] != "Bearer the-sidecars-own-secret" {
			t.Errorf("%s %s came with %q", r.Method, r.Target, got)
		}
	}
}

// An answer that is not the API's, such as a page of a gate in between, is no
// verdict.
func TestOnlyTheAPIVouches(t *testing.T) {
	a, c := pair(t, vfs.NewMem(), "forward", nil)
	_, id := a.post(jobID, body(nil))
	a.wants(collection(jobID)+id, keyA, 200)
	c.advance(time.Hour)
	for name, page := range map[string]string{
		"a page": "<html>sign in</html>", "nothing": "", "an object": "{}", "another list": `{"data":{"jobs":[]}}`, "a cut list": `{"data":{"checkpoints":[`,
	} {
		up := upstreamtest.Start(t)
		up.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
		s := startAt(t, up.URL, "forward", nil)
		s.do("GET", collection(jobID), keyA, nil)
		s.do("GET", collection(jobID)+id, keyA, nil)
		if v := s.server.sidecar.verdicts.Check(upstream.CredentialOf([]byte("Bearer "+keyA)), jobID); v != upstream.None {
			t.Errorf("%s gives the verdict %v", name, v)
		}
		s.wants(streamPath(jobID), keyA, 502)
	}
}
