package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const (
	// epollBatch is how many sockets one wait returns at most.
	epollBatch = 512
	// epollWaitMillis bounds a wait, so that a reader notices that it must stop.
	epollWaitMillis = 20
	// fewReady is how many ready sockets are not worth waking up for when there
	// are many subscribers.
	fewReady = 64
	// wholeRead and headRead are the sizes of a read in bytes: of everything,
	// and of as much of a large frame as holds its marker.
	wholeRead = 256 << 10
	headRead  = 4 << 10
	// readEdge asks for the edge at which a socket gets readable, which is cheaper
	// than being told again as long as it is. A reader must go on until a read is
	// short; one edge may tell of data and of the end behind it.
	readEdge = syscall.EPOLLIN | syscall.EPOLLRDHUP | epollEdge
	// epollEdge is EPOLLET, which package syscall has with a sign.
	epollEdge = 1 << 31
)

// epollReader is a reader at work.
type epollReader struct {
	*swarmReader
	epoll  int
	server syscall.SockaddrInet4
	buf    []byte
	// next is the first subscriber without a socket, pending how many are
	// connecting or wait for their head; source is the last byte of the source
	// address, 0 for the kernel's choice.
	next, pending int
	source        byte
	// current is the subscriber whose bytes are being looked at, at when they
	// were read.
	current *subscriber
	at      time.Duration
	// events and taken are how many events and bytes have come.
	events, taken int64
	// dripping are the subscribers that read a little at a time, next at nextDrip.
	dripping []*subscriber
	nextDrip time.Duration
}

// run connects the subscribers and reads what they get until the swarm stops.
func (r *swarmReader) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e := epollReader{swarmReader: r, buf: make([]byte, wholeRead)}
	err := e.loop()
	for _, s := range r.subscribers {
		if s.fd >= 0 {
			_ = syscall.Close(s.fd)
		}
	}
	if err != nil {
		r.err = err
		r.swarm.fail(err)
	}
}

// loop is run without its end.
func (e *epollReader) loop() error {
	addr, err := netip.ParseAddrPort(e.swarm.addr)
	if err != nil || !addr.Addr().Is4() {
		return fmt.Errorf("the address must be an IPv4 address and a port, not %q", e.swarm.addr)
	}
	e.server = syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	if e.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("cannot wait for sockets: %w", err)
	}
	defer syscall.Close(e.epoll)
	ready := make([]syscall.EpollEvent, epollBatch)
	got := e.got
	for !e.swarm.stop.Load() {
		if err := e.connectMore(); err != nil {
			return err
		}
		n, err := syscall.EpollWait(e.epoll, ready, epollWaitMillis)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("cannot wait for sockets: %w", err)
		}
		e.drip(got)
		for _, x := range ready[:max(n, 0)] {
			s := e.subscribers[x.Fd]
			e.current = s
			if x.Events&syscall.EPOLLOUT != 0 {
				err = e.connected(s, int(x.Fd))
			} else {
				err = e.read(s, x.Events&^syscall.EPOLLIN != 0, got)
			}
			if err != nil {
				e.drop(s, err)
			}
		}
		e.count(e.events, e.taken)
		if n > 0 && n < fewReady && len(e.subscribers) >= napFrom {
			nap()
		}
	}
	return nil
}

// nap lets sockets get ready. On loopback, waking a reader that waits costs the
// sender, who would pay nothing for readers on other machines.
func nap() {
	t := syscall.NsecToTimespec(napTime.Nanoseconds())
	// It may be cut short by a signal, which does no harm.
	_ = syscall.Nanosleep(&t, nil)
}

// connectMore begins connections as far as the bound allows.
func (e *epollReader) connectMore() error {
	for e.next < len(e.subscribers) && (e.swarm.atOnce == 0 || e.pending < e.swarm.atOnce) {
		s := e.subscribers[e.next]
		fd, err := e.connect(s)
		if err != nil {
			return err
		}
		s.fd = fd
		x := syscall.EpollEvent{Events: syscall.EPOLLOUT, Fd: int32(e.next)}
		if err := syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_ADD, fd, &x); err != nil {
			return fmt.Errorf("cannot wait for a socket: %w", err)
		}
		e.next++
		e.pending++
		// A connection that fails later shows as a writable socket with an error.
	}
	return nil
}

// connect begins one connection, from another loopback address when the ports
// of one have run out.
func (e *epollReader) connect(s *subscriber) (int, error) {
	for {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, fmt.Errorf("cannot open a socket: %w", err)
		}
		if !s.keepsUp() {
			err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, stallBuffer)
		}
		if err == nil && e.source != 0 {
			// The port is chosen by connect, so that it may be in use with other peers.
			const bindAddressNoPort = 24
			err = errors.Join(
				syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, bindAddressNoPort, 1),
				syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, e.source}}))
		}
		if err == nil {
			err = syscall.Connect(fd, &e.server)
		}
		if err == nil || errors.Is(err, syscall.EINPROGRESS) {
			return fd, nil
		}
		_ = syscall.Close(fd)
		if !errors.Is(err, syscall.EADDRNOTAVAIL) || e.source == 250 || e.server.Addr[0] != 127 {
			return 0, fmt.Errorf("cannot connect to %s: %w", e.swarm.addr, err)
		}
		e.source = max(e.source+1, 2)
	}
}

