//go:build !linux

package stream

import (
	"net"
	"time"
)

// newShards has no event loops to offer here: every connection is served by the
// portable engine.
func newShards(*Hub, int) ([]engine, error) { return nil, nil }

func (c *connection) take(net.Conn, int, time.Duration) bool { return false }

func (c *connection) settle(sendBuffer int, _ time.Duration) {
	if conn, ok := c.conn.(interface{ SetWriteBuffer(int) error }); ok {
		_ = conn.SetWriteBuffer(sendBuffer)
	}
}

// deaf cannot tell here: the kernel gives a peer up in its own time.
func (c *connection) deaf(time.Duration) bool { return false }

// awaitRoom cannot tell here: a frame that fills the socket's buffer may be cut
// anywhere.
func (c *connection) awaitRoom() error { return nil }

func (c *connection) drains() bool { return false }

func (c *connection) discard() { _ = c.conn.Close() }
