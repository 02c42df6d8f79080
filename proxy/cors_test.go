package proxy

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"milepost/internal/config"
)

const webPage = "https://dash.example.com"

// newCtx is a GET that no connection brought.
func newCtx(path string) *fasthttp.RequestCtx {
	var r fasthttp.Request
	r.SetRequestURI(path)
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(&r, nil, nil)
	return ctx
}

func withOrigins(origins ...string) func(*config.Config) {
	return func(c *config.Config) { c.Server.CORSOrigins = origins }
}

// A preflight is answered without a key, but only for an origin that was named.
func TestPreflight(t *testing.T) {
	ask := []string{"Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization"}
	for _, c := range []struct {
		name    string
		origins []string
		origin  string
		header  []string
		path    string
		code    int
		allow   string
	}{
		{"none are named", nil, webPage, ask, collection(jobID), 401, ""},
		{"the origin is named", []string{"http://other.example", webPage}, webPage, ask, collection(jobID), 204, webPage},
		{"another is named", []string{"http://other.example"}, webPage, ask, collection(jobID), 401, ""},
		{"another scheme", []string{webPage}, "http://dash.example.com", ask, collection(jobID), 401, ""},
		{"another port", []string{webPage}, webPage + ":8443", ask, collection(jobID), 401, ""},
		{"a longer name", []string{webPage}, webPage + ".evil.example", ask, collection(jobID), 401, ""},
		{"any origin", []string{"*"}, webPage, ask, collection(jobID), 204, "*"},
		{"any origin, of a local file", []string{"*"}, "null", ask, collection(jobID), 204, "*"},
		{"the stream", []string{webPage}, webPage, ask, streamPath(jobID), 204, webPage},
		{"the streams", []string{webPage}, webPage, ask, string(streamsPath), 204, webPage},
		{"the tickets", []string{webPage}, webPage, ask, string(ticketsPath), 204, webPage},
		{"the description", []string{webPage}, webPage, ask, "/openapi.yaml", 204, webPage},
		{"what is not there", []string{webPage}, webPage, ask, "/nothing", 204, webPage},
		{"no origin", []string{"*"}, "", ask, collection(jobID), 401, "*"},
		{"no method is asked for", []string{webPage}, webPage, nil, collection(jobID), 401, webPage},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, withOrigins(c.origins...))
			header := c.header
			if c.origin != "" {
				header = append([]string{"Origin", c.origin}, header...)
			}
			r := a.do("OPTIONS", c.path, "", nil, header...)
			h := r.Header
			if r.StatusCode != c.code || h.Get("Access-Control-Allow-Origin") != c.allow {
				t.Fatalf("%d %v", r.StatusCode, h)
			}
			if c.code != 204 {
				return
			}
			for name, want := range map[string][]string{
				"Access-Control-Allow-Methods": {"GET", "HEAD", "POST"},
				"Access-Control-Allow-Headers": {"Authorization", "Content-Type", "Last-Event-ID", "Idempotency-Key", "If-None-Match"},
				"Access-Control-Max-Age":       {"600"},
			} {
				for _, w := range want {
					if !strings.Contains(h.Get(name), w) {
						t.Errorf("%s: %s lacks %s", name, h.Get(name), w)
					}
				}
			}
			if len(r.body) > 0 || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%q %v", r.body, h)
			}
		})
	}
}

// A page of a named origin can read every answer, errors and streams too;
// another cannot, and no cache mixes the two up.
func TestPagesReadAnswers(t *testing.T) {
	for _, c := range []struct {
		name         string
		origins      []string
		origin       string
		allow, varys string
	}{
		{"no CORS", nil, webPage, "", ""},
		{"named", []string{webPage}, webPage, webPage, "Origin"},
		{"another", []string{webPage}, "http://other.example", "", "Origin"},
		{"no page", []string{webPage}, "", "", "Origin"},
		{"any", []string{"*"}, webPage, "*", ""},
		{"any, and what comes from a cache", []string{"*"}, "", "*", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, withOrigins(c.origins...))
			_, id := a.post(jobID, body(nil))
			var header []string
			if c.origin != "" {
				header = []string{"Origin", c.origin}
			}
			check := func(name string, h map[string][]string) {
				t.Helper()
				if got := strings.Join(h["Access-Control-Allow-Origin"], ","); got != c.allow {
					t.Errorf("%s: Access-Control-Allow-Origin %q, want %q", name, got, c.allow)
				}
				if got := strings.Contains(strings.Join(h["Vary"], ","), "Origin"); got != (c.varys != "") {
					t.Errorf("%s: Vary %v", name, h["Vary"])
				}
			}
			for _, r := range []struct {
				method, path, key string
				code              int
			}{
				{"GET", collection(jobID) + id, keyA, 200},
				{"GET", collection(jobID), keyA, 200},
				{"GET", collection(jobID), "", 401},
				{"GET", "/nothing", keyA, 404},
				{"DELETE", collection(jobID), keyA, 405},
				{"GET", collection(jobID), keyWrite, 403},
				{"GET", streamPath("X"), keyA, 422},
				{"HEAD", streamPath(jobID), keyA, 200},
				{"GET", "/openapi.yaml", "", 200},
			} {
				got := a.do(r.method, r.path, r.key, nil, header...)
				if got.StatusCode != r.code {
					t.Errorf("%s %s: %d", r.method, r.path, got.StatusCode)
				}
				check(r.method+" "+r.path, got.Header)
			}
			check("the stream", a.watch(streamPath(jobID), keyA, header...).resp.Header)
			check("the streams", a.watch(streamsOf([]string{jobID}), keyA, header...).resp.Header)
		})
	}
}

// A reload puts other origins in force.
func TestReloadOfOrigins(t *testing.T) {
	a := start(t, nil)
	a.config.Server.CORSOrigins = []string{webPage}
	a.server.Reload(a.config, testKeys())
	if r := a.do("GET", "/openapi.yaml", "", nil, "Origin", webPage); r.Header.Get("Access-Control-Allow-Origin") != webPage {
		t.Errorf("%v", r.Header)
	}
}
