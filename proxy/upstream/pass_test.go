package upstream

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"milepost/proxy/upstream/upstreamtest"
)

func get(target string, headers ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: caller.example\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

func TestTargetsPassByteForByte(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	for _, target := range []string{
		"/", "//", "/a//b/", "/a/../b", "/../..", "/a%2Fb", "/a%2fb%2F", "/%2e%2e/x", "/./x/.", "/a;b=c,d", "/a?", "/a?b=%20+c&&d==",
		"/?q=1#f", "/a\\b", "/\xc3\xa9", "/a%00b", "/a:b@c", "/%7Ea~", "/api/studio/v1/expert_jobs/x/checkpoints/%2E%2E/y",
	} {
		resp, body := f.ask(get(target))
		if resp.StatusCode != 200 {
			t.Errorf("%q: %d %s", target, resp.StatusCode, body)
		} else if got := last(t, up).Target; got != target {
			t.Errorf("%q became %q", target, got)
		}
	}
}

func TestMethodsPass(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "X-Own"} {
		resp, _ := f.ask(method + " /m HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
		if got := last(t, up).Method; resp.StatusCode != 200 || got != method {
			t.Errorf("%s became %s: %d", method, got, resp.StatusCode)
		}
	}
	if resp, _ := f.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"); resp.StatusCode != 200 || last(t, up).Target != "*" {
		t.Errorf("OPTIONS * became %q: %d", last(t, up).Target, resp.StatusCode)
	}
	for target, want := range map[string]string{"http://x.example/a//b?c": "/a//b?c", "http://x.example": "/", "http://x.example?q": "/?q"} {
		f.ask(get(target))
		if got := last(t, up); got.Target != want || got.Header.Get("X-Forwarded-Host") != "x.example" {
			t.Errorf("%s became %s of %s", target, got.Target, got.Header.Get("X-Forwarded-Host"))
		}
	}
}

func TestAPathInTheURLIsPutBefore(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL+"/base/"))
	f.ask(get("/a%2F?b"))
	if got := last(t, up).Target; got != "/base/a%2F?b" {
		t.Errorf("got %s", got)
	}
}

func TestAnswersPass(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Set-Cookie"] = []string{"a=1; Path=/", "b=2"}
		h["X-Twice"] = []string{"1", "2"}
		h.Set("Date", "Mon, 02 Jan 2006 15:04:05 GMT")
		h.Set("Etag", `"x"`)
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Connection", "X-Secret, keep-alive")
		h.Set("X-Secret", "of the connection")
		h.Set("Proxy-Authenticate", "Basic")
		h["Content-Type"] = nil
		h.Set("Server", "theirs")
		var status int
		_, _ = fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &status)
		w.WriteHeader(status)
		if status != 204 && status != 304 {
			_, _ = io.WriteString(w, "body")
		}
	})
	for _, status := range []int{200, 201, 204, 301, 304, 404, 418, 500, 503, 599} {
		resp, body := f.ask(get(fmt.Sprint("/", status)))
		if resp.StatusCode != status || (body != "body") != (status == 204 || status == 304) {
			t.Errorf("got %d %q for %d", resp.StatusCode, body, status)
		}
		h := resp.Header
		for _, name := range []string{"Keep-Alive", "Connection", "X-Secret", "Proxy-Authenticate", "Content-Type", "Via"} {
			if v, ok := h[name]; ok {
				t.Errorf("%d has %s: %s", status, name, v)
			}
		}
		if len(h["Set-Cookie"]) != 2 || len(h["X-Twice"]) != 2 || h.Get("Date") != "Mon, 02 Jan 2006 15:04:05 GMT" || h.Get("Server") != "theirs" || h.Get("Etag") != `"x"` {
			t.Errorf("%d has %v", status, h)
		}
	}
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "12345")
		}
	})
	if resp, body := f.ask("HEAD /length HTTP/1.1\r\nHost: x\r\n\r\n"); resp.ContentLength != 12345 || body != "" {
		t.Errorf("HEAD: %v %q", resp.Header, body)
	}
	if resp, body := f.ask("HEAD /none HTTP/1.1\r\nHost: x\r\n\r\n"); resp.ContentLength != -1 || body != "" {
		t.Errorf("HEAD: %d %v %q", resp.ContentLength, resp.Header, body)
	}
}