// connected sends the request on a connection that is made, or has failed.
func (e *epollReader) connected(s *subscriber, index int) error {
	code, err := syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	if err != nil {
		return fmt.Errorf("cannot connect to %s: %w", e.swarm.addr, err)
	}
	request := e.swarm.request(int(s.job))
	// An empty socket buffer takes a whole request head.
	if n, err := syscall.Write(s.fd, request); err != nil || n != len(request) {
		return fmt.Errorf("cannot send the request: %d of %d bytes, %v", n, len(request), err)
	}
	x := syscall.EpollEvent{Events: readEdge, Fd: int32(index)}
	return syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_MOD, s.fd, &x)
}

// read takes what a socket has. ended tells that its end, or an error, stands
// behind that.
func (e *epollReader) read(s *subscriber, ended bool, got func(marker)) error {
	size := wholeRead
	large := e.swarm.frame >= discardFrom && !s.stream.verify
	if large {
		size = headRead
	}
	if !s.keepsUp() {
		// Whatever is behind the head stays where it is.
		size = 1
	}
	for {
		discard := 0
		if large {
			discard = s.stream.discardable()
		}
		var n, want int
		var errno syscall.Errno
		if discard > 0 {
			want = discard
			n, errno = receive(s.fd, nil, want, syscall.MSG_TRUNC)
		} else {
			want = size
			n, errno = receive(s.fd, unsafe.Pointer(&e.buf[0]), want, 0)
		}
		switch {
		case errno == syscall.EAGAIN || errno == syscall.EINTR:
			return nil
		case errno != 0:
			return fmt.Errorf("a stream broke: %w", errno)
		case n == 0:
			return errEnded
		}
		e.at = e.swarm.now()
		e.taken += int64(n)
		begun := s.stream.begun
		if discard > 0 {
			s.stream.discarded(n, got)
		} else if err := s.stream.feed(e.buf[:n], got); err != nil {
			return err
		}
		if s.stream.ended {
			return errEnded
		}
		if !begun && s.stream.begun {
			e.pending--
			e.ready.Add(1)
			if !s.keepsUp() {
				if s.drips {
					e.dripping = append(e.dripping, s)
				}
				return syscall.EpollCtl(e.epoll, syscall.EPOLL_CTL_DEL, s.fd, nil)
			}
		}
		if n < want && !ended {
			return nil
		}
	}
}

// drip lets the dripping subscribers read a little, when it is time.
func (e *epollReader) drip(got func(marker)) {
	now := e.swarm.now()
	if len(e.dripping) == 0 || now < e.nextDrip {
		return
	}
	e.nextDrip = now + dripEvery
	for _, s := range e.dripping {
		if s.fd < 0 {
			continue
		}
		e.current = s
		n, errno := receive(s.fd, unsafe.Pointer(&e.buf[0]), dripBytes, 0)
		switch {
		case errno == syscall.EAGAIN || errno == syscall.EINTR:
		case errno != 0:
			e.drop(s, fmt.Errorf("a stream that is read slowly broke: %w", errno))
		case n == 0:
			e.drop(s, errEnded)
		default:
			if err := s.stream.feed(e.buf[:n], got); err != nil {
				e.drop(s, err)
			}
		}
	}
}

// receive reads without blocking and without telling Go's scheduler: it takes
// about as long as the scheduler would. With MSG_TRUNC the kernel drops the
// bytes instead of copying them (tcp(7)).
func receive(fd int, buf unsafe.Pointer, size, flags int) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(buf), uintptr(size),
		uintptr(flags|syscall.MSG_DONTWAIT), 0, 0)
	return int(n), errno
}

// send is the counterpart of receive.
func send(fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// got takes note of an event of the current subscriber.
func (e *epollReader) got(m marker) {
	s := e.current
	if m.job != s.job {
		s.foreign++
		return
	}
	doubled := s.doubled
	s.count(m.sequence)
	if s.doubled != doubled || s.drips {
		// What drips is checked, but neither awaited nor timed.
		return
	}
	e.events++
	if int64(m.sent) >= e.swarm.since.Load() {
		e.latency.add(e.at - m.sent)
	}
	e.swarm.gates[s.job].arrived(s)
}

// drop takes note that a stream is lost.
func (e *epollReader) drop(s *subscriber, err error) {
	if s.fd >= 0 {
		_ = syscall.Close(s.fd)
		s.fd = -1
	}
	if !s.stream.begun {
		e.pending--
	}
	e.failed.Add(1)
	e.swarm.fail(err)
}
