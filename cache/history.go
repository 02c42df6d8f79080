package cache

import (
	"errors"

	"milepost/cache/store"
	"milepost/stream"
)

// History is the local copy as the stream reads it.
type History struct{ store *store.Store }

// NewHistory returns the history that a store holds.
func NewHistory(s *store.Store) History { return History{s} }

// Tail implements stream.History.
func (h History) Tail(organization, job string) (stream.Tail, error) {
	t, err := h.store.Tail(job)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.Organization != organization {
		return stream.Tail{}, nil
	}
	if err != nil {
		return stream.Tail{}, err
	}
	tail := stream.Tail{Sequence: t.Sequence, ID: t.ID}
	if t.Status.Ended() {
		tail.Ended = string(t.Status)
	}
	return tail, nil
}

// Read implements stream.History.
func (h History) Read(job string, from uint64, visit func(stream.Checkpoint) bool) error {
	return h.store.ReadFrom(job, from, func(c store.Checkpoint) bool {
		return visit(stream.Checkpoint{ID: c.ID, Sequence: c.Sequence, JSON: c.JSON})
	})
}
