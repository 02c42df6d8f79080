package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// requestTimeout bounds one request of a load, so that a server that hangs
// ends the run with an error.
const requestTimeout = 30 * time.Second

// rawConn is a keep-alive HTTP/1.1 connection that spends as little as it can:
// the load generator shares the machine's cores with what it measures.
type rawConn struct {
	conn net.Conn
	buf  []byte
	// buf[start:end] was read and not yet consumed.
	start, end int
	// sinceDeadline counts requests: setting a deadline costs, so each serves for many.
	sinceDeadline int
}

// dialRaw connects to addr.
func dialRaw(addr string) (*rawConn, error) {
	conn, err := net.DialTimeout("tcp", addr, requestTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", addr, err)
	}
	return &rawConn{conn: conn, buf: make([]byte, 96<<10)}, nil
}

// close ends the connection.
func (c *rawConn) close() { _ = c.conn.Close() }

// roundTrip sends a whole request and returns the status and body of its
// answer. The body is valid until the next call.
func (c *rawConn) roundTrip(request []byte) (int, []byte, error) {
	if c.sinceDeadline%64 == 0 {
		if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
			return 0, nil, err
		}
	}
	c.sinceDeadline++
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	header, err := c.until([]byte("\r\n\r\n"))
	if err != nil {
		return 0, nil, err
	}
	if len(header) < len("HTTP/1.1 200") || !bytes.HasPrefix(header, []byte("HTTP/1.1 ")) {
		return 0, nil, fmt.Errorf("no HTTP/1.1 answer: %q", excerpt(header))
	}
	status, err := strconv.Atoi(string(header[9:12]))
	if err != nil {
		return 0, nil, fmt.Errorf("no status in %q", excerpt(header))
	}
	if status == 304 || status == 204 {
		// Neither has a body, whatever its headers say (RFC 9112, section 6.3).
		return status, nil, nil
	}
	if v, ok := headerValue(header, "Content-Length"); ok {
		n, err := strconv.Atoi(string(v))
		if err != nil || n < 0 {
			return 0, nil, fmt.Errorf("content length is %q", v)
		}
		body, err := c.exactly(n)
		return status, body, err
	}
	if v, ok := headerValue(header, "Transfer-Encoding"); ok && string(v) == "chunked" {
		body, err := c.chunked()
		return status, body, err
	}
	return 0, nil, errors.New("the answer has neither a content length nor chunks")
}

// ask is roundTrip for a request whose answer must be 200.
func (c *rawConn) ask(request []byte) ([]byte, error) {
	status, body, err := c.roundTrip(request)
	if err == nil && status != 200 {
		err = fmt.Errorf("status %d: %s", status, excerpt(body))
	}
	return body, err
}

// headerValue finds a header by its name without regard to case.
func headerValue(header []byte, name string) ([]byte, bool) {
	for len(header) > 0 {
		line := header
		if i := bytes.IndexByte(header, '\n'); i >= 0 {
			line, header = header[:i], header[i+1:]
		} else {
			header = nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}

// until consumes up to and with delimiter.
func (c *rawConn) until(delimiter []byte) ([]byte, error) {
	for {
		if i := bytes.Index(c.buf[c.start:c.end], delimiter); i >= 0 {
			return c.consume(i + len(delimiter)), nil
		}
		if err := c.more(c.end - c.start + 1); err != nil {
			return nil, err
		}
	}
}

// exactly consumes n bytes.
func (c *rawConn) exactly(n int) ([]byte, error) {
	for c.end-c.start < n {
		if err := c.more(n); err != nil {
			return nil, err
		}
	}
	return c.consume(n), nil
}

// chunked consumes a body of chunks (RFC 9112, section 7.1).
func (c *rawConn) chunked() ([]byte, error) {
	var body []byte
	for {
		line, err := c.until([]byte("\r\n"))
		if err != nil {
			return nil, err
		}
		size, _, _ := bytes.Cut(bytes.TrimSpace(line), []byte(";"))
		n, err := strconv.ParseInt(string(size), 16, 32)
		if err != nil {
			return nil, fmt.Errorf("chunk size is %q", size)
		}
		chunk, err := c.exactly(int(n) + 2)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return body, nil
		}
		body = append(body, chunk[:n]...)
	}
}

// consume returns the next n bytes of the buffer.
func (c *rawConn) consume(n int) []byte {
	b := c.buf[c.start : c.start+n]
	c.start += n
	return b
}

// more reads at least one byte, after making room for need bytes in all. What
// consume returned before stays valid unless room has to be made.
func (c *rawConn) more(need int) error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.start+need > len(c.buf) {
		grown := c.buf
		if need > len(c.buf) {
			grown = make([]byte, 2*need)
		}
		c.end = copy(grown, c.buf[c.start:c.end])
		c.start, c.buf = 0, grown
	}
	n, err := c.conn.Read(c.buf[c.end:])
	c.end += n
	if n == 0 && err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	return nil
}
