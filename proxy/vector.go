package proxy

import (
	"io"
	"net"

	"github.com/valyala/fasthttp"
)

// minVector is the size in bytes of the smallest body that is sent from where
// it is; a smaller one is copied behind its head for less.
const minVector = 2 << 10

// vector sends a response's head and body to the kernel in one call, without
// copying the body. fasthttp does so for a bare TCP connection, but not for one
// that is wrapped.
//
// It is the response's body stream: the head that fasthttp flushes before it is
// held back until fasthttp asks the stream for the body.
type vector struct {
	conn *conn
	// able tells whether the connection takes several buffers in one call.
	able bool

	held       bool // writes go to head
	head, body []byte
	parts      [2][]byte
	buffers    net.Buffers
}

func (v *vector) init(c *conn) {
	v.conn = c
	switch c.Conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		v.able = true
	}
}

// setBody makes b, which must not change any more, the body of the response.
func setBody(ctx *fasthttp.RequestCtx, b []byte) {
	v := &ctx.Conn().(*conn).vector
	if !v.able || len(b) < minVector || ctx.IsHead() {
		ctx.Response.SetBodyRaw(b)
		return
	}
	v.held, v.body = true, b
	ctx.Response.ImmediateHeaderFlush = true
	ctx.Response.SetBodyStream(v, len(b))
}

// WriteTo implements io.WriterTo, which fasthttp prefers. It goes around w,
// which is empty after the flush of the head.
func (v *vector) WriteTo(io.Writer) (int64, error) {
	c, head, body := v.conn, v.head, v.body
	defer v.reset()
	if err := c.boundWrite(); err != nil {
		return 0, err
	}
	first := min(len(body), piece)
	v.parts[0], v.parts[1] = head, body[:first]
	v.buffers = v.parts[:]
	sent, err := v.buffers.WriteTo(c.Conn)
	c.sent += int(sent)
	n := max(sent-int64(len(head)), 0)
	if err != nil || first == len(body) {
		return n, err
	}
	v.held = false
	m, err := c.Write(body[first:])
	return n + int64(m), err
}

// Read implements io.Reader, which a body stream must be.
func (v *vector) Read(p []byte) (int, error) {
	n := copy(p, v.body)
	if v.body = v.body[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer: fasthttp calls it when the response is over,
// also when it was never sent.
func (v *vector) Close() error {
	v.reset()
	return nil
}

// reset lets go of the body and keeps the head's memory.
func (v *vector) reset() {
	v.held, v.body, v.buffers = false, nil, nil
	v.parts = [2][]byte{}
	v.head = v.head[:0]
	if cap(v.head) > 4<<10 {
		v.head = nil
	}
}
