package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"milepost/internal/config"
)

// line is one connection of a client that sends what it is told.
type line struct {
	t testing.TB
	net.Conn
	reader *bufio.Reader
}

func (a *api) dial() *line {
	a.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(a.base, "http://"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		a.t.Fatal(err)
	}
	return &line{a.t, c, bufio.NewReader(c)}
}

func (l *line) send(request string) {
	l.t.Helper()
	if _, err := io.WriteString(l, request); err != nil {
		l.t.Fatal(err)
	}
}

// answer reads the answer to a request of the method.
func (l *line) answer(method string) answer {
	l.t.Helper()
	r, err := http.ReadResponse(l.reader, &http.Request{Method: method})
	if err != nil {
		l.t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return answer{r, b}
}

// ended waits for the server to end the connection.
func (l *line) ended() {
	l.t.Helper()
	if _, err := io.Copy(io.Discard, l.reader); errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Fatal("the connection was not ended")
	}
}

// sized returns a valid request whose checkpoint takes about n bytes.
func sized(n int) []byte {
	return body(func(c, _ map[string]any) { c["note"] = strings.Repeat("x", n) })
}

// Bodies that are copied behind their head, those that are sent from where they
// are, and answers without a body come in order on one connection, whether the
// client waits for each or not.
func TestAnswersOfAllSizesOnOneConnection(t *testing.T) {
	a := start(t, nil)
	type exchange struct {
		method, request string
		code            int
		body            []byte
	}
	var all []exchange
	for _, n := range []int{1, minVector, 4 << 10, promptly, 64 << 10, piece - 500, piece, 3*piece + 7} {
		raw, id := a.post(jobID, sized(n))
		want := []byte(envelopeStart + string(raw) + envelopeEnd)
		path := collection(jobID) + id
		all = append(all,
			exchange{"GET", head("GET", path, keyA, ""), 200, want},
			exchange{"HEAD", head("HEAD", path, keyA, ""), 200, nil},
			exchange{"GET", head("GET", path, keyA, "If-None-Match: \""+id+"\"\r\n"), 304, nil},
			exchange{"GET", head("GET", path, keyB, ""), 404, []byte(`{"code":404,"error":"Not Found","reason":"Checkpoint not found"}`)},
			exchange{"GET", head("GET", path, keyRead, ""), 200, want},
		)
	}
	check := func(l *line, x exchange) {
		t.Helper()
		if r := l.answer(x.method); r.StatusCode != x.code || !bytes.Equal(r.body, x.body) {
			t.Fatalf("%s: %d with %d bytes", x.request, r.StatusCode, len(r.body))
		}
	}
	waiting := a.dial()
	for _, x := range all {
		waiting.send(x.request)
		check(waiting, x)
	}
	pipelined := a.dial()
	go func() {
		for _, x := range all {
			if _, err := io.WriteString(pipelined, x.request); err != nil {
				return // the reader says so
			}
		}
	}()
	for _, x := range all {
		check(pipelined, x)
	}
}

