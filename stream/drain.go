package stream

import (
	"context"
	"math/rand/v2"
	"time"
)

// End ends the streams of the jobs and owners that match. What happens to a job is
// nothing to those who stand at a gate.
func (h *Hub) End(match func(o Owner, organization, job string) bool, why Reason, message string) {
	h.each(func(s *Subscriber) {
		for i := range s.legs {
			if b := s.legs[i].b; !b.shut() && match(s.owner.key, b.key.organization, b.key.job) {
				s.endOf(i, why, message)
				return
			}
		}
	})
}

// Deleted ends the streams of a job that is gone from the store. Those that
// wait for a job of that id which does not exist go on: they must not learn of
// another organization's.
func (h *Hub) Deleted(job string) {
	gone := make(map[*broadcaster]bool)
	h.mu.Lock()
	for key, b := range h.broadcasters {
		if key.job == job && b.forget() {
			// A job that begins anew under the same id is another log.
			h.drop(b)
			b.deleted.Store(true)
			h.history.forget(b)
			gone[b] = true
		}
	}
	h.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	h.each(func(s *Subscriber) {
		for i := range s.legs {
			if gone[s.legs[i].b] {
				s.endOf(i, ReasonStorage, jobDeleted)
			}
		}
	})
}

// Revoke ends the streams of owners that are not kept.
func (h *Hub) Revoke(kept func(Owner) bool) {
	h.kept.Store(&kept)
	h.each(func(s *Subscriber) {
		if !kept(s.owner.key) {
			s.end(ReasonRevoked, keyRemoved)
			s.urgent = true
		}
	})
}

func (h *Hub) each(f func(*Subscriber)) {
	for _, e := range h.engines {
		e.each(f)
	}
}

// Drain ends the subscribers at random moments within the spread and waits until
// all have ended or the context has. Those that come meanwhile are told the
// same: a browser's EventSource gives up for good when it is refused, but comes
// back when its stream ends.
func (h *Hub) Drain(ctx context.Context, spread time.Duration) {
	h.mu.Lock()
	h.draining = true
	if h.subscribers == 0 {
		h.finish()
	}
	h.mu.Unlock()
	now := h.now()
	h.drained.Store(now + spread.Milliseconds())
	h.each(func(s *Subscriber) {
		at := now
		if spread > 0 {
			at += rand.Int64N(int64(spread/time.Millisecond) + 1)
		}
		s.expires, s.expiry = at, ReasonDrain
	})
	select {
	case <-h.empty:
	case <-ctx.Done():
	}
}

// Close ends what is left at once. Nothing uses History after it.
func (h *Hub) Close() {
	h.mu.Lock()
	h.draining = true
	h.finish()
	h.mu.Unlock()
	for _, e := range h.engines {
		e.stop()
	}
	h.history.stop()
}
