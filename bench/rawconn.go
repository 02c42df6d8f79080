package main

import (
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// requestTimeout bounds one request of a load, so that a server that hangs
	// ends the run with an error.
	requestTimeout = 30 * time.Second
	// usualAnswer is the size in bytes of the buffer for answers, which grows as
	// needed up to maxAnswer.
	usualAnswer = 96 << 10
)

// rawConn is a keep-alive connection, of HTTP/1.1 unless it is asked otherwise,
// that spends as little as it can: the load generator shares the machine's
// cores with what it measures.
type rawConn struct {
	conn net.Conn
	// buf[:end] is what has come of the answer that is awaited.
	buf []byte
	end int
	// timeout bounds a request.
	timeout time.Duration
	// deadline is the one that conn has. Setting it costs, so it serves until a
	// quarter of the timeout has passed.
	deadline time.Time
	http     httpAnswer
}

// dialRaw connects to addr.
func dialRaw(addr string) (*rawConn, error) {
	conn, err := net.DialTimeout("tcp", addr, requestTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	return &rawConn{conn: conn, buf: make([]byte, usualAnswer), timeout: requestTimeout}, nil
}

// close ends the connection.
func (c *rawConn) close() { _ = c.conn.Close() }

// roundTrip sends a whole HTTP request and returns the status and body of its
// answer. The body is valid until the next call.
func (c *rawConn) roundTrip(request []byte) (int, []byte, error) {
	if err := c.perform(request, &c.http); err != nil {
		return 0, nil, err
	}
	return c.http.status, c.http.body, nil
}

// ask is roundTrip for a request whose answer must be 200.
func (c *rawConn) ask(request []byte) ([]byte, error) {
	_, body, err := c.roundTrip(request)
	if err != nil {
		return nil, err
	}
	return body, c.http.ok()
}

// perform sends a whole request and shows the answer to what takes it, until it
// is whole. An error is errBroken or what was wrong with the answer.
func (c *rawConn) perform(request []byte, to answerer) error {
	if now := time.Now(); c.deadline.Sub(now) < c.timeout*3/4 {
		c.deadline = now.Add(c.timeout)
		if err := c.conn.SetDeadline(c.deadline); err != nil {
			return broken(err)
		}
	}
	if _, err := c.conn.Write(request); err != nil {
		return broken(err)
	}
	for {
		n, err := c.conn.Read(c.buf[c.end:])
		if n == 0 && err == nil {
			err = io.ErrNoProgress
		}
		if n == 0 {
			return broken(err)
		}
		if whole, err := c.offer(n, to); whole || err != nil {
			return err
		}
	}
}

// offer takes note of n more bytes in buf and shows what has come to what takes
// the answer. It tells whether that is whole; the error is errBroken or what was
// wrong with the answer.
func (c *rawConn) offer(n int, to answerer) (whole bool, err error) {
	c.end += n
	used, err := to.answer(c.buf[:c.end])
	switch {
	case used == 0 && err != nil:
		return false, broken(err)
	case used == 0 && c.end == maxAnswer:
		return false, broken(fmt.Errorf("an answer is longer than %d bytes", maxAnswer))
	case used == 0:
		if c.end == len(c.buf) {
			grown := make([]byte, min(2*len(c.buf), maxAnswer))
			copy(grown, c.buf)
			c.buf = grown
		}
		return false, nil
	case used < c.end:
		return false, broken(fmt.Errorf("more has come than an answer: %q", excerpt(c.buf[used:c.end])))
	}
	c.end = 0
	return true, err
}