func TestTimeouts(t *testing.T) {
	const limit = 200 * time.Millisecond
	short := config.Duration(limit)
	after := func(t *testing.T, begin time.Time) {
		t.Helper()
		if took := time.Since(begin); took < limit {
			t.Errorf("ended after %s", took)
		}
	}
	request := head("GET", collection(jobID), keyA, "")

	t.Run("idle_timeout, not read_timeout, ends a connection between requests", func(t *testing.T) {
		a := start(t, func(c *config.Config) { c.Server.IdleTimeout, c.Server.ReadTimeout = short, short/2 })
		l := a.dial()
		var begin time.Time
		for range 3 {
			begin = time.Now()
			l.send(request)
			l.answer("GET")
		}
		l.ended()
		after(t, begin)
	})
	t.Run("read_timeout ends a connection that never asks", func(t *testing.T) {
		a := start(t, func(c *config.Config) { c.Server.ReadTimeout = short })
		begin := time.Now()
		l := a.dial()
		if r := l.answer("GET"); r.StatusCode != 408 {
			t.Errorf("got %d", r.StatusCode)
		}
		after(t, begin)
	})
	t.Run("read_timeout ends a request whose head stops", func(t *testing.T) {
		a := start(t, func(c *config.Config) { c.Server.ReadTimeout = short })
		l := a.dial()
		l.send(request)
		l.answer("GET")
		begin := time.Now()
		l.send(request[:30])
		if r := l.answer("GET"); r.StatusCode != 408 {
			t.Errorf("got %d", r.StatusCode)
		}
		after(t, begin)
		l.ended()
	})
	t.Run("write_timeout ends a client that reads nothing", func(t *testing.T) {
		a := start(t, func(c *config.Config) { c.Server.WriteTimeout = short })
		_, id := a.post(jobID, sized(20<<20))
		others := a.server.conns.open.Load()
		begin := time.Now()
		l := a.dial()
		l.send(head("GET", collection(jobID)+id, keyA, ""))
		if _, err := l.reader.Peek(1); err != nil {
			t.Fatal(err)
		}
		for a.server.conns.open.Load() > others {
			a.do("GET", collection(jobID)+"?take=1", keyB, nil)
			if time.Since(begin) > 20*time.Second {
				t.Fatal("the connection was not ended")
			}
		}
		after(t, begin)
	})
	t.Run("write_timeout lets a slow reader finish", func(t *testing.T) {
		a := start(t, func(c *config.Config) { c.Server.WriteTimeout = short })
		_, id := a.post(jobID, sized(20<<20))
		begin := time.Now()
		l := a.dial()
		l.send(head("GET", collection(jobID)+id, keyA, ""))
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		r, err := http.ReadResponse(l.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for err == nil {
			<-tick.C
			var m int64
			m, err = io.CopyN(io.Discard, r.Body, 512<<10)
			n += m
		}
		if !errors.Is(err, io.EOF) || n != r.ContentLength {
			t.Fatalf("%d of %d bytes: %v", n, r.ContentLength, err)
		}
		after(t, begin)
	})
}

// What a connection remembers of its last credential gives nothing to another
// credential, and nothing once the keys have changed.
func TestCredentialsOnOneConnection(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(nil))
	l := a.dial()
	ask := func(authorization string, want int) {
		t.Helper()
		l.send(fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", collection(jobID)+id, authorization))
		if r := l.answer("GET"); r.StatusCode != want {
			t.Errorf("%q: %d %s", authorization, r.StatusCode, r.body)
		}
	}
	for _, key := range []string{keyA, keyB, "nobody-has-this-secret", keyA + "x", keyA[:len(keyA)-1], strings.ToUpper(keyA), " " + keyA} {
		want := 401
		if key == keyB {
			want = 404
		}
		for _, k := range []struct {
			key  string
			want int
		}{{keyA, 200}, {keyA, 200}, {keyA, 200}, {key, want}, {key, want}, {keyA, 200}} {
			if k.key == keyA {
				k.want = 200
			}
			ask("Authorization: Bearer "+k.key+"\r\n", k.want)
		}
	}
	ask("", 401)
	ask("Authorization: Bearer\r\n", 401)
	ask("Authorization: bearer "+keyA+"\r\n", 200)
	ask("Authorization: Bearer "+keyWrite+"\r\n", 403)
	ask("Authorization: Bearer "+keyA+"\r\n", 200)

	keys := testKeys()
	a.server.Reload(config.Default(), keys[1:])
	ask("Authorization: Bearer "+keyA+"\r\n", 401)
	keys[0].OrganizationID = orgB
	a.server.Reload(config.Default(), keys)
	ask("Authorization: Bearer "+keyA+"\r\n", 404)
}

func TestDetachLeavesTheConnectionOpenAndCounted(t *testing.T) {
	s := &Server{readTimeout: time.Minute}
	ours, theirs := net.Pipe()
	defer theirs.Close()
	s.conns.open.Add(1)
	c, err := newConn(ours, s)
	if err != nil {
		t.Fatal(err)
	}
	inner, ok := c.detach()
	if !ok || inner != ours {
		t.Fatalf("detach gives %v, %t", inner, ok)
	}
	if _, known := s.conns.all.Load(c); known || s.conns.open.Load() != 1 {
		t.Errorf("after detach: %d open, known: %t", s.conns.open.Load(), known)
	}
	go func() { _, _ = inner.Write([]byte("x")) }()
	if _, err := io.ReadFull(theirs, make([]byte, 1)); err != nil {
		t.Errorf("detach closed the connection: %v", err)
	}
	if _, ok := c.detach(); ok {
		t.Error("a connection was detached twice")
	}
	_ = c.Close()
	if open := s.conns.open.Load(); open != 1 {
		t.Errorf("the close of a detached connection was counted: %d open", open)
	}
}
