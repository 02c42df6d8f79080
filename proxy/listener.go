package proxy

import (
	"net"
	"time"
)

// listener hands out connections whose peers cannot keep the server waiting for
// ever, and turns those away that exceed the limit.
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
		accepted, err := newConn(c, s)
		if err != nil { // it is gone already
			s.conns.open.Add(-1)
			_ = c.Close()
			continue
		}
		return accepted, nil
	}
}
