package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// sliceSends is how many writes a loop makes before it lets others run: about
	// half a millisecond's worth.
	sliceSends = 64
	// turnBytes is what one subscriber gets before the others have their turn.
	turnBytes = 256 << 10
	// roomy is what a socket surely takes whole after it was found writable: half
	// of notSentLow.
	roomy = notSentLow / 2
)

// shard is an event loop that owns the sockets of its subscribers. It runs in
// one goroutine and never blocks but to wait for events.
type shard struct {
	hub    *Hub
	bit    uint32
	epoll  int
	bell   int // an eventfd: wakes the loop
	file   *os.File
	raw    syscall.RawConn
	done   chan struct{}
	count  atomic.Int64
	rung   atomic.Bool // bell was written to and not yet read
	closed bool

	mu      sync.Mutex
	inbox   inbox
	stopped bool // nothing is attached any more

	// What follows belongs to the loop.
	taken   inbox // what was in the inbox
	slots   []*Subscriber
	free    []int32
	topics  map[*broadcaster]*topic
	work    []task
	ready   ready
	sweeper sweeper
	events  [256]unix.EpollEvent
	parcel  parcel
	iov     [maxBufs + 1]unix.Iovec
	scratch [4096]byte
	timer   *time.Timer
	now     int64 // milliseconds

	// What was sent since the last report.
	deliveries, bytes int
	lags              []lag
}

// inbox is what others ask of a loop.
type inbox struct {
	attached []*Subscriber
	notified []*broadcaster
	loaded   []*arrival
	all      []func(*Subscriber)
	stop     bool
}

func (b *inbox) empty() bool {
	return len(b.attached)+len(b.notified)+len(b.loaded)+len(b.all) == 0 && !b.stop
}

func newShards(h *Hub, n int) ([]engine, error) {
	var loops []engine
	for i := range min(n, maxShards) {
		sh, err := newShard(h, uint32(1)<<i)
		if err != nil {
			for _, e := range loops {
				e.stop()
			}
			return nil, fmt.Errorf("cannot start the event loop of the streams: %w", err)
		}
		loops = append(loops, sh)
	}
	return loops, nil
}

func newShard(h *Hub, bit uint32) (*shard, error) {
	sh := &shard{hub: h, bit: bit, done: make(chan struct{}), topics: make(map[*broadcaster]*topic)}
	var err error
	if sh.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if sh.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(sh.epoll)
		return nil, err
	}
	// The loop waits in Go's own poller, of which its epoll is one descriptor: a
	// loop that waits holds no thread, and one that has waited its turn has let
	// the poller serve everybody else.
	err = errors.Join(
		unix.EpollCtl(sh.epoll, unix.EPOLL_CTL_ADD, sh.bell, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}),
		unix.SetNonblock(sh.epoll, true))
	if err == nil {
		sh.file = os.NewFile(uintptr(sh.epoll), "epoll")
		sh.raw, err = sh.file.SyscallConn()
	}
	if err != nil {
		_ = unix.Close(sh.epoll)
		_ = unix.Close(sh.bell)
		return nil, err
	}
	sh.timer = time.AfterFunc(time.Hour, sh.wake)
	sh.timer.Stop()
	go sh.run()
	return sh, nil
}

func (sh *shard) size() int { return int(sh.count.Load()) }

func (sh *shard) post(f func(*inbox)) {
	sh.mu.Lock()
	f(&sh.inbox)
	sh.mu.Unlock()
	sh.wake()
}

func (sh *shard) attach(s *Subscriber) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.stopped {
		return net.ErrClosed
	}
	sh.count.Add(1)
	sh.inbox.attached = append(sh.inbox.attached, s)
	sh.wake()
	return nil
}

func (sh *shard) notify(b *broadcaster) {
	sh.post(func(in *inbox) { in.notified = append(in.notified, b) })
}

func (sh *shard) loaded(l *load, waiters []waiter) {
	sh.post(func(b *inbox) { b.loaded = append(b.loaded, &arrival{l, waiters}) })
}

func (sh *shard) each(f func(*Subscriber)) {
	sh.post(func(b *inbox) { b.all = append(b.all, f) })
}

func (sh *shard) stop() {
	sh.mu.Lock()
	sh.stopped, sh.inbox.stop = true, true
	sh.mu.Unlock()
	sh.wake()
	<-sh.done
}

// wake makes the loop look into its inbox.
func (sh *shard) wake() { sh.ring() }

// ring reports whether the bell was silent before.
func (sh *shard) ring() bool {
	if !sh.rung.CompareAndSwap(false, true) {
		return false
	}
	one := binary.NativeEndian.AppendUint64(nil, 1)
	_, _ = unix.Write(sh.bell, one)
	return true
}

func (sh *shard) run() {
	defer close(sh.done)
	for !sh.closed {
		sh.now = sh.hub.now()
		sh.open()
		sh.slice()
		sh.sweep()
		sh.report()
		sh.wait()
	}
	for _, s := range sh.slots {
		if s != nil {
			sh.close(s, ReasonDrain)
		}
	}
	sh.timer.Stop()
	_ = sh.file.Close()
	// Others may still ring: a loader that comes late, a publisher. The bell stays
	// rung for good, so that none begins to write to the descriptor once it may be
	// somebody else's, and who has begun is waited for.
	if !sh.rung.CompareAndSwap(false, true) {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(sh.bell), Events: unix.POLLIN}}, -1)
	}
	_ = unix.Close(sh.bell)
}

