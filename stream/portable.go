package stream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// portable serves each connection by a goroutine of its own: under TLS, and
// where there are no event loops. It keeps the same promises at a higher price
// in memory.
type portable struct {
	hub *Hub
	bit uint32

	mu      sync.Mutex
	members map[*Subscriber]struct{}
	news    []*broadcaster
	closed  bool
	ring    chan struct{} // of one: there are news
	over    chan struct{}
	done    sync.WaitGroup
}

// mailbox is what others tell a subscriber's goroutine.
type mailbox struct {
	mu     sync.Mutex
	orders []func(*Subscriber)
	loads  []arrived
}

type arrived struct {
	load *load
	leg  int
}

// pieceBytes is what is written under one deadline: a stalled peer is told from
// a slow one by whether it takes as much, and a TLS connection cannot go on
// after a write that was cut by its deadline.
const pieceBytes = 16 << 10

// wholeBytes is what goes in one write, or TLS record, that is not cut: several
// frames, or what is left of one.
const wholeBytes = 2 * heldBack

func newPortable(h *Hub, bit uint32) *portable {
	p := &portable{
		hub: h, bit: bit, members: make(map[*Subscriber]struct{}),
		ring: make(chan struct{}, 1), over: make(chan struct{}),
	}
	p.done.Go(p.spread)
	return p
}

func (p *portable) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

func (p *portable) attach(s *Subscriber) error {
	s.io.wake, s.io.mail = make(chan struct{}, 1), new(mailbox)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return net.ErrClosed
	}
	p.members[s] = struct{}{}
	for i := range s.legs {
		s.legs[i].b.engines.Or(p.bit)
	}
	gone := make(chan struct{})
	p.done.Go(func() { listen(s.io.conn, gone) })
	p.done.Go(func() { p.serve(s, gone) })
	return nil
}

// listen throws away what the peer sends until it closes or sends too much.
func listen(c net.Conn, gone chan<- struct{}) {
	defer close(gone)
	_, _ = io.CopyN(io.Discard, c, maxReceived)
}

// notify only notes the job: waking its subscribers is not for the writer to
// wait for.
func (p *portable) notify(b *broadcaster) {
	p.mu.Lock()
	p.news = append(p.news, b)
	p.mu.Unlock()
	select {
	case p.ring <- struct{}{}:
	default:
	}
}

// spread wakes the subscribers of jobs that have news.
func (p *portable) spread() {
	for {
		select {
		case <-p.over:
			return
		case <-p.ring:
		}
		p.mu.Lock()
		news := p.news
		p.news = nil
		for _, b := range news {
			b.notified.And(^p.bit)
		}
		members := make([]*Subscriber, 0, len(p.members))
		for s := range p.members {
			members = append(members, s)
		}
		p.mu.Unlock()
		for _, s := range members {
			if s.watches(news) {
				s.ring()
			}
		}
	}
}

func (s *Subscriber) watches(jobs []*broadcaster) bool {
	for i := range s.legs {
		for _, b := range jobs {
			if s.legs[i].b == b {
				return true
			}
		}
	}
	return false
}

func (s *Subscriber) ring() {
	select {
	case s.io.wake <- struct{}{}:
	default:
	}
}

func (p *portable) loaded(l *load, waiters []waiter) {
	for _, w := range waiters {
		m := w.s.io.mail
		m.mu.Lock()
		m.loads = append(m.loads, arrived{l, w.leg})
		m.mu.Unlock()
		w.s.ring()
	}
}

func (p *portable) each(f func(*Subscriber)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.members {
		m := s.io.mail
		m.mu.Lock()
		m.orders = append(m.orders, f)
		m.mu.Unlock()
		s.ring()
	}
}

func (p *portable) stop() {
	p.mu.Lock()
	if !p.closed {
		p.closed = true
		close(p.over)
	}
	for s := range p.members {
		_ = s.io.conn.Close()
	}
	p.mu.Unlock()
	p.done.Wait()
}

// serve is the life of one subscriber.
func (p *portable) serve(s *Subscriber, gone <-chan struct{}) {
	s.stale()
	why := p.pump(s, gone)
	select {
	case <-p.over:
		why = ReasonDrain
	default:
	}
	s.leave(why)
	_ = s.io.conn.Close()
	<-gone
	p.mu.Lock()
	delete(p.members, s)
	p.mu.Unlock()
	s.closed()
}

