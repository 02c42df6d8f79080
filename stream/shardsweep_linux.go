package stream

import "time"

// sweeper is the task that looks at every subscriber from time to time.
type sweeper struct {
	next    int
	queued  bool
	hurried bool
	due     int64
	round   int32 // counts the sweeps modulo deafEvery
}

// deafEvery is in how many sweeps each socket is asked once whether its peer
// still answers: each time would cost more than all the rest of a sweep.
const deafEvery = 3

// interval is the time between two sweeps in milliseconds: fine enough for the
// times that it watches, and rare enough to cost nothing.
func (w *sweeper) interval(h *Hub) int64 {
	if w.hurried {
		return 20
	}
	shortest := int64(min(h.opts.Heartbeat, h.opts.StallTimeout) / time.Millisecond)
	return min(max(shortest/10, 10), 1000)
}

func (w *sweeper) plan(sh *shard) {
	every := w.interval(sh.hub)
	w.due = sh.now + every
	sh.timer.Reset(time.Duration(every) * time.Millisecond)
}

// hurry makes sweeps frequent when a stream is to end soon.
func (w *sweeper) hurry(sh *shard, s *Subscriber) {
	if !w.hurried && s.expires != 0 && s.expiry == ReasonDrain {
		w.hurried = true
		w.plan(sh)
	}
}

// sweep begins a sweep when it is time.
func (sh *shard) sweep() {
	w := &sh.sweeper
	if w.queued || w.due == 0 || sh.now < w.due {
		return
	}
	w.next, w.queued = len(sh.slots), true
	w.round = (w.round + 1) % deafEvery
	sh.work = append(sh.work, w)
}

func (w *sweeper) left() bool { return w.queued }

func (w *sweeper) step(sh *shard) (sends int) {
	if w.next = min(w.next, len(sh.slots)); w.next > 0 {
		w.next--
		if s := sh.slots[w.next]; s != nil {
			sends = sh.look(s)
		}
	}
	if w.next == 0 {
		w.queued = false
		if w.due = 0; sh.count.Load() > 0 {
			w.plan(sh)
		}
	}
	return sends
}

// look checks the times of a subscriber.
func (sh *shard) look(s *Subscriber) int {
	c, o := &s.io, &sh.hub.opts
	heartbeat, quiet := o.Heartbeat.Milliseconds(), sh.now-s.progress
	if c.closing {
		if quiet >= 0 {
			sh.close(s, ReasonClient)
		}
		return 0
	}
	// One that takes nothing cannot be told of its end either.
	if s.expire(sh.now); s.ending != 0 && (!c.congested || s.urgent) {
		return sh.heed(s)
	}
	if c.congested && c.drains() {
		s.progress, quiet = sh.now, 0
	}
	if !c.congested && (sh.sweeper.round+c.slot)%deafEvery == 0 && c.deaf(sh.hub.deafAfter()) {
		// A peer that is written to all the time is never quiet.
		sh.close(s, ReasonClient)
		return 0
	}
	switch {
	case quiet < heartbeat && quiet < o.StallTimeout.Milliseconds():
	case c.congested && quiet >= o.StallTimeout.Milliseconds():
		sh.close(s, ReasonStalled)
	case c.congested:
		if c.deaf(2 * o.Heartbeat) {
			sh.close(s, ReasonClient)
		}
	case quiet < heartbeat || c.queued || s.special != nil:
	case c.deaf(max(o.Heartbeat, time.Second)):
		// The last write was a heartbeat ago.
		sh.close(s, ReasonClient)
	case s.off == 0:
		s.beat()
		return sh.pump(s, nil)
	}
	return 0
}
