package proxy

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	brrr "github.com/molecule-man/go-brrr"
	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/internal/config"
)

// noisy returns a valid request whose checkpoint takes about n bytes, which no
// coding can make much smaller.
func noisy(seed, n int) []byte {
	raw := make([]byte, n*3/4)
	_, _ = rand.NewChaCha8([32]byte{byte(seed)}).Read(raw)
	return body(func(c, _ map[string]any) { c["note"] = base64.StdEncoding.EncodeToString(raw) })
}

// largePage makes a job of n checkpoints that are a page of n*size bytes, and
// returns what the page must be.
func (a *api) largePage(n, size int) string {
	var all []string
	for i := range n {
		raw, _ := a.post(jobID, noisy(i, size))
		all = append(all, string(raw))
	}
	return fmt.Sprintf(`{"data":{"checkpoints":[%s]},"meta":{"total":%d,"take":100,"skip":0}}`, strings.Join(all, ","), n)
}

// decoded undoes a content coding.
func decoded(coding string, b []byte) ([]byte, error) {
	var r io.Reader = bytes.NewReader(b)
	switch coding {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		r = z
	case "br":
		r = brrr.NewReader(r)
	case "zstd":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer d.Close()
		r = d
	}
	return io.ReadAll(r)
}

// writes counts the writes of a connection.
type writes struct {
	net.Conn
	n atomic.Int64
}

func (w *writes) Write(p []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(p)
}

// A large page goes to the kernel in large pieces, whatever its coding, and its
// connection serves what comes next.
func TestLargePageIsFewWrites(t *testing.T) {
	a := start(t, nil)
	want := a.largePage(100, 10<<10)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	counted := &writes{Conn: accepted}
	a.server.conns.open.Add(1)
	c, err := newConn(counted, a.server)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.server.http.ServeConn(c) }()
	l := &line{t, client, bufio.NewReader(client)}
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		before := counted.n.Load()
		l.send(head("GET", collection(jobID)+"?take=100", keyA, "Accept-Encoding: "+coding+"\r\n"))
		r := l.answer("GET")
		got, err := decoded(coding, r.body)
		if err != nil || r.Header.Get("Content-Encoding") != coding || string(got) != want {
			t.Errorf("%q: %d, coding %q, %d bytes: %v", coding, r.StatusCode, r.Header.Get("Content-Encoding"), len(got), err)
		}
		// The head and a piece at a time; around a chunk's data go its head and end.
		most := int64(1 + len(want)/pagePiece + 1)
		if coding == "" && r.ContentLength != int64(len(want)) {
			t.Errorf("the length is %d, want %d", r.ContentLength, len(want))
		}
		if coding != "" {
			most *= 3
		}
		if n := counted.n.Load() - before; n > most {
			t.Errorf("%q: %d bytes in %d writes, want at most %d", coding, len(r.body), n, most)
		}
	}
	_ = client.Close()
	if err := <-served; err != nil {
		t.Errorf("the connection ended with %v", err)
	}
}

// HTTP/1.0 knows no chunks (RFC 9112, section 6.1), and HEAD has no body.
func TestLargePageWithoutChunks(t *testing.T) {
	a := start(t, nil)
	want := a.largePage(3, 100<<10)
	path := collection(jobID) + "?take=100"
	l := a.dial()
	l.send(strings.Replace(head("GET", path, keyA, "Accept-Encoding: gzip\r\nConnection: keep-alive\r\n"), "HTTP/1.1", "HTTP/1.0", 1))
	r := l.answer("GET")
	if len(r.TransferEncoding) > 0 || r.Header.Get("Content-Encoding") != "" || string(r.body) != want {
		t.Errorf("HTTP/1.0: %d %v with %d bytes", r.StatusCode, r.Header, len(r.body))
	}
	for _, coding := range []string{"", "gzip"} {
		l.send(head("HEAD", path, keyA, "Accept-Encoding: "+coding+"\r\n"))
		if r := l.answer("HEAD"); r.StatusCode != 200 || r.Header.Get("Content-Encoding") != coding ||
			coding == "" && r.ContentLength != int64(len(want)) {
			t.Errorf("HEAD: %d %v, length %d", r.StatusCode, r.Header, r.ContentLength)
		}
	}
	l.send(head("GET", path, keyA, ""))
	if r := l.answer("GET"); string(r.body) != want {
		t.Errorf("after HEAD: %d with %d bytes", r.StatusCode, len(r.body))
	}
}

