package upstream

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"milepost/metrics"
	"milepost/proxy/upstream/upstreamtest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		// fasthttp keeps a clock for the process, and a worker pool's cleaner
		// sees the end of its server only when it wakes up, every ten seconds.
		if err := goleak.Find(
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// patient are options whose deadlines no test meets.
func patient(url string) Options {
	return Options{
		URL: url, ConnectTimeout: 20 * time.Second, HeaderTimeout: 20 * time.Second, RequestTimeout: 20 * time.Second,
		MaxIdle: 16, MaxAnswer: 1 << 20, BreakerWait: time.Second,
	}
}

// hasty are options whose deadlines a test meets soon.
func hasty(url string) Options {
	o := patient(url)
	o.HeaderTimeout, o.RequestTimeout = 300*time.Millisecond, 600*time.Millisecond
	return o
}

// newClient returns a client that is closed with the test.
func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	o.Metrics = metrics.NewUpstream(prometheus.NewRegistry())
	o.Logger = slog.New(slog.DiscardHandler)
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// front is a server that passes everything on.
type front struct {
	t       testing.TB
	client  *Client
	address string
}

// serve starts a front that ends with the test.
func serve(t testing.TB, o Options) *front {
	t.Helper()
	c := newClient(t, o)
	return serveHandler(t, c, c.Pass)
}

// serveHandler starts a front that answers otherwise.
func serveHandler(t testing.TB, c *Client, h fasthttp.RequestHandler) *front {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{
		Handler: h, ExpectHandler: c.Expect, StreamRequestBody: true, DisablePreParseMultipartForm: true,
		NoDefaultServerHeader: true, NoDefaultDate: true, MaxRequestBodySize: 4 << 30, ReadBufferSize: 16 << 10, WriteBufferSize: 16 << 10,
		LazyRequestTime: true, Logger: quietLog{},
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(upstreamtest.Paced(ln)) }()
	t.Cleanup(func() {
		if err := s.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &front{t: t, client: c, address: ln.Addr().String()}
}

type quietLog struct{}

func (quietLog) Printf(string, ...any) {}

// caller is a connection to a front on which requests are written byte for byte.
type caller struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func (f *front) dial() *caller {
	f.t.Helper()
	c, err := net.Dial("tcp", f.address)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		f.t.Fatal(err)
	}
	return &caller{Conn: c, t: f.t, br: bufio.NewReader(c)}
}

func (c *caller) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads an answer to a request with the given method.
func (c *caller) answer(method string) (*http.Response, string, error) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// ask sends a request and returns its answer.
func (f *front) ask(request string) (*http.Response, string) {
	f.t.Helper()
	c := f.dial()
	c.send(request)
	method, _, _ := strings.Cut(request, " ")
	resp, body, err := c.answer(method)
	if err != nil {
		f.t.Fatalf("the answer broke off: %v", err)
	}
	return resp, body
}

// wantError checks that an answer is an error of the API.
func wantError(t testing.TB, resp *http.Response, body string, code int) {
	t.Helper()
	var e struct {
		Code          int
		Error, Reason string
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || resp.StatusCode != code || e.Code != code || e.Error == "" || e.Reason == "" {
		t.Errorf("got %d %s, want %d", resp.StatusCode, body, code)
	}
	if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got the headers %v", resp.Header)
	}
	if code := resp.StatusCode; code > 501 && resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d without Retry-After", code)
	}
}

// last returns the newest request that has reached an upstream.
func last(t testing.TB, s *upstreamtest.Server) upstreamtest.Request {
	t.Helper()
	all := s.Requests()
	if len(all) == 0 {
		t.Fatal("nothing has reached the upstream")
	}
	return all[len(all)-1]
}
