package stream

import (
	"errors"
)

// Errors of Admit.
var (
	// ErrDraining says that the program is about to end.
	ErrDraining = errors.New("the server is shutting down")
	// ErrTooMany, ErrTooManyOfKey and ErrTooManyOfJob say which limit is
	// reached.
	ErrTooMany      = errors.New("too many subscribers")
	ErrTooManyOfKey = errors.New("too many subscribers of one key")
	ErrTooManyOfJob = errors.New("too many subscribers of one job")
	// ErrCompleted says that there is nothing to come: the subscriber has the end
	// of every job, and they still end there.
	ErrCompleted = errors.New("all jobs have ended")
)

// Admit takes a subscriber in within the limits. It must be attached to a
// connection or canceled.
func (h *Hub) Admit(o Subscription) (*Subscriber, error) {
	s := &Subscriber{
		hub: h, composite: o.Composite, plain: o.Plain, onClose: o.OnClose, onLeave: o.OnLeave,
	}
	if allSure(o.Jobs) {
		return nil, ErrCompleted
	}
	if err := h.enter(s, o.Owner, o.Jobs); err != nil {
		return nil, err
	}
	if h.opts.Source != nil {
		for i := range s.legs {
			if l := &s.legs[i]; l.wants {
				h.opts.Source.Want(l.b.key.organization, l.b.key.job)
			}
		}
	}
	for i := range s.legs {
		err := s.legs[i].b.open()
		if err == nil {
			err = s.legs[i].place()
		}
		if err != nil {
			s.Cancel()
			return nil, err
		}
	}
	if s.allDone() {
		s.Cancel()
		return nil, ErrCompleted
	}
	s.special = s.opening(o.Head)
	return s, nil
}

// allSure reports whether it is known before any look at the logs that nothing
// comes.
func allSure(jobs []Position) bool {
	for _, p := range jobs {
		if !p.Sure || !p.Completed {
			return false
		}
	}
	return true
}

// enter counts a subscriber and joins its jobs.
func (h *Hub) enter(s *Subscriber, owner Owner, jobs []Position) error {
	l := h.limits.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	reject := func(limit string, err error) error {
		h.metrics.Rejected(limit)
		return err
	}
	switch {
	case h.over:
		return ErrDraining
	case l.Subscribers > 0 && h.subscribers >= l.Subscribers:
		return reject("max_subscribers", ErrTooMany)
	case l.PerKey > 0 && h.owners[owner] != nil && h.owners[owner].subscribers >= l.PerKey:
		return reject("max_subscribers_per_key", ErrTooManyOfKey)
	}
	for _, p := range jobs {
		b := h.broadcasters[p.key()]
		if b != nil && l.PerJob > 0 && b.subscribers >= l.PerJob {
			return reject("max_subscribers_per_job", ErrTooManyOfJob)
		}
	}
	s.legs = s.one[:0]
	for _, p := range jobs {
		key := p.key()
		b := h.broadcasters[key]
		if b == nil {
			b = newBroadcaster(h, key)
			h.broadcasters[key] = b
			h.jobs.Add(1)
		}
		b.subscribers++
		l := leg{b: b, next: p.After + 1, done: p.Completed, sure: p.Sure, wants: !b.shut()}
		if p.Gate != "" {
			l.next, l.done, l.sure = 1, false, true
		}
		s.legs = append(s.legs, l)
	}
	h.subscribers++
	if s.owner = h.owners[owner]; s.owner == nil {
		s.owner = &ownership{key: owner}
		h.owners[owner] = s.owner
	}
	s.owner.subscribers++
	h.metrics.Subscribers.Set(float64(h.subscribers))
	h.metrics.Jobs.Set(float64(len(h.broadcasters)))
	return nil
}

// leave undoes enter.
func (h *Hub) leave(s *Subscriber) {
	h.exit(s)
	if h.opts.Source != nil {
		for i := range s.legs {
			if l := &s.legs[i]; l.wants {
				h.opts.Source.Leave(l.b.key.organization, l.b.key.job)
			}
		}
	}
}

func (h *Hub) exit(s *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range s.legs {
		l := &s.legs[i]
		l.wants = !l.b.shut() // as it was opened, so it is left
		b := l.b
		if b.subscribers--; b.subscribers > 0 {
			continue
		}
		h.drop(b)
		h.history.forget(b)
	}
	h.subscribers--
	if s.owner.subscribers--; s.owner.subscribers == 0 {
		delete(h.owners, s.owner.key)
	}
	h.metrics.Subscribers.Set(float64(h.subscribers))
	h.metrics.Jobs.Set(float64(len(h.broadcasters)))
	if h.draining && h.subscribers == 0 {
		h.finish()
	}
}

// drop lets nobody join a broadcaster any more, if that is not so already. mu is
// held.
func (h *Hub) drop(b *broadcaster) {
	if key := (placeKey{b.key, b.gate}); h.broadcasters[key] == b {
		delete(h.broadcasters, key)
		h.jobs.Add(-1)
		h.dropGate(b)
	}
}

// finish admits nobody any more. mu is held.
func (h *Hub) finish() {
	if !h.over {
		h.over = true
		close(h.empty)
	}
}

// pick chooses the engine of a subscriber that an event loop can serve. The few
// of a job share one, so that an event wakes one; the many are spread.
func (h *Hub) pick(s *Subscriber) engine {
	loops := h.engines[:len(h.engines)-1]
	b := s.legs[0].b
	h.mu.RLock()
	n := b.subscribers
	h.mu.RUnlock()
	if n <= spreadFrom {
		return loops[b.home%uint32(len(loops))]
	}
	best := loops[0]
	for _, e := range loops[1:] {
		if e.size() < best.size() {
			best = e
		}
	}
	return best
}

// spreadFrom is the number of subscribers of a job from which its subscribers
// are worth the second wake-up of another loop.
const spreadFrom = 64
