package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

// What each caller sees of an upstream that misbehaves. A body that has begun
// to pass can only break off.
var misbehaviours = []struct {
	name   string
	mode   upstreamtest.Mode
	pass   int // status of Pass
	breaks bool
	do     error
}{
	{"drops the connection", upstreamtest.Drop, 502, false, ErrBroken},
	{"hangs before the head", upstreamtest.Hang, 504, false, ErrLate},
	{"hangs in the head", upstreamtest.HangInHead, 504, false, ErrLate},
	{"cuts the head off", upstreamtest.CutInHead, 502, false, ErrBroken},
	{"hangs in a short body", upstreamtest.HangInBody, 504, false, ErrLate},
	{"hangs in a long body", upstreamtest.HangInLongBody, 200, true, ErrLate},
	{"announces more than it sends", upstreamtest.CutInBody, 502, false, ErrBroken},
	{"announces much more than it sends", upstreamtest.CutInLongBody, 200, true, ErrBroken},
	{"cuts a chunk off", upstreamtest.CutInChunk, 200, true, ErrBroken},
	{"cuts off between chunks", upstreamtest.CutInChunks, 200, true, ErrBroken},
	{"closes its half", upstreamtest.HalfClose, 502, false, ErrBroken},
	{"drips", upstreamtest.Drip, 200, false, nil},
	{"speaks no HTTP", upstreamtest.Garbage, 502, false, ErrBroken},
	{"says two lengths", upstreamtest.TwoLengths, 502, false, ErrBroken},
	{"sends an endless head", upstreamtest.Endless, 502, false, ErrBroken},
}

// optionsFor are hasty where a deadline is what ends the request.
func optionsFor(url string, do error) Options {
	if do == ErrLate {
		return hasty(url)
	}
	return patient(url)
}

func TestPassOfAnUpstreamThatMisbehaves(t *testing.T) {
	for _, m := range misbehaviours {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			up := upstreamtest.Start(t)
			f := serve(t, optionsFor(up.URL, m.do))
			up.Misbehave(m.mode)
			for _, request := range []string{
				get("/x"), "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
				"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n" + strings.Repeat("x", 40000),
			} {
				c := f.dial()
				c.send(request)
				resp, body, err := c.answer("GET")
				switch {
				case m.breaks && resp.StatusCode == 502:
					// The cut came with the head: a whole answer of ours is as good.
					wantError(t, resp, body, 502)
				case m.breaks:
					if resp.StatusCode != m.pass || err == nil {
						t.Errorf("got a whole %d of %d bytes", resp.StatusCode, len(body))
					}
				case err != nil || resp.StatusCode != m.pass:
					t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
				case m.pass > 200:
					wantError(t, resp, body, m.pass)
				}
			}
			if n := len(up.Requests()); n != 3 {
				t.Errorf("%d requests have reached the upstream", n)
			}
			// What misbehaved is not used again.
			up.Release()
			up.Misbehave(upstreamtest.Behave)
			if resp, body := f.ask(get("/then")); resp.StatusCode != 200 {
				t.Errorf("then %d %s", resp.StatusCode, body)
			}
		})
	}
}

func TestDoAndOpenOfAnUpstreamThatMisbehaves(t *testing.T) {
	for _, m := range misbehaviours {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			up := upstreamtest.Start(t)
			c := newClient(t, optionsFor(up.URL, m.do))
			up.Misbehave(m.mode)
			a, err := c.Do(t.Context(), "checkpoint", Request{Method: "GET", Target: "/x"})
			if !errors.Is(err, m.do) || (err == nil) != (m.do == nil) {
				t.Errorf("got %v, %v", a, err)
			}
			if err != nil && StatusOf(err) != map[error]int{ErrBroken: 502, ErrLate: 504}[m.do] {
				t.Errorf("the status is %d", StatusOf(err))
			}
			resp, err := c.Open(t.Context(), "stream", "/x", nil)
			if (err == nil) != (m.pass == 200 || m.mode == upstreamtest.HangInBody || m.mode == upstreamtest.CutInBody) {
				t.Errorf("Open: %v", err)
			}
			if err == nil {
				_ = resp.Body.Close()
			}
		})
	}
}

