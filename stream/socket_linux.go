package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notSentLow is TCP_NOTSENT_LOWAT: with it and a bounded send buffer a stalled
// reader pins 0.2 MB of kernel memory instead of 3.8 (design notes, measured).
const notSentLow = 16 << 10

// take duplicates the descriptor of a plain TCP or Unix connection and closes
// the connection's own. It reports false, with nothing changed, if c is another
// kind.
func (c *connection) take(from net.Conn, sendBuffer int, userTimeout time.Duration) bool {
	var sc syscall.Conn
	switch conn := from.(type) {
	case *net.TCPConn:
		sc = conn
	case *net.UnixConn:
		sc = conn
	default:
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	fd := -1
	if raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0)
	}) != nil || err != nil {
		return false
	}
	_ = from.Close()
	tune(fd, sendBuffer, userTimeout)
	c.fd = int32(fd)
	return true
}

// settle does for a connection of the portable engine what can be done without
// taking it apart.
func (c *connection) settle(sendBuffer int, userTimeout time.Duration) {
	c.control(func(fd int) { tune(fd, sendBuffer, userTimeout) })
}

// control calls f with the descriptor, if there is one: a connection of the
// portable engine may be of any kind.
func (c *connection) control(f func(fd int)) {
	if c.object == nil {
		f(int(c.fd))
		return
	}
	from := c.conn
	if secure, ok := from.(*tls.Conn); ok {
		from = secure.NetConn()
	}
	if sc, ok := from.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}

// tune only tunes: a kernel, or a kind of socket, that lacks an option serves
// all the same.
func tune(fd, sendBuffer int, userTimeout time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLow)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout/time.Millisecond))
}

// discard closes the connection without an engine.
func (c *connection) discard() {
	if c.object != nil {
		_ = c.conn.Close()
		return
	}
	_ = unix.Close(int(c.fd))
}

// send writes without blocking. These are raw system calls, which the scheduler
// does not see: they never block, and telling it costs a tenth of a send.
func (c *connection) send(bufs [][]byte, iov *[maxBufs + 1]unix.Iovec) (int, error) {
	for {
		var n uintptr
		var e syscall.Errno
		if len(bufs) == 1 {
			n, _, e = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd),
				uintptr(unsafe.Pointer(&bufs[0][0])), uintptr(len(bufs[0])), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		} else {
			for i, b := range bufs {
				iov[i].Base = &b[0]
				iov[i].SetLen(len(b))
			}
			var h unix.Msghdr
			h.Iov = &iov[0]
			h.SetIovlen(len(bufs))
			n, _, e = syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(c.fd),
				uintptr(unsafe.Pointer(&h)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			clear(iov[:len(bufs)])
		}
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			return 0, nil
		default:
			return 0, e
		}
	}
}

// writable asks the kernel whether the socket has room: at least a third of its
// buffer, and little that is not on its way. If it has not, the event loop is
// told when it has.
func (c *connection) writable() bool {
	p := [1]unix.PollFd{{Fd: c.fd, Events: unix.POLLOUT}}
	n, err := unix.Poll(p[:], 0)
	return err != nil || n > 0 && p[0].Revents&unix.POLLOUT != 0 || n > 0 && p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}

// receive throws away what the peer sent. It reports false if the peer has
// closed or sends without end.
func (c *connection) receive(scratch []byte) bool {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd),
			uintptr(unsafe.Pointer(&scratch[0])), uintptr(len(scratch)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case e == unix.EINTR:
		case e == unix.EAGAIN:
			return true
		case e != 0 || n == 0:
			return false
		default:
			if c.received += int32(n); c.received > maxReceived {
				return false
			}
		}
	}
}

// deaf reports whether the peer has not acknowledged anything for longer than
// the limit although something was sent to it. One that is alive but stalled
// answers the kernel's probes.
func (c *connection) deaf(limit time.Duration) (is bool) {
	c.control(func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return // not TCP: the kernel tells of the end of the other kinds
		}
		waits := info.Unacked > 0 || info.Probes > 0
		is = waits && time.Duration(info.Last_ack_recv)*time.Millisecond >= limit
	})
	return is
}

// awaitRoom waits, no longer than the write's deadline, until the socket takes
// wholeBytes without a cut.
func (c *connection) awaitRoom() error {
	sc, ok := c.conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	asked := false
	return raw.Write(func(fd uintptr) bool {
		p := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(p[:], 0)
		room := err != nil && err != unix.EINTR || n > 0
		if !room && !asked {
			asked = true
			c.drains()
		}
		return room
	})
}

// drains reports whether the peer has taken something since it was last asked
// although the socket has no room yet: a third of the buffer has to be free
// before the loop is told of room.
func (c *connection) drains() (less bool) {
	c.control(func(fd int) {
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		less = err == nil && int32(n) < c.unacked
		c.unacked = int32(n)
	})
	return less
}

// shut ends the body: what was sent is still delivered, and the peer sees a
// clean end.
func (c *connection) shut() { _ = unix.Shutdown(int(c.fd), unix.SHUT_WR) }

// drop makes the close that follows free what the peer has not taken.
func (c *connection) drop() {
	_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 0})
}

// vanished reports whether a send failed because the peer does not answer.
func vanished(err error) bool { return errors.Is(err, unix.ETIMEDOUT) }
