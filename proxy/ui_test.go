package proxy

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/internal/viewer"
)

// askUI makes a request without a key, of paths that the API's description does
// not have.
func askUI(t *testing.T, a *api, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, a.base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, body
}

func TestViewerNeedsNoKey(t *testing.T) {
	a := start(t, nil)
	for name, f := range viewer.Files() {
		resp, body := askUI(t, a, "GET", viewer.Prefix+name)
		if resp.StatusCode != 200 || !bytes.Equal(body, f.Body) {
			t.Errorf("%s: %d, %d bytes", name, resp.StatusCode, len(body))
		}
		for header, want := range map[string]string{
			"Content-Type":            f.ContentType,
			"Etag":                    `"` + f.Tag + `"`,
			"Cache-Control":           "no-cache",
			"Content-Security-Policy": viewer.PolicyHeader,
			"X-Content-Type-Options":  "nosniff",
			"Referrer-Policy":         "no-referrer",
			"Vary":                    "Accept-Encoding",
		} {
			if got := resp.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", name, header, got, want)
			}
		}
	}
	page, _ := askUI(t, a, "GET", "/ui/")
	if page.StatusCode != 200 || page.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("the page: %d %v", page.StatusCode, page.Header)
	}
	for _, name := range []string{"main.js", "index.html"} {
		plain, body := askUI(t, a, "HEAD", viewer.Prefix+name)
		if plain.StatusCode != 200 || len(body) != 0 || plain.ContentLength != int64(len(viewer.Find(viewer.Prefix+name).Body)) {
			t.Errorf("HEAD %s: %d, %d bytes of %d", name, plain.StatusCode, len(body), plain.ContentLength)
		}
	}
}

func TestViewerRoutes(t *testing.T) {
	a := start(t, nil)
	for _, c := range []struct {
		method, path string
		header       []string
		status       int
		location     string
		allow        string
	}{
		{method: "GET", path: "/ui", status: 308, location: "ui/"},
		{method: "HEAD", path: "/ui", status: 308, location: "ui/"},
		{method: "POST", path: "/ui/", status: 405, allow: "GET, HEAD"},
		{method: "DELETE", path: "/ui/main.js", status: 405, allow: "GET, HEAD"},
		{method: "GET", path: "/ui/nothing", status: 401},
		{method: "GET", path: "/ui/../ui/main.js", status: 401},
		{method: "GET", path: "/ui/%6dain.js", status: 401},
		{method: "GET", path: "/uix", status: 401},
		{method: "GET", path: "/ui/nothing", header: []string{"Authorization", "Bearer " + keyA}, status: 404},
		{method: "GET", path: "/ui/?x=1", status: 200},
	} {
		resp, body := askUI(t, a, c.method, c.path, c.header...)
		if resp.StatusCode != c.status || resp.Header.Get("Location") != c.location || resp.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, resp.StatusCode, resp.Header, body)
		}
	}
}

func TestViewerIsSentAgainOnlyWhenItChanged(t *testing.T) {
	a := start(t, nil)
	first, _ := askUI(t, a, "GET", "/ui/main.js")
	tag := first.Header.Get("Etag")
	for _, match := range []string{tag, "W/" + tag, `"x", ` + tag, "*", strings.TrimSuffix(tag, `"`) + `-gzip"`} {
		if resp, body := askUI(t, a, "GET", "/ui/main.js", "If-None-Match", match); resp.StatusCode != 304 || len(body) != 0 {
			t.Errorf("If-None-Match %s: %d", match, resp.StatusCode)
		}
	}
	if resp, _ := askUI(t, a, "GET", "/ui/main.js", "If-None-Match", `"0000000000000000"`); resp.StatusCode != 200 {
		t.Errorf("an old tag: %d", resp.StatusCode)
	}
}

func TestViewerIsCompressed(t *testing.T) {
	a := start(t, nil)
	want := viewer.Find("/ui/style.css").Body
	for range 2 { // made, and kept
		resp, body := askUI(t, a, "GET", "/ui/style.css", "Accept-Encoding", "gzip")
		if resp.Header.Get("Content-Encoding") != "gzip" || !strings.HasSuffix(resp.Header.Get("Etag"), `-gzip"`) || len(body) >= len(want) {
			t.Fatalf("%v, %d bytes of %d", resp.Header, len(body), len(want))
		}
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes instead of %d, %v", len(got), len(want), err)
		}
	}
}

// In front of an upstream the viewer is ours, and nothing under its path is
// passed on.
func TestViewerInFrontOfAnUpstream(t *testing.T) {
	for _, auth := range []string{"forward", "local"} {
		t.Run(auth, func(t *testing.T) {
			a := startPair(t, vfs.NewMem(), config.Default(), auth)
			// The upstream must be serving before the test's end stops it.
			if resp, _ := askUI(t, a.upstream, "GET", "/ui/"); resp.StatusCode != 200 {
				t.Errorf("the upstream's own: %d", resp.StatusCode)
			}
			for path, want := range map[string]int{"/ui/": 200, "/ui/main.js": 200, "/ui": 308, "/ui/nothing": 404} {
				if resp, body := askUI(t, a, "GET", path); resp.StatusCode != want {
					t.Errorf("%s: %d %s", path, resp.StatusCode, body)
				}
			}
		})
	}
}
