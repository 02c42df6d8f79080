package stream

// A gate holds those back who may not know yet whether there is a job: they get
// nothing of it but heartbeats until their gate is opened, and then its log from
// the first checkpoint on. Whoever stands at a gate shares a broadcaster of their
// own, so that neither what happens to the job nor how many watch it shows.

// gated are the open gates of a job. The list never changes; it is replaced.
type gated map[jobKey][]*broadcaster

// shut reports whether the broadcaster's subscribers may not have anything yet.
func (b *broadcaster) shut() bool { return b.gate != "" && !b.opened.Load() }

// OpenGate lets those who stand at a gate of a job have it, and those who still
// come to that gate. It does nothing if nobody does.
func (h *Hub) OpenGate(organization, job, gate string) {
	key := placeKey{jobKey{organization, job}, gate}
	h.mu.Lock()
	b := h.broadcasters[key]
	if b == nil || b.opened.Load() {
		h.mu.Unlock()
		return
	}
	b.opened.Store(true)
	h.addGate(b)
	subscribers := b.subscribers
	h.mu.Unlock()
	if h.opts.Source != nil {
		for range subscribers {
			h.opts.Source.Want(organization, job)
		}
	}
	// What was published before is part of the tail, what comes from here on is
	// published at the gate, too.
	tail, err := h.opts.History.Tail(organization, job)
	if err != nil {
		h.opts.Logger.Error("streams end because history cannot be read", "job", job, "error", err)
		h.endAt(b, ReasonStorage, unreadable)
		return
	}
	if b.reach(&tail) {
		b.notify()
	}
}

// EndGate ends the streams of those who stand at a gate.
func (h *Hub) EndGate(organization, job, gate string, why Reason, message string) {
	h.mu.RLock()
	b := h.broadcasters[placeKey{jobKey{organization, job}, gate}]
	h.mu.RUnlock()
	if b != nil {
		h.endAt(b, why, message)
	}
}

// gateEnd is why the streams at a gate end, those too that still come to it.
type gateEnd struct {
	why     Reason
	message string
}

func (h *Hub) endAt(b *broadcaster, why Reason, message string) {
	b.over.Store(&gateEnd{why, message})
	h.each(func(s *Subscriber) {
		for i := range s.legs {
			if s.legs[i].b == b {
				s.endOf(i, why, message)
				return
			}
		}
	})
}

// addGate puts an open gate among those of its job. mu is held.
func (h *Hub) addGate(b *broadcaster) {
	list := h.gates[b.key]
	h.gates[b.key] = append(list[:len(list):len(list)], b)
}

// dropGate takes a gate out again. mu is held.
func (h *Hub) dropGate(b *broadcaster) {
	if b.gate == "" {
		return
	}
	var rest []*broadcaster
	for _, other := range h.gates[b.key] {
		if other != b {
			rest = append(rest, other)
		}
	}
	if rest == nil {
		delete(h.gates, b.key)
	} else {
		h.gates[b.key] = rest
	}
}

// wait is open at a gate: there is nothing yet, and nothing is looked at.
func (b *broadcaster) wait() error {
	b.mu.Lock()
	b.view.Store(new(view))
	b.extend()
	b.mu.Unlock()
	if b.shut() {
		return nil
	}
	// It was opened meanwhile, perhaps when there was no view yet to move.
	tail, err := b.hub.opts.History.Tail(b.key.organization, b.key.job)
	if err == nil {
		b.reach(&tail)
	}
	return err
}

// reach moves the end of the log to a tail that history has, and reports whether
// that is news.
func (b *broadcaster) reach(t *Tail) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.view.Load()
	if v == nil || t.Sequence <= v.tail {
		return false // without a view, whoever makes it finds the tail
	}
	b.view.Store(&view{tail: t.Sequence, id: t.ID, ended: t.Ended})
	for sequence := range b.pending {
		if sequence <= t.Sequence {
			delete(b.pending, sequence)
		}
	}
	b.extend()
	return true
}