// first calls do at the first write.
type first struct {
	bytes.Buffer
	do func()
}

func (f *first) Write(p []byte) (int, error) {
	if f.do != nil {
		f.do()
		f.do = nil
	}
	return f.Buffer.Write(p)
}

// A page of which the rest cannot be had ends before its time, and so does one at
// a shutdown, which never waits for a client that reads.
func TestPageBreaksOff(t *testing.T) {
	for _, coding := range []string{"", "gzip", "br", "zstd"} {
		for _, c := range []struct {
			name string
			do   func(*api)
		}{
			{"when its job is deleted", func(a *api) {
				if err := a.store.Delete(jobID); err != nil {
					t.Error(err)
				}
				a.cache.Deleted()
			}},
			{"at a shutdown", func(a *api) {
				if !a.server.handlers.TryLock() {
					t.Error("a page that is being written keeps the server from closing")
					return
				}
				a.server.closed = true
				a.server.handlers.Unlock()
			}},
		} {
			t.Run(coding+" "+c.name, func(t *testing.T) {
				a := start(t, nil)
				a.largePage(5, 200<<10)
				p := page{server: a.server, job: jobID, query: listQuery{pageQuery: pageQuery{take: 100}}, total: 5}
				if err := p.seek(5); err != nil {
					t.Fatal(err)
				}
				var ctx fasthttp.RequestCtx
				ctx.Request.Header.Set("Accept-Encoding", coding)
				if err := p.respond(&ctx, a.server.limits.Load()); err != nil {
					t.Fatal(err)
				}
				sent := &first{do: func() { c.do(a) }}
				w := bufio.NewWriter(sent)
				if err := ctx.Response.Write(w); err == nil {
					t.Error("the page was written whole")
				}
				_ = w.Flush()
				r, err := http.ReadResponse(bufio.NewReader(sent), nil)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) || len(b) < pagePiece {
					t.Errorf("a client takes %d bytes for the page: %v", len(b), err)
				}
				if !strings.Contains(a.log.String(), "list broken off") {
					t.Error("nothing was logged")
				}
			})
		}
	}
}

// A page that cannot be had at all is an error, which is not compressed.
func TestSmallPageOfADeletedJob(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, sized(4<<10))
	p := page{server: a.server, job: jobID, query: listQuery{pageQuery: pageQuery{take: 10}}, total: 1}
	if err := p.seek(1); err != nil {
		t.Fatal(err)
	}
	if err := a.store.Delete(jobID); err != nil {
		t.Fatal(err)
	}
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.Set("Accept-Encoding", "gzip")
	if err := p.respond(&ctx, a.server.limits.Load()); err == nil {
		t.Error("the page of a deleted job was written")
	}
	if coding := ctx.Response.Header.ContentEncoding(); len(coding) > 0 {
		t.Errorf("the error is said to be %s", coding)
	}
}

// max_list_bytes counts what a page holds while its reader takes its time: a
// checkpoint, a piece, and the compressor.
func TestPageCountsItsMemory(t *testing.T) {
	a := start(t, nil)
	const size = 200 << 10
	a.largePage(3, size)
	for coding, name := range codingNames {
		p := page{server: a.server, job: jobID, query: listQuery{pageQuery: pageQuery{take: 100}}, total: 3}
		if err := p.seek(3); err != nil {
			t.Fatal(err)
		}
		l := *a.server.limits.Load()
		l.listBytes = newLimit("max_list_bytes", int64(config.GiB), a.metrics)
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.Set("Accept-Encoding", name)
		if err := p.respond(&ctx, &l); err != nil {
			t.Fatal(err)
		}
		largest := p.entries[0].Size
		want := int64(2*largest+pagePiece) + coderMemory[coding]
		if coding != int(cache.Identity) && coderMemory[coding] == 0 {
			t.Errorf("%s: a compressor counts for nothing", name)
		}
		if rest := l.listBytes.size - want; !l.listBytes.sem.TryAcquire(rest) || l.listBytes.sem.TryAcquire(1) {
			t.Errorf("%q: other than %d bytes are held", name, want)
		} else {
			l.listBytes.sem.Release(rest)
		}
		if err := ctx.Response.CloseBodyStream(); err != nil {
			t.Fatal(err)
		}
		if !l.listBytes.sem.TryAcquire(l.listBytes.size) {
			t.Errorf("%q: bytes are held after the page", name)
		}
	}
}
