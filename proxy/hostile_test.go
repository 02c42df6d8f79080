package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"milepost/internal/config"
)

// raw sends bytes on a connection of its own and returns the first answer.
func (a *api) raw(request string) (code int, body string) {
	a.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(a.base, "http://"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, request) }()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		a.t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	var e struct{ Code int }
	if err := json.Unmarshal(b, &e); err != nil || e.Code != resp.StatusCode {
		a.t.Errorf("status %d with the body %s", resp.StatusCode, b)
	}
	return resp.StatusCode, string(b)
}

func head(method, path, key, more string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%s\r\n",
		method, path, key, more)
}

func TestHostileBodies(t *testing.T) {
	a := start(t, nil)
	deep := strings.Repeat(`{"a":`, 100_000)
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"ten million brackets":       {strings.Repeat("[", 10_000_000), 400},
		"nested objects":             {deep, 400},
		"nested objects, closed":     {`{"checkpoint":` + deep + "1" + strings.Repeat("}", 100_000) + "}", 400},
		"a number of ten megabytes":  {`{"checkpoint":` + strings.Repeat("1", 10_000_000) + "}", 400},
		"invalid UTF-8":              {"{\"checkpoint\":\"\xff\"}", 400},
		"trailing data":              {string(body(nil)) + "{}", 400},
		"nothing":                    {"", 400},
		"NaN":                        {`{"checkpoint":NaN}`, 400},
		"a million properties":       {`{"x":{` + strings.Repeat(`"a":1,`, 1_000_000) + `"a":1}}`, 422},
		"a million messages of ones": {string(bytes.Replace(body(nil), []byte(`"messages":[]`), []byte(`"messages":[`+strings.Repeat("1,", 1_000_000)+`1]`), 1)), 200},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest("POST", a.base+collection(jobID), strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+keyA)
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			b, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != c.code {
				t.Errorf("got %d %.200s", resp.StatusCode, b)
			}
		})
	}
	a.post(jobID, body(nil))
}

func TestHostileHeads(t *testing.T) {
	a := start(t, func(c *config.Config) { c.Server.ReadTimeout = config.Duration(300 * time.Millisecond) })
	a.post(jobID, body(nil))
	path := collection(jobID)
	// fasthttp hands a request over when the first 8 KiB of its body are there.
	begun := strings.Repeat(" ", 8<<10)
	for _, c := range []struct {
		name, request string
		code          int
	}{
		{"an announced gigabyte", head("POST", path, keyA, "Content-Length: 1073741824\r\n") + begun, 413},
		{"an announced gigabyte without a key", head("POST", path, "nobody", "Content-Length: 1073741824\r\n") + begun, 401},
		{"an announced gigabyte that asks first", head("POST", path, keyA, "Content-Length: 1073741824\r\nExpect: 100-continue\r\n"), 413},
		{"a stranger that asks first", head("POST", path, "nobody", "Content-Length: 100\r\nExpect: 100-continue\r\n"), 401},
		{"a header of a megabyte", head("GET", path, keyA, "X-Bomb: "+strings.Repeat("x", 1<<20)+"\r\n"), 431},
		{"ten thousand headers", head("GET", path, keyA, strings.Repeat("X-A: b\r\n", 10_000)), 431},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"a body that never comes", head("POST", path, keyA, "Content-Length: 10\r\n"), 408},
		{"another content type", strings.Replace(head("POST", path, keyA, "Content-Length: 2\r\n"), "/json", "/xml", 1) + "{}", 415},
		{"a compressed body", head("POST", path, keyA, "Content-Length: 2\r\nContent-Encoding: gzip\r\n") + "{}", 415},
		{"a chunk without end", head("POST", path, keyA, "Transfer-Encoding: chunked\r\n") + "zz\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, body := a.raw(c.request); code != c.code {
				t.Errorf("got %d %s", code, body)
			}
		})
	}
}

func TestPathsCannotBeSmuggled(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(nil))
	for _, p := range []string{
		"/api/studio/v1/expert_jobs/" + jobID + "/checkpoints/../checkpoints/" + id,
		"/api/studio/v1/expert_jobs//" + jobID + "/checkpoints/" + id,
		"/api/studio/v1/expert_jobs/" + jobID + "/checkpoints/%2e%2e/" + id,
		"/api/studio/v1/expert_jobs/" + jobID + "%2fcheckpoints%2f" + id,
		"/api/studio/v1/expert_jobs/" + jobID + "/checkpoints/" + id + "%00",
		"/api/studio/v1/expert_jobs/" + jobID + "/checkpoints/" + id + "/",
		"/./api/studio/v1/expert_jobs/" + jobID + "/checkpoints/" + id,
		"/api/studio/v1/expert_jobs/" + jobID + "/checkpoints/" + strings.ToUpper(id),
		"/../../etc/passwd", "//openapi.yaml", "/openapi.yaml/",
	} {
		code, body := a.raw(head("GET", p, keyA, ""))
		if code != 404 && code != 422 {
			t.Errorf("%s: %d %s", p, code, body)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	a := start(t, func(c *config.Config) { c.Server.MaxConnections = 50 })
	addr := strings.TrimPrefix(a.base, "http://")
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	refused := 0
	for range 200 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for _, c := range open[100:] {
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == 503 && resp.Header.Get("Retry-After") != "" {
			refused++
		}
	}
	if refused != 100 {
		t.Errorf("%d of the last 100 half-open connections were refused", refused)
	}
	for _, c := range open {
		_ = c.Close()
	}
	open = nil
	// The places are free as soon as the server has seen the connections end.
	deadline := time.Now().Add(10 * time.Second)
	for a.server.conns.open.Load() >= 50 && time.Now().Before(deadline) {
		if resp, err := http.Get(a.base + "/openapi.yaml"); err == nil {
			_ = resp.Body.Close()
		}
	}
	a.post(jobID, body(nil))
}

// A drain that takes too long cuts requests off, and no handler outlives it.
func TestShutdownWaitsForCutOffHandlers(t *testing.T) {
	a := start(t, nil)
	c, err := net.Dial("tcp", strings.TrimPrefix(a.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The first 8 KiB of a longer body: the handler waits for the rest.
	begun := head("POST", collection(jobID), keyA, "Content-Length: 20000\r\n") + strings.Repeat(" ", 8<<10)
	if _, err := io.WriteString(c, begun); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); a.server.handlers.TryLock(); {
		a.server.handlers.Unlock()
		if time.Now().After(deadline) {
			t.Fatal("the request did not reach its handler")
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.server.Shutdown(ended); err == nil {
		t.Error("the shutdown says that it waited for the request")
	}
	if !a.server.handlers.TryLock() {
		t.Error("a handler outlived the shutdown")
	} else {
		a.server.handlers.Unlock()
	}
}
