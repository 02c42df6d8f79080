//go:build unix

package upstream

import (
	"crypto/tls"
	"net"
	"syscall"
)

// peeker looks at an idle connection without reading from it.
type peeker struct {
	raw     syscall.RawConn // nil if the connection cannot be looked at
	peek    func(fd uintptr) bool
	nothing bool

	put  func(fd uintptr) bool
	out  []byte // what is left to write
	sent bool
}

// of makes ready to look at a connection.
func (w *peeker) of(c net.Conn) {
	secure, ok := c.(*tls.Conn)
	if ok {
		c = secure.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	w.raw, w.peek = raw, func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		w.nothing = err == syscall.EAGAIN || err == syscall.EINTR
		return true
	}
	if secure != nil {
		return
	}
	w.put = func(fd uintptr) bool {
		if w.sent {
			return true // there is something to read
		}
		w.sent = true
		n, err := syscall.Write(int(fd), w.out)
		if err != nil {
			n = 0 // what it is, the usual way will tell
		}
		w.out = w.out[n:]
		return len(w.out) > 0
	}
}

// sendAndWait writes and waits for the first of the answer, and returns what is
// left to write. To begin to wait before the writing saves a look whether the
// answer is there, which it never is.
func (w *peeker) sendAndWait(b []byte) (left []byte, err error) {
	if w.put == nil {
		return b, nil
	}
	w.out, w.sent = b, false
	err = w.raw.Read(w.put)
	left, w.out = w.out, nil
	return left, err
}

// quiet reports whether the connection is open and nothing has come on it.
func (w *peeker) quiet() bool {
	if w.raw == nil {
		return true
	}
	w.nothing = false
	return w.raw.Read(w.peek) == nil && w.nothing
}