func TestTrailersPassInBothDirections(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	c := f.dial()
	c.send("POST /t HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-More\r\n\r\n" +
		"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 42\r\nX-More: a\r\n\r\n")
	resp, body, err := c.answer("POST")
	if err != nil || body != "hello world" || resp.Trailer.Get("X-Sum") != "42" || resp.Trailer.Get("X-More") != "a" {
		t.Errorf("got %q with %v, %v", body, resp.Trailer, err)
	}
	if got := last(t, up).Header; got.Get("Te") != "trailers" {
		t.Errorf("the upstream got %v", got)
	}
	// The connections are good for another request.
	c.send(get("/again"))
	if resp, _, err := c.answer("GET"); err != nil || resp.StatusCode != 200 {
		t.Errorf("then %d, %v", resp.StatusCode, err)
	}
	if n := up.Accepted(); n != 1 {
		t.Errorf("%d connections to the upstream", n)
	}
}

func TestConnectionsAreKept(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	c := f.dial()
	for range 50 {
		c.send(get("/x") + "POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		for _, method := range []string{"GET", "POST"} {
			if resp, _, err := c.answer(method); err != nil || resp.StatusCode != 200 {
				t.Fatal(resp, err)
			}
		}
	}
	if n := up.Accepted(); n != 1 {
		t.Errorf("%d connections for 100 requests", n)
	}
	// One that the upstream closed meanwhile costs nobody an answer, also not
	// one that cannot be repeated.
	for range 5 {
		up.Down()
		up.Up()
		c.send("POST /y HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
		if resp, body, err := c.answer("POST"); err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, body, err)
		}
	}
}

func TestOldCallers(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		size := 10
		if r.URL.Path == "/large" {
			size = 2 << 20
		}
		for range size {
			_, _ = io.WriteString(w, "x")
			if size == 10 {
				w.(http.Flusher).Flush()
			}
		}
	})
	resp, body := f.ask("GET /chunks HTTP/1.0\r\n\r\n")
	if resp.ContentLength != 10 || body != "xxxxxxxxxx" || !resp.Close {
		t.Errorf("got %q, %v", body, resp)
	}
	resp, body = f.ask("GET /large HTTP/1.0\r\n\r\n")
	wantError(t, resp, body, 502)
	up.Answer(upstreamtest.Echo)
	f.ask("GET /via HTTP/1.0\r\n\r\n")
	if got := last(t, up).Header.Get("Via"); got != "1.0 milepost" {
		t.Errorf("Via: %s", got)
	}
}