// open takes what is in the inbox.
func (sh *shard) open() {
	sh.mu.Lock()
	sh.taken, sh.inbox = sh.inbox, sh.taken
	sh.mu.Unlock()
	in := &sh.taken
	if in.empty() {
		return
	}
	for _, s := range in.attached {
		sh.begin(s)
	}
	for _, b := range in.notified {
		// Cleared before the view is looked at, so that what comes later is
		// told again.
		b.notified.And(^sh.bit)
		sh.news(b)
	}
	for _, a := range in.loaded {
		sh.work = append(sh.work, a)
	}
	for _, f := range in.all {
		sh.work = append(sh.work, &control{f: f, next: len(sh.slots)})
	}
	if in.stop {
		sh.closed = true
	}
	clear(in.attached)
	clear(in.notified)
	clear(in.loaded)
	clear(in.all)
	*in = inbox{attached: in.attached[:0], notified: in.notified[:0], loaded: in.loaded[:0], all: in.all[:0]}
}

// begin takes a new subscriber in.
func (sh *shard) begin(s *Subscriber) {
	if n := len(sh.free); n > 0 {
		s.io.slot = sh.free[n-1]
		sh.free = sh.free[:n-1]
		sh.slots[s.io.slot] = s
	} else {
		s.io.slot = int32(len(sh.slots))
		sh.slots = append(sh.slots, s)
	}
	for i := range s.legs {
		l := &s.legs[i]
		t := sh.topics[l.b]
		if t == nil {
			t = &topic{}
			sh.topics[l.b] = t
			// Before the view is looked at: whoever publishes after that look sees
			// the bit.
			l.b.engines.Or(sh.bit)
		}
		l.slot = len(t.members)
		t.members = append(t.members, member{s, i})
	}
	err := unix.EpollCtl(sh.epoll, unix.EPOLL_CTL_ADD, int(s.io.fd), &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff,
		Fd:     s.io.slot,
	})
	if err != nil {
		sh.hub.opts.Logger.Error("cannot watch a subscriber's socket", "error", err)
		sh.close(s, ReasonClient)
		return
	}
	s.progress = sh.now
	s.stale()
	sh.enqueue(s)
	if w := &sh.sweeper; w.due == 0 && !w.queued {
		w.plan(sh)
	}
}

// finish follows the end of the body: the peer closes, or is closed.
func (sh *shard) finish(s *Subscriber, why Reason) {
	s.io.shut()
	s.io.closing = true
	s.progress = sh.now + lingerTime
	sh.part(s, why)
	// What the peer has sent already would turn the close into a reset.
	if !s.io.receive(sh.scratch[:]) {
		sh.close(s, why)
	}
}

// part takes a subscriber out of its jobs.
func (sh *shard) part(s *Subscriber, why Reason) {
	if s.left {
		return
	}
	for i := range s.legs {
		l := &s.legs[i]
		t := sh.topics[l.b]
		last := len(t.members) - 1
		t.members[l.slot] = t.members[last]
		moved := &t.members[l.slot]
		moved.s.legs[moved.leg].slot = l.slot
		t.members[last] = member{}
		if t.members = t.members[:last]; last == 0 {
			delete(sh.topics, l.b)
			l.b.engines.And(^sh.bit)
		}
	}
	s.leave(why)
}

// close ends the connection.
func (sh *shard) close(s *Subscriber, why Reason) {
	if s.io.gone {
		return
	}
	s.io.gone = true
	sh.part(s, why)
	if why == ReasonStalled || why == ReasonRevoked {
		s.io.drop()
	}
	_ = unix.Close(int(s.io.fd))
	sh.slots[s.io.slot] = nil
	sh.free = append(sh.free, s.io.slot)
	sh.count.Add(-1)
	s.closed()
}

// wait waits for events, not at all if there is work.
func (sh *shard) wait() {
	busy := len(sh.work) > 0
	n, asked := 0, false
	err := sh.raw.Read(func(uintptr) bool {
		if busy && !asked {
			// Through Go's poller all the same, at whose end stands our own wake-up:
			// whoever has become ready meanwhile is served before.
			asked = true
			if sh.ring() {
				return false
			}
		}
		var err error
		n, err = unix.EpollWait(sh.epoll, sh.events[:], 0)
		return n > 0 || err != nil && err != unix.EINTR || sh.closed
	})
	if err != nil {
		sh.hub.opts.Logger.Error("the event loop of the streams cannot wait", "error", err)
		runtime.Gosched()
	}
	for _, e := range sh.events[:max(n, 0)] {
		if e.Fd < 0 {
			// Read first: whoever finds the bell rung after that has put into the
			// inbox what is taken out of it next.
			_, _ = unix.Read(sh.bell, sh.scratch[:8])
			sh.rung.Store(false)
			continue
		}
		if s := sh.slots[e.Fd]; s != nil {
			sh.event(s, e.Events)
		}
	}
}

// event takes up what the kernel tells of a socket.
func (sh *shard) event(s *Subscriber, events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		sh.close(s, ReasonClient)
		return
	}
	// Data and the peer's close may come in one edge.
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP) != 0 && !s.io.receive(sh.scratch[:]) {
		sh.close(s, ReasonClient)
		return
	}
	if events&unix.EPOLLOUT != 0 && s.io.congested {
		s.io.congested, s.io.unproven = false, 0
		sh.enqueue(s)
	}
}
