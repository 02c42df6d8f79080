package stream

// topic is the loop's subscribers of one job, and as a task the pass that
// brings them its news. A pass goes through the members from the last to the
// first, so that one that leaves, whose place the last takes, hides nobody.
type topic struct {
	members []member
	next    int  // members before it are still to be visited
	queued  bool // the pass is in the loop's work
	again   bool // there were more news meanwhile
}

type member struct {
	s   *Subscriber
	leg int
}

// task is work for many subscribers that is done in slices.
type task interface {
	// left reports whether there is something left to do.
	left() bool
	// step does a little and returns how many writes that took.
	step(sh *shard) int
}

// slice does the work at hand up to a bound.
func (sh *shard) slice() {
	sends := 0
	for steps := 0; len(sh.work) > 0 && sends < sliceSends && steps < 16*sliceSends; {
		t := sh.work[0]
		for t.left() && sends < sliceSends && steps < 16*sliceSends {
			sends += t.step(sh)
			steps++
		}
		sh.work[0] = nil
		if sh.work = sh.work[1:]; t.left() {
			sh.work = append(sh.work, t)
		}
	}
}

// news begins to bring a job's news to its subscribers.
func (sh *shard) news(b *broadcaster) {
	t := sh.topics[b]
	switch {
	case t == nil:
	case t.queued:
		t.again = true
	default:
		t.next, t.queued = len(t.members), true
		sh.work = append(sh.work, t)
	}
}

func (t *topic) left() bool { return t.queued }

func (t *topic) step(sh *shard) (sends int) {
	t.next = min(t.next, len(t.members))
	if t.next > 0 {
		t.next--
		if s := t.members[t.next].s; !s.io.congested && !s.io.queued {
			sends = sh.pump(s, nil)
		}
	}
	if t.next == 0 {
		if t.queued = t.again; t.again {
			t.next, t.again = len(t.members), false
		}
	}
	return sends
}

// ready are subscribers that can be written to and have something to get.
type ready struct {
	queue  []*Subscriber
	queued bool
}

// enqueue gives a subscriber a turn.
func (sh *shard) enqueue(s *Subscriber) {
	if s.io.queued {
		return
	}
	s.io.queued = true
	r := &sh.ready
	r.queue = append(r.queue, s)
	if !r.queued {
		r.queued = true
		sh.work = append(sh.work, r)
	}
}

func (r *ready) left() bool {
	r.queued = len(r.queue) > 0
	return r.queued
}

func (r *ready) step(sh *shard) int {
	s := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	s.io.queued = false
	return sh.pump(s, nil)
}

// arrival is a block of history and those who wait for it.
type arrival struct {
	load    *load
	waiters []waiter
}

func (a *arrival) left() bool { return len(a.waiters) > 0 }

func (a *arrival) step(sh *shard) int {
	w := a.waiters[0]
	a.waiters = a.waiters[1:]
	w.s.legs[w.leg].loading = false
	if w.s.io.gone {
		return 0
	}
	if a.load.err != nil {
		if w.s.amid(w.leg) {
			// Its rest is lost: no event fits any more, and to ask again would go
			// on for ever.
			sh.close(w.s, ReasonStorage)
			return 0
		}
		w.s.endOf(w.leg, ReasonStorage, unreadable)
	}
	if w.s.io.congested {
		return 0
	}
	return sh.pump(w.s, a.load.block)
}

// control lets somebody else change each subscriber.
type control struct {
	f    func(*Subscriber)
	next int
}

func (c *control) left() bool { return c.next > 0 }

func (c *control) step(sh *shard) int {
	c.next--
	s := sh.slots[c.next]
	if s == nil || s.left {
		return 0
	}
	c.f(s)
	sh.sweeper.hurry(sh, s)
	return sh.heed(s)
}

// heed does what a change of a subscriber asks for.
func (sh *shard) heed(s *Subscriber) int {
	switch {
	case s.ending == 0:
	case s.io.congested && s.urgent:
		sh.close(s, s.ending)
	case !s.io.congested:
		return sh.pump(s, nil)
	}
	return 0
}
