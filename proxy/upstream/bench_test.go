package upstream

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// BenchmarkPass relays a GET with an answer of 4 KB over kept connections, caller
// and upstream in the same process.
func BenchmarkPass(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 4<<10))
	up := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBodyRaw(body) }, Logger: quietLog{}}
	done := make(chan error, 1)
	go func() { done <- up.Serve(ln) }()
	b.Cleanup(func() {
		if err := up.Shutdown(); err != nil {
			b.Error(err)
		}
		<-done
	})
	f := serve(b, patient("http://"+ln.Addr().String()))
	request := []byte(get("/a/b?c=d", "User-Agent: bench", "Accept: */*", "Authorization: Bearer 0123456789abcdef", "X-Request-Id: 1"))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		c, err := net.Dial("tcp", f.address)
		if err != nil {
			b.Error(err)
			return
		}
		defer c.Close()
		br := bufio.NewReaderSize(c, 16<<10)
		var h fasthttp.ResponseHeader
		for pb.Next() {
			if _, err := c.Write(request); err != nil {
				b.Error(err)
				return
			}
			if err := h.Read(br); err != nil || h.StatusCode() != 200 {
				b.Error(h.StatusCode(), err)
				return
			}
			if _, err := io.CopyN(io.Discard, br, int64(h.ContentLength())); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
