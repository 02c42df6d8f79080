package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/stream"
)

// piece is the most that one write hands to the kernel, in bytes, so that
// progress is seen while a large response is written.
const piece = 256 << 10

// promptly is how much a response may have without its writing being taken for
// one that may have waited for the client, in bytes.
const promptly = 16 << 10

// epoch is what the readings of the clock count from.
var epoch = time.Now()

// phase is what a connection's reader waits for, which decides its deadline.
type phase byte

const (
	// bounded: the deadline in force is the right one.
	bounded phase = iota
	// begun: a request has begun to arrive, its rest gets the read timeout.
	begun
	// idle: the next request may take the idle timeout.
	idle
)

// conn is an accepted connection. It bounds how long a peer may keep the server
// waiting: read_timeout for the head of a request, idle_timeout between
// requests, write_timeout for a write that makes no progress. A slow reader
// makes progress and may take as long as it needs, a dead one is noticed.
//
// To set a deadline takes longer than many a request, so one is set somewhat
// late and left in force until it is too early. No timeout ends before its
// time, and none later than Server.slack after it.
//
// All but Close, detach and admitted belongs to the goroutine that serves the
// connection.
type conn struct {
	net.Conn
	server *Server
	// handling is held for reading by the connection's handler.
	handling *sync.RWMutex
	memo     memo
	vector   vector

	phase phase
	// fresh says that nothing was read or written since the clock was read.
	fresh bool
	// sent is how much was written since the clock was read, in bytes.
	sent int
	// clock is the last reading, since epoch.
	clock time.Duration
	// readBy and writeBy are the deadlines in force, since epoch; 0 is none or
	// one that is not ours.
	readBy, writeBy time.Duration

	gone atomic.Bool
	// admitted is the subscriber that waits for the connection: fasthttp may
	// close it between the handler and the taking over, when an earlier answer
	// cannot be written.
	admitted atomic.Pointer[stream.Subscriber]
}

// newConn puts an accepted connection among those that are open. Its place is
// already counted.
func newConn(inner net.Conn, s *Server) (*conn, error) {
	c := &conn{Conn: inner, server: s, handling: s.handlers.next()}
	c.vector.init(c)
	c.readBy = c.tick() + s.readTimeout
	if err := inner.SetReadDeadline(epoch.Add(c.readBy)); err != nil {
		return nil, err
	}
	s.conns.all.Store(c, nil)
	return c, nil
}

// tick reads the clock.
func (c *conn) tick() time.Duration {
	c.clock, c.fresh, c.sent = time.Since(epoch), true, 0
	return c.clock
}

// follow learns from fasthttp when a request begins and when its answer is
// complete.
func follow(nc net.Conn, state fasthttp.ConnState) {
	c := nc.(*conn)
	switch {
	case state == fasthttp.StateIdle:
		c.phase = idle
	case state == fasthttp.StateActive && c.phase == idle:
		c.phase = begun
	}
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.phase != bounded {
		if err := c.boundRead(); err != nil {
			return 0, err
		}
	}
	c.fresh = false
	return c.Conn.Read(p)
}

func (c *conn) boundRead() error {
	s := c.server
	if c.phase == begun {
		c.phase = bounded
		c.readBy = c.tick() + s.readTimeout
		return c.Conn.SetReadDeadline(epoch.Add(c.readBy))
	}
	if c.sent > promptly {
		c.tick()
	}
	by := c.clock + s.idleTimeout
	if by <= c.readBy && c.readBy <= by+s.slack {
		return nil
	}
	c.readBy = by + s.slack
	return c.Conn.SetReadDeadline(epoch.Add(c.readBy))
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (n int, err error) {
	if c.vector.held {
		c.vector.head = append(c.vector.head, p...)
		return len(p), nil
	}
	for {
		if err := c.boundWrite(); err != nil {
			return n, err
		}
		m, err := c.Conn.Write(p[n:min(len(p), n+piece)])
		n, c.sent = n+m, c.sent+m
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

func (c *conn) boundWrite() error {
	if !c.fresh {
		c.tick()
	}
	c.fresh = false
	by := c.clock + c.server.writeTimeout
	if by <= c.writeBy {
		return nil
	}
	c.writeBy = by + c.server.slack
	return c.Conn.SetWriteDeadline(epoch.Add(c.writeBy))
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.phase, c.readBy, c.writeBy = bounded, 0, 0
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline implements net.Conn. The deadline holds until the answer to
// the request is complete.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.phase, c.readBy = bounded, 0
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. A Write sets its own nevertheless.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.writeBy = 0
	return c.Conn.SetWriteDeadline(t)
}

// detach gives the accepted connection itself to one who takes it over after
// Hijack, and forgets it: Shutdown does not end it any more. It still counts
// among the open ones until the taker says that it is closed, by
// connections.left. ok is false if the connection was closed before.
//
// fasthttp clears the deadlines of the connection before it calls the hijack
// handler.
func (c *conn) detach() (inner net.Conn, ok bool) {
	if !c.gone.CompareAndSwap(false, true) {
		return nil, false
	}
	c.server.conns.all.Delete(c)
	return c.Conn, true
}

// Close implements net.Conn. A connection that was detached is not ours to
// close.
func (c *conn) Close() error {
	if subscriber := c.admitted.Swap(nil); subscriber != nil {
		subscriber.Cancel()
	}
	if !c.gone.CompareAndSwap(false, true) {
		return nil
	}
	c.server.conns.all.Delete(c)
	c.server.conns.left()
	return c.Conn.Close()
}
