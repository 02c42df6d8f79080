package terminal

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestErrors(t *testing.T) {
	fault := `{"path":"a","message":"is missing"}`
	for _, tt := range []struct {
		code      int
		body      string
		says      string
		temporary bool
	}{
		{401, `{"code":401,"error":"Unauthorized","reason":"Failed to authenticate"}`, "401: Failed to authenticate", false},
		{404, `not JSON`, "404: Not Found", false},
		{409, `{"reason":""}`, "409: Conflict", true},
		{413, ``, "413: ", false},
		{422, `{"reason":[` + fault + `]}`, "422: a: is missing", false},
		{422, `{"reason":[` + strings.Repeat(fault+",", 4) + fault + `]}`, "a: is missing (and 2 more)", false},
		{429, ``, "429: ", true},
		{500, `{"reason":"a\u001bb"}`, "500: a\ufffdb", true},
		{501, ``, "501: ", false},
		{503, ``, "503: ", true},
		{507, ``, "507: ", true},
	} {
		t.Run(fmt.Sprint(tt.code, " ", tt.body), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(tt.code)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer server.Close()
			_, err := newClient(t, server.URL).Checkpoint(t.Context(), job, job)
			var api *APIError
			if !errors.As(err, &api) || api.Code != tt.code || api.RetryAfter != 7*time.Second || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
			if Temporary(err) != tt.temporary {
				t.Errorf("temporary: %v", Temporary(err))
			}
		})
	}
}

// The key is not taken to another place.
func TestRedirectsAreNotFollowed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/elsewhere" {
			t.Error("it was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusMovedPermanently)
	}))
	defer server.Close()
	err := newClient(t, server.URL).Exists(t.Context(), job, job)
	if err == nil || !strings.Contains(err.Error(), "301: Moved Permanently: set the target to where /elsewhere is") || Temporary(err) {
		t.Errorf("%v", err)
	}
}

// A certificate that nobody trusts will not be trusted later.
func TestUntrustedCertificateIsNotTemporary(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake
	defer server.Close()
	if err := newClient(t, server.URL).Exists(t.Context(), job, job); err == nil || Temporary(err) {
		t.Errorf("%v", err)
	}
}

func TestUnreachableIsTemporary(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	if err := newClient(t, server.URL).Exists(t.Context(), job, job); err == nil || !Temporary(err) {
		t.Errorf("%v", err)
	}
}

func TestTargets(t *testing.T) {
	for _, target := range []string{"", "localhost:8080", "ftp://host", "http://", "http://a b"} {
		if _, err := NewClient(target, "k"); err == nil {
			t.Errorf("%q is taken", target)
		}
	}
	var path, key string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, key = r.URL.Path, r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"data":{"checkpoint":{"a":1.0}}}`))
	})
	server := httptest.NewServer(handler)
	defer server.Close()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	local := httptest.NewUnstartedServer(handler)
	_ = local.Listener.Close()
	local.Listener = ln
	local.Start()
	defer local.Close()
	for target, want := range map[string]string{
		server.URL: "", server.URL + "/": "", server.URL + "/behind/": "/behind", "unix:" + socket: "",
	} {
		raw, err := newClient(t, target).Checkpoint(t.Context(), job, job)
		if want += "/api/studio/v1/expert_jobs/" + job + "/checkpoints/" + job; err != nil || path != want || key != "Bearer the-key" {
			t.Errorf("%s: %v, path %q, key %q", target, err, path, key)
		}
		if string(raw) != `{"a":1.0}` {
			t.Errorf("%s: %s", target, raw)
		}
	}
}

// An answer of something that is no Milepost is an error, never a crash.
func TestStrangeAnswers(t *testing.T) {
	for _, body := range []string{``, `<html>`, `[]`, `{}`, `{"data":[]}`, `{"data":{}}`, `{"data":{"checkpoints":{}}}`, `{"data":{"checkpoints":[1`, `{"data":null}`} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		c := newClient(t, server.URL)
		if _, err := c.Checkpoint(t.Context(), job, job); err == nil {
			t.Errorf("checkpoint of %s: no error", body)
		}
		if _, err := c.Post(t.Context(), job, "k", []byte(`{}`)); err == nil {
			t.Errorf("post to %s: no error", body)
		}
		if _, err := c.Page(t.Context(), job, nil, nothing); err == nil {
			t.Errorf("page of %s: no error", body)
		}
		server.Close()
	}
}

func TestFlags(t *testing.T) {
	t.Setenv(URLVariable, "")
	t.Setenv(KeyVariable, "")
	f := NewFlags("x")
	from := f.String("from", "", "")
	rest, err := f.Arguments([]string{"a", "--from", "b", "--key=k", "c"}, 1, 2)
	if err != nil || strings.Join(rest, " ") != "a c" || *from != "b" {
		t.Errorf("%q %q %v", rest, *from, err)
	}
	if c, err := f.Client(); err != nil || c.base != defaultTarget || c.key != "k" {
		t.Errorf("%+v %v", c, err)
	}
	t.Setenv(URLVariable, "https://there")
	t.Setenv(KeyVariable, "other")
	if c, err := f.Client(); err != nil || c.base != "https://there" || c.key != "k" {
		t.Errorf("%+v %v", c, err)
	}
	if c, err := NewFlags("x").Client(); err != nil || c.key != "other" {
		t.Errorf("%+v %v", c, err)
	}
	for _, args := range [][]string{{}, {"a", "b", "c"}, {"a", "--unknown"}} {
		if _, err := NewFlags("x").Arguments(args, 1, 2); err == nil {
			t.Errorf("%q are taken", args)
		}
	}
	t.Setenv(KeyVariable, "")
	if _, err := NewFlags("x").Client(); err == nil {
		t.Error("no key is needed")
	}
}