func TestAnswersThatContradictThemselves(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	c := f.dial()
	up.Misbehave(upstreamtest.LengthAndChunks)
	c.send(get("/both"))
	if resp, body, err := c.answer("GET"); err != nil || body != "hello" || resp.ContentLength != -1 {
		t.Errorf("got %q, %v", body, err)
	}
	// What is beyond an answer is not taken for the next one.
	up.Misbehave(upstreamtest.TooLong)
	c.send(get("/poisoned"))
	if _, body, err := c.answer("GET"); err != nil || body != strings.Repeat("x", upstreamtest.ShortBody) {
		t.Errorf("got %q, %v", body, err)
	}
	up.Misbehave(upstreamtest.Behave)
	c.send(get("/next"))
	if resp, body, err := c.answer("GET"); err != nil || resp.StatusCode != 200 || body != "" {
		t.Errorf("then %d %q, %v", resp.StatusCode, body, err)
	}
}

func TestAnUpstreamThatIsDown(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Down()
	resp, body := f.ask(get("/x"))
	wantError(t, resp, body, 503)
	if !f.client.Down() {
		t.Error("the client does not know that it is down")
	}
	if _, err := f.client.Do(t.Context(), "x", Request{Method: "POST", Target: "/x", Body: []byte("{}")}); !errors.Is(err, ErrRefused) || StatusOf(err) != 503 || RetryAfter(err) != 1 {
		t.Errorf("Do: %v", err)
	}
	if _, err := f.client.Open(t.Context(), "x", "/x", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("Open: %v", err)
	}
	up.Up()
	if resp, _ := f.ask(get("/x")); resp.StatusCode != 200 || f.client.Down() {
		t.Errorf("up again: %d, down: %v", resp.StatusCode, f.client.Down())
	}
}

func TestDoKeepsItsBounds(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.MaxAnswer = 1000
	c := newClient(t, o)
	size := 1000
	up.Answer(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", size)) })
	a, err := c.Do(t.Context(), "x", Request{Method: "GET", Target: "/a//b%2F?q=%20"})
	if err != nil || len(a.Body) != 1000 || last(t, up).Target != "/a//b%2F?q=%20" {
		t.Errorf("got %v, %v for %s", a, err, last(t, up).Target)
	}
	size = 1001
	if _, err := c.Do(t.Context(), "x", Request{Method: "GET", Target: "/"}); !errors.Is(err, ErrTooLarge) || StatusOf(err) != 502 {
		t.Errorf("got %v", err)
	}
	if c.Down() {
		t.Error("an answer that is too large counts as none")
	}
}

func TestDoHeaders(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.Authorization = "Bearer ours"
	c := newClient(t, o)
	up.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("X-End", "1")
	})
	h := http.Header{"Traceparent": {"00-a-b-01"}, "Authorization": {"Bearer theirs"}}
	a, err := c.Do(t.Context(), "x", Request{Method: "POST", Target: "/", Header: h, Body: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	if a.Header.Get("X-Hop") != "" || a.Header.Get("Connection") != "" || a.Header.Get("X-End") != "1" {
		t.Errorf("the answer has %v", a.Header)
	}
	got := last(t, up).Header
	if got.Get("Traceparent") != "00-a-b-01" || got.Get("Authorization") != "Bearer ours" || got.Get("User-Agent") != "" || got.Get("Accept-Encoding") != "" {
		t.Errorf("the upstream got %v", got)
	}
	if h.Get("Authorization") != "Bearer theirs" {
		t.Error("the caller's headers were changed")
	}
}

func TestOpenHasNoDeadlineButForItsHead(t *testing.T) {
	up := upstreamtest.Start(t)
	o := hasty(up.URL)
	c := newClient(t, o)
	more := make(chan struct{})
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-more:
			_, _ = io.WriteString(w, "late")
		case <-r.Context().Done():
		}
	})
	resp, err := c.Open(t.Context(), "stream", "/", http.Header{"Accept": {"text/event-stream"}})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(2*o.RequestTimeout, func() { close(more) })
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "late" {
		t.Errorf("got %q, %v", b, err)
	}
	_ = resp.Body.Close()

	more = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err = c.Open(ctx, "stream", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	_ = resp.Body.Close()
}
