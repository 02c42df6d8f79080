package proxy

import (
	"errors"
	"sync"
	"time"

	"milepost/cache/store"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// sink is what the followers of the upstream's streams feed.
type sink struct{ *sidecar }

// Position implements upstream.Sink.
func (k sink) Position(job string) (string, uint64, error) { return k.store.CopyTail(job) }

// Sequence implements upstream.Sink.
func (k sink) Sequence(job, id string) (uint64, error) {
	n, err := k.store.Sequence(job, id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	return n, err
}

// Put implements upstream.Sink.
func (k sink) Put(job string, c upstream.Checkpoint) error {
	located := c.Located
	located.Sequence = c.Sequence
	if err := k.keep(job, store.Copy{JSON: c.JSON, Located: located, At: time.Now()}); err != nil {
		return err
	}
	k.hub.Publish("", job, stream.Checkpoint{ID: c.ID, Sequence: c.Sequence, JSON: c.JSON})
	return nil
}

// Diverged implements upstream.Sink.
func (k sink) Diverged(job string) error {
	if err := k.store.Delete(job); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	k.cache.Deleted()
	k.hub.Deleted(job)
	return nil
}

// Complete implements upstream.Sink.
func (k sink) Complete(job, status string) { k.hub.Complete("", job, status) }

// Live implements upstream.Sink.
func (k sink) Live(job string) { k.log.Debug("following the upstream's stream", "job", job) }

// GiveUp implements upstream.Sink.
func (k sink) GiveUp(job string) {
	k.hub.End(func(_ stream.Owner, _, of string) bool { return of == job }, stream.ReasonUpstream, "The upstream cannot be reached")
}

// Refused implements upstream.Sink.
func (k sink) Refused(job string, c upstream.Credential) {
	if err := k.verdicts.Deny(c, job); err != nil {
		k.log.Error("a refusal of the upstream could not be kept", "job", job, "error", err)
	}
	k.watches.refuse(c, job)
}

// Credential implements upstream.Sink.
func (k sink) Credential(job string) (string, bool) {
	if !k.forward {
		return k.authorization, true
	}
	return k.watches.credential(job)
}

// Source tells the followers of the upstream's streams which jobs are watched.
// It is for the hub and the server; the zero Source is ready to use.
type Source struct {
	mu        sync.Mutex
	count     map[string]int
	followers *upstream.Followers
	down      func() bool
}

// follow puts the Source to work.
func (s *Source) follow(f *upstream.Followers, down func() bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers, s.down, s.count = f, down, make(map[string]int)
}

// Want implements stream.Source.
func (s *Source) Want(_, job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change(job, 1) == 1 {
		s.followers.Want(job)
	}
}

// Leave implements stream.Source.
func (s *Source) Leave(_, job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.change(job, -1) == 0 {
		s.followers.Leave(job)
	}
}

func (s *Source) change(job string, by int) int {
	n := s.count[job] + by
	if n == 0 {
		delete(s.count, job)
	} else {
		s.count[job] = n
	}
	return n
}

// again says that a job which is watched has one more subscriber: the follower
// of a job that was over looks once more.
func (s *Source) again(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count[job] > 0 {
		s.followers.Want(job)
	}
}

// History is the local copy for the hub: where a job ends is the upstream's to
// say, unless it cannot be reached.
func (s *Source) History(of stream.History) stream.History { return copied{of, s} }

type copied struct {
	stream.History
	source *Source
}

// Tail implements stream.History.
func (h copied) Tail(organization, job string) (stream.Tail, error) {
	t, err := h.History.Tail(organization, job)
	h.source.mu.Lock()
	down := h.source.down
	h.source.mu.Unlock()
	if down == nil || !down() {
		t.Ended = ""
	}
	return t, err
}
