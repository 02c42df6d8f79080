package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
	"milepost/internal/origin"
	"milepost/metrics"
	"milepost/proxy/openapi/openapitest"
	"milepost/stream"
)

const (
	orgA  = "orga00000000000000000000"
	orgB  = "orgb00000000000000000000"
	app   = "app000000000000000000000"
	jobID = "job000000000000000000001"

	keyA     = "secret-of-organization-a"
	keyB     = "secret-of-organization-b"
	keyRead  = "secret-that-only-reads-a"
	keyWrite = "secret-that-only-writes-a"
)

// api is a server under test and a client that checks every exchange against
// the API's description.
type api struct {
	t       testing.TB
	base    string
	config  *config.Config
	client  *http.Client
	store   *store.Store
	server  *Server
	cache   *cache.Cache
	metrics *metrics.Metrics
	log     *logBuffer
	stop    func() // once; the test's end does it otherwise
	// left gets one value for each stream whose connection is closed.
	left chan struct{}
	// upstream is what the server is the sidecar of, nil without one.
	upstream *api
}

// logBuffer holds what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t testing.TB, change func(*config.Config)) *api {
	t.Helper()
	return startOn(t, vfs.NewMem(), change)
}

// startOn starts a server whose store is on fs. Within the tests of a pair it
// starts two, one in front of the other.
func startOn(t testing.TB, fs vfs.FS, change func(*config.Config)) *api {
	t.Helper()
	cfg := config.Default()
	if change != nil {
		change(cfg)
	}
	if auth := pairOf(t); auth != "" {
		return startPair(t, fs, cfg, auth)
	}
	return startServer(t, fs, "data", cfg, nil)
}

