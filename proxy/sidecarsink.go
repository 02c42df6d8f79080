package proxy

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"milepost/cache/store"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// sink is what the followers of the upstream's streams feed.
type sink struct{ *sidecar }

// Position implements upstream.Sink. It waits as long as the job has checkpoints
// that the upstream lacks, or may lack: their follower is not to bring them before
// their ids are known here, and a job that is not there yet is not to be asked for.
func (k sink) Position(job string) (string, uint64, error) {
	if _, err := k.settle(job); err != nil {
		return "", 0, err
	}
	return k.store.CopyTail(job)
}

// settle waits until all that was written to a job has its upstream's id, and
// reports whether it had to.
func (k sink) settle(job string) (waited bool, err error) {
	if k.spool == nil {
		return false, nil
	}
	return k.spool.holds.wait(k.life, job, k.spool.pending)
}

// errNotNext makes a follower look where it is.
var errNotNext = errors.New("the checkpoint is not the next of the copy")

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
	for {
		if _, err := k.settle(job); err != nil {
			return err
		}
		placed, err := k.keep(job, store.Copy{JSON: c.JSON, Located: located, At: time.Now()})
		switch {
		case err != nil:
			return err
		case placed.Waits:
			continue // something was spooled meanwhile
		case placed.Place == 0:
			return errNotNext
		}
		k.hub.Publish("", job, stream.Checkpoint{ID: c.ID, Sequence: placed.Place, JSON: c.JSON})
		return nil
	}
}

// errStillSpooled keeps a copy that has what the upstream lacks.
var errStillSpooled = errors.New("the copy has checkpoints that the upstream does not have")

// Diverged implements upstream.Sink.
func (k sink) Diverged(job string) error {
	if k.spool != nil {
		if deleted, err := k.spool.letters.DeleteCopy(job); err != nil || !deleted {
			return cmp.Or(err, errStillSpooled)
		}
	} else if err := k.store.Delete(job); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	k.cache.Deleted()
	k.hub.Deleted(job)
	return nil
}

// Complete implements upstream.Sink. A job that was written to meanwhile may have
// gone on.
func (k sink) Complete(job, status string) {
	if waited, err := k.settle(job); waited || err != nil {
		k.source.again(job)
		return
	}
	k.hub.Complete("", job, status)
}

// Live implements upstream.Sink.
func (k sink) Live(job string) {
	if k.spool != nil {
		k.spool.deliveries.Recovered()
	}
	k.log.Debug("following the upstream's stream", "job", job)
}

// GiveUp implements upstream.Sink.
func (k sink) GiveUp(job string) {
	k.hub.End(func(_ stream.Owner, _, of string) bool { return of == job }, stream.ReasonUpstream, "The upstream cannot be reached")
}

// Refused implements upstream.Sink.
func (k sink) Refused(job string, c upstream.Credential) {
	if k.spool.pending(job) {
		return // it does not know the job yet
	}
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
