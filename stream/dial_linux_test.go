package stream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// dialSegments is dial with a receive window and, unless segment is 0, segments
// as small as an Ethernet has.
func (f *fixture) dialSegments(segment, window int) (client, server net.Conn) {
	f.t.Helper()
	return f.dialWith(net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if bad := c.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, window); err == nil && segment > 0 {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment)
			}
		}); bad != nil {
			return bad
		}
		return err
	}})
}
