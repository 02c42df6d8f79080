package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// twoThreadsFrom is the number of connections from which two threads share them.
	twoThreadsFrom = 16
	// exchangeEdge asks for the edges at which a socket gets readable or writable.
	exchangeEdge = readEdge | syscall.EPOLLOUT
	// idle is when a connection began to send over which nothing is asked.
	idle time.Duration = -1
)

// linkLoops drives links by a few threads that each wait for their share of the
// sockets: the next request leaves in the same breath in which an answer was
// found whole, without Go's scheduler and its poller in between.
func linkLoops(links []*link) []loop {
	threads := 1
	if len(links) >= twoThreadsFrom {
		threads = 2
	}
	shares := make([][]*link, threads)
	for i, x := range links {
		shares[i%threads] = append(shares[i%threads], x)
	}
	var loops []loop
	for _, share := range shares {
		loops = append(loops, func(ctx context.Context, o *outcome, w window) {
			t := loadThread{outcome: o, window: w}
			defer t.close()
			if err := t.run(ctx, share); err != nil {
				o.fail(err)
			}
		})
	}
	return loops
}

// loadThread is a thread at work. It is not locked to its goroutine: coroutines,
// which make the recorded jobs, may not come to a locked thread and leave it
// again, and one that is not locked is as fast.
type loadThread struct {
	*outcome
	window
	epoll   int
	sockets []loadSocket
	// asking are the sockets at which an answer is awaited.
	asking    int
	nextSweep time.Duration
}

// loadSocket is a link whose socket the thread has taken over.
type loadSocket struct {
	*link
	fd int
	// out is what has not been sent yet of the request, sent when its sending
	// began, or idle.
	out      []byte
	sent     time.Duration
	failures int64
}

// run asks and takes answers until none is awaited any more.
func (t *loadThread) run(ctx context.Context, links []*link) error {
	var err error
	if t.epoll, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		t.epoll = -1
		return fmt.Errorf("cannot wait for sockets: %w", err)
	}
	t.sockets = make([]loadSocket, 0, len(links))
	for i, x := range links {
		fd, err := x.conn.detach()
		if err != nil {
			return fmt.Errorf("cannot take over a socket: %w", err)
		}
		t.sockets = append(t.sockets, loadSocket{link: x, fd: fd, sent: idle})
		event := syscall.EpollEvent{Events: exchangeEdge, Fd: int32(i)}
		if err := syscall.EpollCtl(t.epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
			return fmt.Errorf("cannot wait for a socket: %w", err)
		}
	}
	for i := range t.sockets {
		t.asking++
		t.ask(&t.sockets[i])
	}
	ready := make([]syscall.EpollEvent, epollBatch)
	for t.asking > 0 && ctx.Err() == nil {
		n, err := syscall.EpollWait(t.epoll, ready, epollWaitMillis)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("cannot wait for sockets: %w", err)
		}
		for _, x := range ready[:max(n, 0)] {
			t.ready(&t.sockets[x.Fd], x.Events&^(syscall.EPOLLIN|syscall.EPOLLOUT) != 0)
		}
		t.sweep()
	}
	return nil
}

// close closes the sockets.
func (t *loadThread) close() {
	for i := range t.sockets {
		if t.sockets[i].fd >= 0 {
			_ = syscall.Close(t.sockets[i].fd)
		}
	}
	if t.epoll >= 0 {
		_ = syscall.Close(t.epoll)
	}
}

// ask sends the next request.
func (t *loadThread) ask(s *loadSocket) {
	s.out = s.next()
	s.sent = t.now()
	t.send(s)
}

// send sends as much of the request as the socket takes.
func (t *loadThread) send(s *loadSocket) {
	for len(s.out) > 0 {
		n, errno := send(s.fd, s.out)
		switch errno {
		case 0:
			s.out = s.out[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return // EPOLLOUT tells when it goes on
		default:
			t.drop(s, errno)
		}
	}
}

// ready goes on with a socket. ended tells that its end, or an error, stands
// behind what there is to read.
func (t *loadThread) ready(s *loadSocket, ended bool) {
	if len(s.out) > 0 {
		t.send(s)
	}
	for s.sent != idle && len(s.out) == 0 {
		room := s.conn.buf[s.conn.end:]
		n, errno := receive(s.fd, unsafe.Pointer(&room[0]), len(room), 0)
		at := t.now()
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			t.drop(s, errno)
			return
		case n == 0:
			t.drop(s, io.EOF)
			return
		}
		whole, err := s.conn.offer(n, s)
		if whole {
			t.answered(s, at, err)
		} else if err != nil {
			t.lose(s, err)
		}
		if n < len(room) && !ended {
			return // the next edge tells when it goes on
		}
	}
}

// answered takes note of an answer that came at that time, err if it is wrong,
// and goes on to the next request.
func (t *loadThread) answered(s *loadSocket, at time.Duration, err error) {
	switch {
	case err != nil:
		t.fail(err)
		s.failures++
	case t.counts(at):
		t.latency.add(at - s.sent)
	}
	if at < t.until && s.failures < maxTaskErrors {
		t.ask(s)
		return
	}
	s.sent = idle
	t.asking--
}

// sweep gives up the sockets that have waited too long.
func (t *loadThread) sweep() {
	now := t.now()
	if now < t.nextSweep {
		return
	}
	t.nextSweep = now + epollWaitMillis*time.Millisecond
	for i := range t.sockets {
		if s := &t.sockets[i]; s.sent != idle && now-s.sent > s.conn.timeout {
			t.drop(s, fmt.Errorf("no answer after %s: %w", s.conn.timeout, os.ErrDeadlineExceeded))
		}
	}
}

// drop gives up a socket because of err.
func (t *loadThread) drop(s *loadSocket, err error) { t.lose(s, broken(err)) }

// lose takes note that a connection has broken.
func (t *loadThread) lose(s *loadSocket, err error) {
	t.fail(err)
	_ = syscall.Close(s.fd)
	s.fd, s.out, s.sent = -1, nil, idle
	t.asking--
}

// detach returns the connection's socket, for whom calls it to close. What Go's
// poller does for a connection it does no longer for this one.
func (c *rawConn) detach() (int, error) {
	raw, err := c.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(open uintptr) { fd, dupErr = unix.FcntlInt(open, unix.F_DUPFD_CLOEXEC, 0) })
	c.close()
	return fd, errors.Join(err, dupErr)
}