// pump writes until the stream ends, and returns why it did.
func (p *portable) pump(s *Subscriber, gone <-chan struct{}) Reason {
	h := p.hub
	heartbeat, asked := h.opts.Heartbeat.Milliseconds(), h.now()
	var out parcel
	for {
		for s.fill(&out, s.read(), wholeBytes) {
			if err := p.write(s, &out); err != nil {
				return s.fault(err)
			}
			if why := s.ended(); why != 0 {
				return p.finish(s, why, gone)
			}
			s.expire(h.now())
		}
		s.setLagging(s.waits())
		now := h.now()
		until := s.progress + heartbeat
		if s.expires != 0 {
			until = min(until, s.expires)
		}
		timer := time.NewTimer(time.Duration(max(until-now, 0)) * time.Millisecond)
		select {
		case <-gone:
			timer.Stop()
			return ReasonClient
		case <-s.io.wake:
			timer.Stop()
		case <-timer.C:
		}
		now = h.now()
		s.expire(now)
		if now-asked >= heartbeat/2 {
			asked = now
			if s.io.deaf(h.deafAfter()) {
				return ReasonClient
			}
		}
		if s.ending == 0 && s.special == nil && now-s.progress >= heartbeat {
			s.beat()
		}
	}
}

// fault is the reason of a failed write.
func (s *Subscriber) fault(err error) Reason {
	switch {
	case s.ending == ReasonRevoked:
		return ReasonRevoked
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ReasonStalled
	}
	return ReasonClient
}

// read takes what is in the mailbox.
func (s *Subscriber) read() *block {
	m := s.io.mail
	m.mu.Lock()
	orders, loads := m.orders, m.loads
	m.orders, m.loads = nil, nil
	m.mu.Unlock()
	var hint *block
	for _, a := range loads {
		s.legs[a.leg].loading = false
		if a.load.err != nil {
			s.endOf(a.leg, ReasonStorage, unreadable)
			continue
		}
		hint = a.load.block
	}
	for _, f := range orders {
		f(s)
	}
	return hint
}

// write sends a parcel whole. Between its pieces it heeds what cannot wait.
func (p *portable) write(s *Subscriber, out *parcel) error {
	c, h := s.io.conn, p.hub
	_, secure := c.(*tls.Conn)
	if len(out.frames) > 0 {
		s.setLagging(true) // until it turns out to be at the tail
	}
	bufs := out.bufs
	if len(bufs) > 1 {
		scratch := scratches.Get().(*[]byte)
		defer scratches.Put(scratch)
		bufs = join(bufs, *scratch)
	}
	for _, b := range bufs {
		for len(b) > 0 {
			n := len(b)
			if n > wholeBytes {
				n = min(pieceBytes, n-heldBack) // never a cut between the last two newlines
			}
			if err := c.SetWriteDeadline(time.Now().Add(h.opts.StallTimeout)); err != nil {
				return err
			}
			if !secure {
				err := s.io.awaitRoom()
				if errors.Is(err, os.ErrDeadlineExceeded) && s.io.drains() {
					s.progress = h.now()
					if s.read(); s.urgent && s.ending != 0 {
						return net.ErrClosed
					}
					continue
				}
				if err != nil {
					return err
				}
			}
			m, err := c.Write(b[:n])
			h.metrics.DeliveredBytes.Add(float64(m))
			if m > 0 {
				s.progress = h.now()
			}
			slow := m > 0 && !secure && errors.Is(err, os.ErrDeadlineExceeded)
			if err != nil && !slow {
				return err
			}
			if b = b[m:]; len(b) > 0 {
				if s.read(); s.urgent && s.ending != 0 {
					return net.ErrClosed
				}
			}
		}
	}
	frames := s.advance(out, out.bytes)
	h.metrics.Deliveries.Add(float64(frames))
	now := h.sinceStart()
	for _, f := range out.frames[:frames] {
		if f.at != 0 {
			h.metrics.Lag.Observe(now-time.Duration(f.at), 1)
		}
	}
	return nil
}

// scratches are for what goes together in one write, which a connection of this
// engine takes in one piece only.
var scratches = sync.Pool{New: func() any { b := make([]byte, 0, batchBytes); return &b }}

// join copies what is short into one piece in scratch: several frames, or the
// head of a large one with its beginning.
func join(bufs [][]byte, scratch []byte) [][]byte {
	for i, b := range bufs {
		if len(scratch)+len(b) > cap(scratch) {
			room := max(pieceBytes-len(scratch), 0)
			return append([][]byte{append(scratch, b[:room]...), b[room:]}, bufs[i+1:]...)
		}
		scratch = append(scratch, b...)
	}
	return [][]byte{scratch}
}

// finish waits a little for the peer to close after the end of the body.
func (p *portable) finish(s *Subscriber, why Reason, gone <-chan struct{}) Reason {
	s.leave(why)
	if c, ok := s.io.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	timer := time.NewTimer(lingerTime * time.Millisecond)
	defer timer.Stop()
	select {
	case <-gone:
	case <-timer.C:
	case <-p.over:
	}
	return why
}
