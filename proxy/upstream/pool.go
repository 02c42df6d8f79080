package upstream

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

// epoch is what the readings of the clock count from.
var epoch = time.Now()

// bufferSize is what is read from the upstream at once, in bytes, and so the
// largest head of an answer that Pass takes.
const bufferSize = maxHead

// readers is memory for reading answers. A connection has some only while it is
// in use.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}

// conn is a connection of Pass to the upstream.
type conn struct {
	net.Conn
	br     *bufio.Reader
	peeker peeker
	// reused says that it has carried a request before: the upstream may have
	// closed it in the meantime.
	reused bool
	// readBy and writeBy are the deadlines in force, idleSince is when it was
	// put aside; all since epoch.
	readBy, writeBy, idleSince time.Duration
}

// slack is how much later than it must a deadline may be, because to set one
// takes longer than to find that the one in force will do.
func slack(timeout time.Duration) time.Duration { return min(time.Second, timeout/8) }

// readUntil sets the deadline for reading to a moment since epoch, at most so
// much later.
func (c *conn) readUntil(by, late time.Duration) error {
	if by <= c.readBy && c.readBy <= by+late {
		return nil
	}
	c.readBy = by + late
	return c.SetReadDeadline(epoch.Add(c.readBy))
}

// writeUntil sets the deadline for writing like readUntil.
func (c *conn) writeUntil(by, late time.Duration) error {
	if by <= c.writeBy && c.writeBy <= by+late {
		return nil
	}
	c.writeBy = by + late
	return c.SetWriteDeadline(epoch.Add(c.writeBy))
}

// release gives the reader's memory back.
func (c *conn) release() {
	if c.br != nil {
		c.br.Reset(nil)
		readers.Put(c.br)
		c.br = nil
	}
}

// drop closes a connection that is not to be used again.
func (c *conn) drop() {
	_ = c.Close()
	c.release()
}

// pool keeps the connections of Pass that are not in use. The one used last is
// taken first, so that those which are too many grow old.
type pool struct {
	client *Client

	mu     sync.Mutex
	idle   []*conn // the oldest first
	closed bool
	timer  *time.Timer // runs while there are idle ones
}

func newPool(c *Client) *pool { return &pool{client: c} }

// get returns an idle connection, or a new one if there is none or none is
// wanted.
func (p *pool) get(ctx context.Context, fresh bool) (*conn, error) {
	for !fresh {
		c := p.take()
		if c == nil {
			break
		}
		// One that the upstream has closed, or on which it has sent what nobody
		// asked for, is no good: the next answer would be the wrong one.
		if c.peeker.quiet() {
			c.br = readers.Get().(*bufio.Reader)
			c.br.Reset(c.Conn)
			return c, nil
		}
		c.drop()
	}
	inner, err := p.client.connect(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: inner, br: readers.Get().(*bufio.Reader)}
	c.br.Reset(inner)
	c.peeker.of(inner)
	return c, nil
}

func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put takes back a connection whose exchange is complete. now is since epoch.
func (p *pool) put(c *conn, now time.Duration) {
	if c.br.Buffered() > 0 {
		c.drop() // more than the answer
		return
	}
	c.release()
	p.keep(c, now)
}

// keep puts a connection among the idle ones, or closes it if there are enough.
func (p *pool) keep(c *conn, now time.Duration) {
	c.reused, c.idleSince = true, now
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < p.client.o.MaxIdle
	if keep {
		p.idle = append(p.idle, c)
		if p.timer == nil {
			p.timer = time.AfterFunc(idleTimeout, p.expire)
		}
	}
	p.mu.Unlock()
	if !keep {
		c.drop()
	}
}

// expire closes the connections that were idle for too long.
func (p *pool) expire() {
	limit := time.Since(epoch) - idleTimeout
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && p.idle[n].idleSince <= limit {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	p.timer = nil
	if len(p.idle) > 0 && !p.closed {
		p.timer = time.AfterFunc(p.idle[0].idleSince-limit, p.expire)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.drop()
	}
}

// close closes the idle connections, and those in use when they are put back.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	for _, c := range idle {
		c.drop()
	}
}
