package proxy

import (
	"context"
	"sync"
)

// holds keeps what the upstream says of a job by its stream or its lists apart from
// writes to the job whose fate is not known: what it says may be of such a write,
// which then has an id of ours that was shown already.
type holds struct {
	mu      sync.Mutex
	writes  map[string]map[chan struct{}]struct{} // under way, each closed at its end
	drained map[string]chan struct{}              // closed when the job has nothing pending
}

// begin says that a write to a job is under way; what it returns ends that.
func (h *holds) begin(job string) (end func()) {
	done := make(chan struct{})
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writes == nil {
		h.writes = make(map[string]map[chan struct{}]struct{})
	}
	if h.writes[job] == nil {
		h.writes[job] = make(map[chan struct{}]struct{})
	}
	h.writes[job][done] = struct{}{}
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		close(done)
		if delete(h.writes[job], done); len(h.writes[job]) == 0 {
			delete(h.writes, job)
		}
	}
}

// writing reports whether a write to a job is under way.
func (h *holds) writing(job string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.writes[job]) > 0
}

// release says that a job has nothing pending any more.
func (h *holds) release(job string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if done := h.drained[job]; done != nil {
		close(done)
		delete(h.drained, job)
	}
}

// wait waits for the writes to a job that are under way now, and then until it has
// nothing pending. It reports whether there was anything to wait for. Writes that
// begin later cannot be what the upstream has told of before.
func (h *holds) wait(ctx context.Context, job string, pending func(job string) bool) (waited bool, err error) {
	h.mu.Lock()
	var writes []chan struct{}
	for done := range h.writes[job] {
		writes = append(writes, done)
	}
	h.mu.Unlock()
	for _, done := range writes {
		select {
		case <-done:
			waited = true
		case <-ctx.Done():
			return waited, ctx.Err()
		}
	}
	for {
		done := h.next(job, pending)
		if done == nil {
			return waited, nil
		}
		waited = true
		select {
		case <-done:
		case <-ctx.Done():
			return waited, ctx.Err()
		}
	}
}

// next returns what the next release of a job closes, nil if it has nothing
// pending. It looks under the lock, so that what it returns is released for
// certain, and nothing is kept of a job that nobody has to release.
func (h *holds) next(job string, pending func(job string) bool) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !pending(job) {
		return nil
	}
	if h.drained == nil {
		h.drained = make(map[string]chan struct{})
	}
	if h.drained[job] == nil {
		h.drained[job] = make(chan struct{})
	}
	return h.drained[job]
}
