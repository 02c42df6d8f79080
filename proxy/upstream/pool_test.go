package upstream

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func idleConn(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	c := &conn{Conn: ours}
	return c, theirs
}

// isClosed reports whether the other end of a pipe has been closed.
func isClosed(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now())
	_, err := c.Read(make([]byte, 1))
	return err != nil && !timedOut(err)
}

func TestIdleConnectionsGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{client: &Client{o: Options{MaxIdle: 2}}}
		put := func() net.Conn {
			c, theirs := idleConn(t)
			p.keep(c, time.Since(epoch))
			return theirs
		}
		first := put()
		time.Sleep(idleTimeout / 2)
		second, third := put(), put()
		synctest.Wait()
		if isClosed(first) || isClosed(second) || !isClosed(third) {
			t.Error("more are kept than MaxIdle, or fewer")
		}
		time.Sleep(idleTimeout/2 + time.Second)
		synctest.Wait()
		if !isClosed(first) || isClosed(second) {
			t.Error("the older one is still there, or the younger is not")
		}
		time.Sleep(idleTimeout)
		synctest.Wait()
		if !isClosed(second) || len(p.idle) != 0 || p.timer != nil {
			t.Error("the last one is still there")
		}
		fourth := put()
		p.close()
		if !isClosed(fourth) || !isClosed(put()) {
			t.Error("a closed pool keeps connections")
		}
	})
}
