package proxy

import (
	"net"
	"sync/atomic"
	"time"
)

// listener hands out connections that fail when a write makes no progress for
// too long, and turns those away that exceed the limit.
type listener struct {
	net.Listener
	server *Server
}

// refusal is the answer to a connection too many. It is sent before any request
// has been read, so it fits every one.
const refusal = "HTTP/1.1 503 Service Unavailable\r\n" +
	"Content-Type: application/json\r\nCache-Control: no-store\r\nRetry-After: 1\r\n" +
	"Connection: close\r\nContent-Length: 84\r\n\r\n" +
	`{"code":503,"error":"Service Unavailable","reason":"Too many connections are open!"}`

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	s := l.server
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if s.conns.open.Add(1) > s.conns.limit.Load() {
			s.conns.open.Add(-1)
			s.metrics.LimitRejections.WithLabelValues("max_connections").Inc()
			// The socket's buffer takes the answer at once, or it is dropped.
			_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
			_, _ = c.Write([]byte(refusal))
			_ = c.Close()
			continue
		}
		accepted := &conn{Conn: c, server: s}
		s.conns.all.Store(accepted, nil)
		return accepted, nil
	}
}

// conn bounds each write by the write timeout: a slow reader makes progress and
// may take as long as it needs, a dead one is noticed.
type conn struct {
	net.Conn
	server *Server
	closed atomic.Bool
}

// Write implements net.Conn. A large write goes out in pieces, so that progress
// is seen.
func (c *conn) Write(p []byte) (n int, err error) {
	const piece = 256 << 10
	for {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.server.writeTimeout)); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:min(len(p), n+piece)])
		n += m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		c.server.conns.open.Add(-1)
		c.server.conns.all.Delete(c)
	}
	return c.Conn.Close()
}
