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
		for _, p := range o.Jobs {
			h.opts.Source.Want(p.Organization, p.Job)
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
		b := h.broadcasters[jobKey{p.Organization, p.Job}]
		if b != nil && l.PerJob > 0 && b.subscribers >= l.PerJob {
			return reject("max_subscribers_per_job", ErrTooManyOfJob)
		}
	}
	s.legs = s.one[:0]
	for _, p := range jobs {
		key := jobKey{p.Organization, p.Job}
		b := h.broadcasters[key]
		if b == nil {
			b = newBroadcaster(h, key)
			h.broadcasters[key] = b
			h.jobs.Add(1)
		}
		b.subscribers++
		s.legs = append(s.legs, leg{b: b, next: p.After + 1, done: p.Completed, sure: p.Sure})
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
			key := s.legs[i].b.key
			h.opts.Source.Leave(key.organization, key.job)
		}
	}
}

func (h *Hub) exit(s *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range s.legs {
		b := s.legs[i].b
		if b.subscribers--; b.subscribers > 0 {
			continue
		}
		if h.broadcasters[b.key] == b {
			delete(h.broadcasters, b.key)
			h.jobs.Add(-1)
		}
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
