package upstream

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

func TestOnlyWhatIsSafeIsRetried(t *testing.T) {
	key := http.Header{"Idempotency-Key": {"k"}}
	for _, c := range []struct {
		name    string
		request Request
		mode    upstreamtest.Mode
		want    int // requests that reach the upstream
	}{
		{"GET", Request{Method: "GET"}, upstreamtest.Drop, 3},
		{"HEAD", Request{Method: "HEAD"}, upstreamtest.Drop, 3},
		{"GET with half an answer", Request{Method: "GET"}, upstreamtest.CutInBody, 3},
		{"POST with a key", Request{Method: "POST", Header: key, Body: []byte("{}")}, upstreamtest.Drop, 3},
		{"POST", Request{Method: "POST", Body: []byte("{}")}, upstreamtest.Drop, 1},
		{"DELETE", Request{Method: "DELETE"}, upstreamtest.Drop, 1},
		{"PUT", Request{Method: "PUT", Body: []byte("{}")}, upstreamtest.CutInHead, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := upstreamtest.Start(t)
			up.Misbehave(c.mode)
			o := patient(up.URL)
			o.Retries = 2
			f := serve(t, o)
			c.request.Target = "/x"
			if _, err := f.client.Do(t.Context(), "x", c.request); !errors.Is(err, ErrBroken) {
				t.Errorf("got %v", err)
			}
			if n := len(up.Requests()); n != c.want {
				t.Errorf("Do: %d requests", n)
			}
			request := c.request.Method + " /x HTTP/1.1\r\nHost: x\r\n"
			if c.request.Header != nil {
				request += "Idempotency-Key: k\r\n"
			}
			if c.request.Body != nil {
				request += "Content-Length: 2\r\n"
			}
			resp, _ := f.ask(request + "\r\n" + string(c.request.Body))
			if n := len(up.Requests()) - c.want; resp.StatusCode != 502 || n != c.want {
				t.Errorf("Pass: %d, %d requests", resp.StatusCode, n)
			}
		})
	}
}

func TestAnswersOfTheMomentAreRetried(t *testing.T) {
	for _, c := range []struct {
		method string
		status int
		want   int32
	}{{"GET", 503, 3}, {"GET", 502, 3}, {"GET", 500, 1}, {"GET", 429, 1}, {"POST", 503, 1}} {
		up := upstreamtest.Start(t)
		var n atomic.Int32
		up.Answer(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			w.WriteHeader(c.status)
		})
		o := patient(up.URL)
		o.Retries = 2
		a, err := newClient(t, o).Do(t.Context(), "x", Request{Method: c.method, Target: "/"})
		if err != nil || a.Status != c.status || n.Load() != c.want {
			t.Errorf("%s: %v, %v after %d attempts", c.method, a, err, n.Load())
		}
	}
}

func TestRetriesKeepTheDeadline(t *testing.T) {
	up := upstreamtest.Start(t)
	up.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "100")
		w.WriteHeader(503)
	})
	o := patient(up.URL)
	o.Retries = 5
	a, err := newClient(t, o).Do(t.Context(), "x", Request{Method: "GET", Target: "/"})
	if err != nil || a.Status != 503 || len(up.Requests()) != 1 {
		t.Errorf("got %v, %v after %d requests", a, err, len(up.Requests()))
	}
}

func TestConnectingIsRetriedForAll(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.Retries = 1
	f := serve(t, o)
	var tries atomic.Int32
	connect := f.client.dialer.connect
	f.client.dialer.connect = func(ctx context.Context, network, address string) (net.Conn, error) {
		if tries.Add(1)%2 == 1 {
			return nil, errors.New("refused")
		}
		return connect(ctx, network, address)
	}
	if resp, body := f.ask("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"); resp.StatusCode != 200 || body != "ab" {
		t.Errorf("Pass: %d %s", resp.StatusCode, body)
	}
	if a, err := f.client.Do(t.Context(), "x", Request{Method: "POST", Target: "/", Body: []byte("ab")}); err != nil || string(a.Body) != "ab" {
		t.Errorf("Do: %v, %v", a, err)
	}
}

func TestPauses(t *testing.T) {
	for attempt := 1; attempt < 100; attempt++ {
		limit := longestPause
		if attempt < 5 {
			limit = firstPause << (attempt - 1)
		}
		for range 100 {
			if d := pause(attempt); d < 0 || d > limit {
				t.Fatalf("attempt %d waits %v", attempt, d)
			}
		}
	}
}

func TestCloseEndsTheWaits(t *testing.T) {
	up := upstreamtest.Start(t)
	c := newClient(t, patient(up.URL))
	done := make(chan bool)
	go func() { done <- c.wait(t.Context(), 1, time.Hour) }()
	c.Close()
	if <-done {
		t.Error("the wait went to its end")
	}
}