func TestUpgradesAreRefused(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	for _, request := range []string{
		get("/ws", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x"),
		get("/h2", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"),
		"CONNECT x.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		resp, body := f.ask(request)
		wantError(t, resp, body, 501)
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("%d requests reached the upstream", n)
	}
	if resp, _ := f.ask(get("/x", "Upgrade: h2c")); resp.StatusCode != 200 || last(t, up).Header.Get("Upgrade") != "" {
		t.Errorf("an Upgrade for another hop: %d, %v", resp.StatusCode, last(t, up).Header)
	}
}

// raw is an upstream that notes every byte.
func raw(t *testing.T) (url string, bytes func() string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu  sync.Mutex
		all strings.Builder
		wg  sync.WaitGroup
	)
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, 64<<10)
				for {
					n, err := c.Read(b)
					mu.Lock()
					all.Write(b[:n])
					mu.Unlock()
					if err != nil {
						return
					}
					if strings.Contains(string(b[:n]), "\r\n\r\n") {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return "http://" + ln.Addr().String(), func() string {
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

func TestNothingIsSmuggled(t *testing.T) {
	url, sent := raw(t)
	f := serve(t, patient(url))
	post := func(headers, body string) string {
		return "POST /s HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body
	}
	evil := "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, request := range map[string]string{
		"length and chunks":         post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+evil),
		"chunks and length":         post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"+evil),
		"two lengths":               post("Content-Length: 0\r\nContent-Length: 36\r\n", evil),
		"two equal lengths":         post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"),
		"a list of lengths":         post("Content-Length: 0, 36\r\n", evil),
		"a negative length":         post("Content-Length: -1\r\n", evil),
		"a length with a sign":      post("Content-Length: +2\r\n", "ab"),
		"an empty length":           post("Content-Length: \r\n", evil),
		"a length in hex":           post("Content-Length: 0x2\r\n", "ab"),
		"a huge length":             post("Content-Length: 99999999999999999999\r\n", evil),
		"identity":                  post("Transfer-Encoding: identity\r\n", ""),
		"identity and length":       post("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "ab"),
		"two encodings":             post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"+evil),
		"another encoding":          post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"+evil),
		"chunked twice":             post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
		"a prefixed encoding":       post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"+evil),
		"an encoding in quotes":     post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"),
		"space before the colon":    post("Content-Length : 4\r\n", evil),
		"space in the name":         post("Content Length: 4\r\n", evil),
		"a folded encoding":         post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"+evil),
		"a folded header":           post("X-A: b\r\n c\r\nContent-Length: 0\r\n", ""),
		"a line that is no header":  post("nonsense\r\nContent-Length: 0\r\n", ""),
		"a return in a value":       post("X-A: b\rContent-Length: 5\r\n", ""),
		"a zero in a value":         post("X-A: b\x00c\r\nContent-Length: 0\r\n", ""),
		"chunks with HTTP/1.0":      "POST /s HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil,
		"no host":                   "GET /s HTTP/1.1\r\n\r\n",
		"two hosts":                 "GET /s HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"space in the target":       "GET /s /evil HTTP/1.1\r\nHost: a\r\n\r\n",
		"a tab in the target":       "GET /s\t HTTP/1.1\r\nHost: a\r\n\r\n",
		"two authorizations":        get("/s", "Authorization: Bearer a", "Authorization: Bearer b"),
		"a bad size of a chunk":     post("Transfer-Encoding: chunked\r\n", "2x\r\nab\r\n0\r\n\r\n"),
		"a size with a sign":        post("Transfer-Encoding: chunked\r\n", "-2\r\nab\r\n0\r\n\r\n"),
		"a huge size of a chunk":    post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\nab\r\n0\r\n\r\n"),
		"a chunk longer than it is": post("Transfer-Encoding: chunked\r\n", "2\r\nabc\r\n0\r\n\r\n"),
		"a bare feed behind a size": post("Transfer-Encoding: chunked\r\n", "2\nab\r\n0\r\n\r\n"),
		"a forbidden trailer":       post("Transfer-Encoding: chunked\r\n", "0\r\nContent-Length: 5\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := f.dial()
			c.send(request)
			resp, body, err := c.answer("POST")
			if err != nil || resp.StatusCode != 400 {
				t.Errorf("got %d %s, %v", resp.StatusCode, body, err)
			}
			// The connection ends: what follows is not read as a request.
			if rest, err := io.ReadAll(c.br); err == nil && len(rest) > 0 {
				t.Errorf("then came %q", rest)
			}
		})
	}
	if got := sent(); strings.Contains(got, "evil") || strings.Contains(got, "0\r\n\r\n") && strings.Contains(got, "abc") {
		t.Errorf("the upstream got %q", got)
	}
}

func TestDisguisedHeadersDoNotPass(t *testing.T) {
	url, sent := raw(t)
	f := serve(t, patient(url))
	f.ask("POST /s HTTP/1.1\r\nHost: x\r\ncontent_length: 50\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 1.2.3.4\r\nx-forwarded-port: 1\r\nMy_Own: 1\r\nContent-Length: 002\r\n\r\nab")
	got := strings.ToLower(sent())
	for _, name := range []string{"content_length", "transfer_encoding", "x_forwarded_for", "x-forwarded-port"} {
		if strings.Contains(got, name) {
			t.Errorf("%s has passed: %q", name, got)
		}
	}
	if !strings.Contains(got, "my_own: 1") || !strings.Contains(got, "content-length: 2\r\n") {
		t.Errorf("got %q", got)
	}
}
