package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

// zeros is a body of so many bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// heapPeak runs f and returns by how much the heap grew meanwhile, at most, in
// bytes.
func heapPeak(f func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, peak := int64(m.HeapAlloc), int64(0)
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return peak
		case <-tick.C:
			runtime.ReadMemStats(&m)
			peak = max(peak, int64(m.HeapAlloc)-before)
		}
	}
}

func TestGigabytesPassInBoundedMemory(t *testing.T) {
	const bound = 32 << 20
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if r.Method == "PUT" {
			_, _ = fmt.Fprint(w, n, err)
			return
		}
		size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		_, _ = io.Copy(w, zeros(size))
	})
	client := &http.Client{Transport: &http.Transport{WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10}}
	defer client.CloseIdleConnections()
	exchange := func(method, path string, body io.Reader, length int64) (int64, string) {
		req, err := http.NewRequest(method, "http://"+f.address+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		var head bytes.Buffer
		n, err := io.Copy(io.Discard, io.TeeReader(resp.Body, &limited{&head, 100}))
		if err != nil || resp.StatusCode != 200 {
			t.Errorf("%s %s: %d, %v", method, path, resp.StatusCode, err)
		}
		return n, head.String()
	}
	// Chunks are moved by the same code with a frame around them, so that less of
	// them shows as much.
	const whole, part = 1 << 30, 128 << 20
	for name, run := range map[string]func(){
		"up, of known length": func() {
			if _, got := exchange("PUT", "/", zeros(whole), whole); got != fmt.Sprint(whole, nil) {
				t.Errorf("the upstream got %s", got)
			}
		},
		"up, in chunks": func() {
			if _, got := exchange("PUT", "/", zeros(part), -1); got != fmt.Sprint(part, nil) {
				t.Errorf("the upstream got %s", got)
			}
		},
		"down, of known length": func() {
			if n, _ := exchange("GET", fmt.Sprint("/known?size=", whole), nil, 0); n != whole {
				t.Errorf("got %d bytes", n)
			}
		},
		"down, in chunks": func() {
			if n, _ := exchange("GET", fmt.Sprint("/chunks?size=", part), nil, 0); n != part {
				t.Errorf("got %d bytes", n)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			if peak := heapPeak(run); peak > bound {
				t.Errorf("the heap grew by %d MB", peak>>20)
			}
		})
	}
}

// limited keeps the first bytes that are written to it.
type limited struct {
	to   *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.to.Write(p[:n])
	l.left -= n
	return len(p), nil
}

func TestBodiesPassAsTheyCome(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	next := make(chan string)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for s := range next {
			_, _ = io.WriteString(w, s)
			w.(http.Flusher).Flush()
		}
	})
	c := f.dial()
	c.send(get("/events"))
	next <- ": hello\n\n"
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{": hello\n\n", "data: 1\n\n", "data: 2\n\n"} {
		if s != ": hello\n\n" {
			next <- s
		}
		b := make([]byte, len(s))
		if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != s {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	close(next)
	if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestUploadsReachTheUpstreamAsTheyCome(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	got := make(chan string)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		b := make([]byte, 5)
		for {
			if _, err := io.ReadFull(r.Body, b); err != nil {
				return
			}
			got <- string(b)
		}
	})
	c := f.dial()
	c.send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, s := range []string{"first", "later"} {
		c.send("5\r\n" + s + "\r\n")
		if b := <-got; b != s {
			t.Errorf("got %q", b)
		}
	}
	c.send("0\r\n\r\n")
	if resp, _, err := c.answer("POST"); err != nil || resp.StatusCode != 200 {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestASlowTransferIsCutAndASteadyOneIsNot(t *testing.T) {
	up := upstreamtest.Start(t)
	o := hasty(up.URL)
	f := serve(t, o)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		events := r.URL.Path == "/events"
		if events {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		tick := time.NewTicker(o.RequestTimeout / 10)
		defer tick.Stop()
		for range 25 {
			if _, err := io.WriteString(w, ":\n\n"); err != nil {
				return
			}
			w.(http.Flusher).Flush()
			<-tick.C
		}
	})
	for path, whole := range map[string]bool{"/events": true, "/drip": false} {
		c := f.dial()
		c.send(get(path))
		if resp, body, err := c.answer("GET"); (err == nil) != whole {
			t.Errorf("%s: %d with %d bytes, %v", path, resp.StatusCode, len(body), err)
		}
	}
}

func TestAnEarlyRefusalIsPassedOn(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	up.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(413)
		_, _ = io.WriteString(w, "too much")
	})
	c := f.dial()
	c.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := []byte(strings.Repeat("x", 64<<10))
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(c.br, nil)
	close(stop)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 413 || !resp.Close {
		t.Errorf("got %d, %v", resp.StatusCode, resp.Header)
	}
	_ = c.Close()
	<-ended
	if f.client.Down() {
		t.Error("the upstream counts as down")
	}
}

// One that has answered well and then stops reading, or goes, is left at that: its
// answer counts.
func TestAnEarlyAnswerIsPassedOn(t *testing.T) {
	for name, reads := range map[string]bool{"before it reads": false, "amid the body": true} {
		up := upstreamtest.Start(t)
		o := patient(up.URL)
		o.HeaderTimeout, o.RequestTimeout = 200*time.Millisecond, time.Hour
		f := serve(t, o)
		over := make(chan struct{})
		t.Cleanup(func() { close(over) })
		up.Answer(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			if err := rc.EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			if reads {
				_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			}
			w.Header().Set("Content-Length", "6")
			_, _ = io.WriteString(w, "enough")
			_ = rc.Flush()
			<-over
		})
		c := f.dial()
		c.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = io.Copy(c, zeros(1e9)) // until the connection is closed
		}()
		resp, err := http.ReadResponse(c.br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(b) != "enough" || err != nil {
			t.Errorf("%s: got %d %q, %v", name, resp.StatusCode, b, err)
		}
		_ = c.Close()
		<-ended
		// A deadline for writing that was set for this exchange is none of the next.
		for range 3 {
			up.Answer(upstreamtest.Echo)
			c := f.dial()
			c.send("POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000))
			if resp, err := http.ReadResponse(c.br, nil); err != nil || resp.StatusCode != 200 {
				t.Errorf("%s: the next request: %v %v", name, resp, err)
			}
		}
		if f.client.Down() {
			t.Error("the upstream counts as down")
		}
	}
}

func TestACallerThatLeavesEndsTheRequest(t *testing.T) {
	up := upstreamtest.Start(t)
	f := serve(t, patient(up.URL))
	var broken atomic.Int32
	ended := make(chan struct{})
	up.Answer(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			broken.Add(1)
		}
		ended <- struct{}{}
	})
	for _, framing := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		c := f.dial()
		c.send("POST /x HTTP/1.1\r\nHost: x\r\n" + framing + "\r\n\r\n")
		if strings.HasPrefix(framing, "T") {
			c.send("4000\r\n")
		}
		c.send(strings.Repeat("x", 0x4000))
		_ = c.Close()
		<-ended
	}
	if broken.Load() != 2 {
		t.Error("half a request was taken for a whole one")
	}
}