// startServer starts one server whose store is in dir on fs, in front of an
// upstream if there is one.
func startServer(t testing.TB, fs vfs.FS, dir string, cfg *config.Config, front *api) *api {
	t.Helper()
	m := metrics.New()
	s, err := store.Open(store.Options{Dir: dir, FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	c, err := cache.New(s, int64(cfg.Cache.Size))
	if err != nil {
		t.Fatal(err)
	}
	o := stream.Options{
		History: cache.NewHistory(s), Metrics: m.Stream,
		Heartbeat: cfg.Stream.Heartbeat.Std(), StallTimeout: cfg.Stream.StallTimeout.Std(),
	}
	log := new(logBuffer)
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	side := sidecarOf(t, cfg, s, m, logger, &o)
	hub, err := stream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server, err := New(Options{
		Config: cfg, Origin: origin.New(s, nil), Store: s, Cache: c, Hub: hub, Metrics: m, Logger: logger,
		Keys: testKeys(), Sidecar: side,
	})
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan struct{}, 100)
	server.streamLeft = func() {
		server.conns.left()
		select {
		case left <- struct{}{}:
		default: // nobody counts so many
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	transport := &http.Transport{DisableCompression: true}
	a := &api{t: t, base: "http://" + ln.Addr().String(), config: cfg, store: s, server: server, cache: c, metrics: m,
		log: log, left: left, client: &http.Client{Transport: openapitest.New(t).Transport(transport)}, upstream: front}
	a.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		hub.Close()
		if side != nil {
			side.Client.Close()
		}
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(a.stop)
	return a
}

// metric returns the value of a counter or gauge with these label values.
func (a *api) metric(name string, labels ...string) float64 {
	a.t.Helper()
	families, err := a.metrics.Registry.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "milepost_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// testKeys are the keys of the server under test.
func testKeys() []config.Key {
	key := func(name, secret, org string, read, write bool) config.Key {
		return config.Key{Name: name, Hash: sha256.Sum256([]byte(secret)), OrganizationID: org,
			ApplicationID: app, Read: read, Write: write}
	}
	return []config.Key{
		key("a", keyA, orgA, true, true), key("b", keyB, orgB, true, true),
		key("r", keyRead, orgA, true, false), key("w", keyWrite, orgA, false, true),
	}
}

type answer struct {
	*http.Response
	body []byte
}

func (a *api) do(method, path, key string, body []byte, header ...string) answer {
	a.t.Helper()
	req, err := http.NewRequest(method, a.base+path, bytes.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{resp, b}
}

func collection(job string) string { return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/" }

// post creates a checkpoint and returns its JSON and id.
func (a *api) post(job string, body []byte, header ...string) (raw json.RawMessage, id string) {
	a.t.Helper()
	r := a.do("POST", collection(job), keyA, body, header...)
	if r.StatusCode != 200 {
		a.t.Fatalf("POST: %d %s", r.StatusCode, r.body)
	}
	var v struct {
		Data struct{ Checkpoint json.RawMessage }
	}
	var c struct{ ID string }
	if err := json.Unmarshal(r.body, &v); err != nil {
		a.t.Fatal(err)
	}
	if err := json.Unmarshal(v.Data.Checkpoint, &c); err != nil {
		a.t.Fatal(err)
	}
	return v.Data.Checkpoint, c.ID
}

// body is a small valid request; change edits it.
func body(change func(checkpoint, step map[string]any)) []byte {
	usage := map[string]any{"inputTokens": 1, "outputTokens": 2, "reasoningTokens": 0, "totalTokens": 3, "cachedInputTokens": 0}
	c := map[string]any{"status": "proceeding", "stepNumber": 1, "messages": []any{}, "usage": usage,
		"expert": map[string]any{"key": "@acme/helper@1.0.0", "name": "@acme/helper", "version": "1.0.0"}}
	s := map[string]any{"stepNumber": 1, "newMessages": []any{}, "usage": usage, "startedAt": 1766560657248}
	if change != nil {
		change(c, s)
	}
	b, err := json.Marshal(map[string]any{"checkpoint": c, "step": s})
	if err != nil {
		panic(err)
	}
	return b
}

func traceLines(t *testing.T, name string) [][]byte {
	t.Helper()
	b, err := os.ReadFile("openapi/openapitest/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(b), []byte("\n"))
}

func TestTraceReadsBackByteForByte(t *testing.T) {
	for _, trace := range []string{"short.jsonl", "delegation.jsonl"} {
		a := start(t, nil)
		var ids []string
		var raws []json.RawMessage
		for _, line := range traceLines(t, trace) {
			raw, id := a.post(jobID, line)
			raws, ids = append(raws, raw), append(ids, id)
		}
		for _, cold := range []bool{false, true} {
			for i, id := range ids {
				if cold {
					a.cache.Deleted() // forces a look at the store
				}
				r := a.do("GET", collection(jobID)+id, keyRead, nil)
				if want := `{"data":{"checkpoint":` + string(raws[i]) + `}}`; r.StatusCode != 200 || string(r.body) != want {
					t.Fatalf("%s line %d: %d %s", trace, i+1, r.StatusCode, r.body)
				}
			}
		}
		r := a.do("GET", collection(jobID)+"?take=100", keyRead, nil)
		var list struct {
			Data struct{ Checkpoints []json.RawMessage }
			Meta struct{ Total, Take, Skip int }
		}
		if err := json.Unmarshal(r.body, &list); err != nil {
			t.Fatal(err)
		}
		if list.Meta.Total != len(ids) || len(list.Data.Checkpoints) != len(ids) {
			t.Fatalf("list: %+v, %d checkpoints", list.Meta, len(list.Data.Checkpoints))
		}
		for i, raw := range list.Data.Checkpoints {
			if !bytes.Equal(raw, raws[i]) {
				t.Fatalf("list, checkpoint %d: %s", i+1, raw)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	a := start(t, func(c *config.Config) { c.Server.MaxBody = 64 << 10 })
	_, id := a.post(jobID, body(nil))
	other := "zzz000000000000000000009"
	big := body(func(c, _ map[string]any) { c["note"] = strings.Repeat("x", 70<<10) })
	for _, c := range []struct {
		name, method, path, key string
		body                    []byte
		code                    int
		reason                  string
	}{
		{"no key", "GET", collection(jobID), "", nil, 401, `"Failed to authenticate"`},
		{"a wrong key", "GET", collection(jobID), "nobody-has-this-secret", nil, 401, `"Failed to authenticate"`},
		{"no key comes before an unknown route", "GET", "/nothing", "", nil, 401, `"Failed to authenticate"`},
		{"no key comes before a body too large", "POST", collection(jobID), "", big, 401, `"Failed to authenticate"`},
		{"an unknown route", "GET", "/api/studio/v1/expert_jobs/" + jobID, keyA, nil, 404, `"No such route"`},
		{"a method that the route lacks", "DELETE", collection(jobID) + id, keyA, nil, 405, `"The route does not take this method"`},
		{"a write with a key that reads", "POST", collection(jobID), keyRead, body(nil), 403, `"The key lacks the scope write"`},
		{"a read with a key that writes", "GET", collection(jobID), keyWrite, nil, 403, `"The key lacks the scope read"`},
		{"the scope comes before the path", "POST", collection("X"), keyRead, body(nil), 403, `"The key lacks the scope write"`},
		{"another organization reads one", "GET", collection(jobID) + id, keyB, nil, 404, `"Checkpoint not found"`},
		{"another organization lists", "GET", collection(jobID), keyB, nil, 404, `"Expert job not found"`},
		{"another organization writes", "POST", collection(jobID), keyB, body(nil), 404, `"Expert job not found"`},
		{"another organization streams", "GET", collection(jobID) + "stream", keyB, nil, 404, `"Expert job not found"`},
		{"an unknown job", "GET", collection(other), keyA, nil, 404, `"Expert job not found"`},
		{"an unknown checkpoint", "GET", collection(jobID) + other, keyA, nil, 404, `"Checkpoint not found"`},
		{"a body too large", "POST", collection(jobID), keyA, big, 413, `"The body is larger than server.max_body"`},
		{"an expert that cannot be", "POST", collection(jobID), keyA, body(func(c, _ map[string]any) {
			c["expert"] = map[string]any{"key": "No Such", "name": "x", "version": ""}
		}), 400, `"Expert not found: No Such"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := a.do(c.method, c.path, c.key, c.body)
			var e struct {
				Code   int
				Reason json.RawMessage
			}
			if err := json.Unmarshal(r.body, &e); err != nil {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			if r.StatusCode != c.code || e.Code != c.code || string(e.Reason) != c.reason {
				t.Errorf("got %d %s", r.StatusCode, r.body)
			}
		})
	}
	if n := a.count(jobID); n != 1 {
		t.Errorf("refused requests left %d checkpoints", n)
	}
}

func (a *api) count(job string) uint64 {
	a.t.Helper()
	if a.upstream != nil {
		return a.upstream.count(job)
	}
	record, err := a.store.Job(job)
	if err != nil {
		a.t.Fatal(err)
	}
	return record.Count
}

func TestFaultsNameTheirPlace(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	paths := func(r answer) (out []string) {
		t.Helper()
		var e struct{ Reason checkpoint.Faults }
		if err := json.Unmarshal(r.body, &e); err != nil || r.StatusCode != 422 {
			t.Fatalf("%d %s", r.StatusCode, r.body)
		}
		for _, f := range e.Reason {
			out = append(out, f.Path)
		}
		return out
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", collection("X") + "y", "", "[expertJobId checkpointId]"},
		{"GET", collection("..%2f..%2fx"), "", "[expertJobId]"},
		{"GET", collection(jobID) + "?take=0&skip=-1&sort=id&order=up&filter=", "", "[take skip sort order filter]"},
		{"GET", collection(jobID) + "?take=101&skip=1.5", "", "[take skip]"},
		{"GET", collection(jobID) + "?take=1&take=2", "", "[take]"},
		{"GET", collection(jobID) + "?filter=.status", "", "[filter]"},
		{"POST", collection(jobID), "[]", "[]"},
		{"POST", collection(jobID), "{}", "[checkpoint step]"},
	} {
		got := paths(a.do(c.method, c.path, keyA, []byte(c.body)))
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s %s: faults at %q, want %s", c.method, c.path, got, c.want)
		}
	}
}

func TestListPages(t *testing.T) {
	a := start(t, nil)
	for i := range 25 {
		a.post(jobID, body(func(c, _ map[string]any) {
			c["stepNumber"] = i + 1
			if i%5 == 0 {
				c["status"] = "init"
			}
		}))
	}
	for _, c := range []struct{ query, want string }{
		{"", "25: 1 2 3 4 5 6 7 8 9 10"},
		{"?take=3&skip=20", "25: 21 22 23"},
		{"?take=3&skip=24", "25: 25"},
		{"?take=3&skip=25", "25:"},
		{"?take=3&skip=9007199254740991", "25:"},
		{"?take=3&order=desc", "25: 25 24 23"},
		{"?take=3&order=desc&skip=23&sort=updatedAt", "25: 2 1"},
		{"?filter=INIT&take=2&skip=1&sort=sequence", "5: 6 11"},
		{"?filter=.stepNumber%20%3E%3D%2024", "2: 24 25"},
		{"?filter=.stepNumber%20%3E%3D%2024&order=desc&take=1", "2: 25"},
		{"?filter=nothing-has-this", "0:"},
	} {
		r := a.do("GET", strings.TrimSuffix(collection(jobID), "/")+c.query, keyA, nil)
		var list struct {
			Data struct{ Checkpoints []struct{ Sequence int } }
			Meta struct{ Total int }
		}
		if err := json.Unmarshal(r.body, &list); err != nil {
			t.Fatalf("%s: %d %s", c.query, r.StatusCode, r.body)
		}
		got := fmt.Sprintf("%d:", list.Meta.Total)
		for _, s := range list.Data.Checkpoints {
			got += fmt.Sprintf(" %d", s.Sequence)
		}
		if got != c.want {
			t.Errorf("%q: got %s, want %s", c.query, got, c.want)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	a := start(t, nil)
	_, first := a.post(jobID, body(nil), "Idempotency-Key", "k1")
	if _, again := a.post(jobID, body(nil), "Idempotency-Key", "k1"); again != first {
		t.Errorf("the same key gave %s and %s", first, again)
	}
	other := body(func(c, _ map[string]any) { c["stepNumber"] = 2 })
	if r := a.do("POST", collection(jobID), keyA, other, "Idempotency-Key", "k1"); r.StatusCode != 422 {
		t.Errorf("another body: %d %s", r.StatusCode, r.body)
	}
	if r := a.do("POST", collection(jobID), keyA, other, "Idempotency-Key", strings.Repeat("k", 256)); r.StatusCode != 422 {
		t.Errorf("a long key: %d %s", r.StatusCode, r.body)
	}
	if n := a.count(jobID); n != 1 {
		t.Errorf("%d checkpoints", n)
	}
}

func TestEntityTags(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(func(c, _ map[string]any) { c["note"] = strings.Repeat("x", 4000) }))
	path := collection(jobID) + id
	seen := map[string]bool{}
	var plain []byte
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		r := a.do("GET", path, keyA, nil, "Accept-Encoding", coding)
		tag := r.Header.Get("ETag")
		if tag == "" || seen[tag] || r.Header.Get("Content-Encoding") != coding && r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%q: tag %s, coding %s", coding, tag, r.Header.Get("Content-Encoding"))
		}
		seen[tag] = true
		if coding == "" {
			plain = r.body
		}
		for _, h := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if r := a.do("GET", path, keyA, nil, "If-None-Match", h, "Accept-Encoding", coding); r.StatusCode != 304 || len(r.body) > 0 {
				t.Errorf("If-None-Match %s: %d", h, r.StatusCode)
			}
		}
	}
	if r := a.do("GET", path, keyA, nil, "If-None-Match", `"other"`); r.StatusCode != 200 || !bytes.Equal(r.body, plain) {
		t.Errorf("another tag: %d", r.StatusCode)
	}
	if r := a.do("HEAD", path, keyA, nil); r.StatusCode != 200 || r.ContentLength != int64(len(plain)) {
		t.Errorf("HEAD: %d, length %d, want %d", r.StatusCode, r.ContentLength, len(plain))
	}
}

func TestAcceptEncoding(t *testing.T) {
	for header, want := range map[string]cache.Coding{
		"gzip, deflate, br, zstd": cache.Zstd, "gzip": cache.Gzip, "br;q=0.5, gzip;q=0.9": cache.Gzip,
		"identity": cache.Identity, "gzip;q=0": cache.Identity, "*": cache.Zstd, "zstd;q=0, *": cache.Brotli,
		"deflate": cache.Identity, "GZIP": cache.Gzip, "gzip;q=x": cache.Identity, ";;,,": cache.Identity,
	} {
		if got := parseAcceptEncoding([]byte(header)); got != want {
			t.Errorf("%q: got %d, want %d", header, got, want)
		}
	}
}

func TestDeletedJobIsNotServedFromMemory(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(nil))
	a.do("GET", collection(jobID)+id, keyA, nil)
	if err := a.store.Delete(jobID); err != nil {
		t.Fatal(err)
	}
	a.cache.Deleted()
	if r := a.do("GET", collection(jobID)+id, keyA, nil); r.StatusCode != 404 {
		t.Errorf("got %d", r.StatusCode)
	}
}

func TestRateLimit(t *testing.T) {
	a := start(t, func(c *config.Config) { c.Server.RateLimit, c.Server.RateBurst = 1, 2 })
	a.post(jobID, body(nil))
	a.do("GET", collection(jobID), keyA, nil)
	if r := a.do("GET", collection(jobID), keyA, nil); r.StatusCode != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %d", r.StatusCode)
	}
	if r := a.do("GET", collection(jobID), keyRead, nil); r.StatusCode != 200 {
		t.Errorf("another key: %d", r.StatusCode)
	}
}

func TestConcurrentWritersGetDenseSequences(t *testing.T) {
	a := start(t, nil)
	const writers, each = 8, 20
	errs := make(chan error, writers)
	for range writers {
		go func() {
			for range each {
				req, _ := http.NewRequest("POST", a.base+collection(jobID), bytes.NewReader(body(nil)))
				req.Header.Set("Authorization", "Bearer "+keyA)
				req.Header.Set("Content-Type", "application/json")
				resp, err := a.client.Do(req)
				if err != nil {
					errs <- err
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != 200 {
					errs <- fmt.Errorf("POST: %d", resp.StatusCode)
					return
				}
			}
			errs <- nil
		}()
	}
	for range writers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	r := a.do("GET", collection(jobID)+"?take=100&skip=60", keyA, nil)
	var list struct {
		Data struct{ Checkpoints []struct{ Sequence int } }
		Meta struct{ Total int }
	}
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatal(err)
	}
	if list.Meta.Total != writers*each {
		t.Errorf("total %d", list.Meta.Total)
	}
	for i, c := range list.Data.Checkpoints {
		if c.Sequence != 61+i {
			t.Fatalf("checkpoint %d has sequence %d", 61+i, c.Sequence)
		}
	}
}

func TestLargePageIsStreamedWhole(t *testing.T) {
	a := start(t, nil)
	var want []json.RawMessage
	for range 8 {
		raw, _ := a.post(jobID, body(func(c, _ map[string]any) { c["note"] = strings.Repeat("x", 100<<10) }))
		want = append(want, raw)
	}
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		// The validating client decodes what it checks; the page itself is
		// compared where it came as it is.
		r := a.do("GET", collection(jobID), keyA, nil, "Accept-Encoding", coding)
		if r.StatusCode != 200 {
			t.Fatalf("%q: %d", coding, r.StatusCode)
		}
		if coding != "" {
			continue
		}
		var list struct {
			Data struct{ Checkpoints []json.RawMessage }
		}
		if err := json.Unmarshal(r.body, &list); err != nil || len(list.Data.Checkpoints) != len(want) {
			t.Fatalf("%v, %d checkpoints", err, len(list.Data.Checkpoints))
		}
		for i, raw := range list.Data.Checkpoints {
			if !bytes.Equal(raw, want[i]) {
				t.Errorf("checkpoint %d differs", i+1)
			}
		}
	}
}
