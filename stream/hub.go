// Package stream is the fan-out: it takes each checkpoint of a job once and
// gives it to every subscriber of the job, in order, without gap or double.
//
// A subscriber is a position in the job's log, not a queue. Near the tail it is
// served from frames that all subscribers share; behind, it reads the local
// copy at its own pace and rejoins by itself. It cannot hold up the writer or
// anyone else, takes memory that does not depend on how far behind it is, and
// loses nothing.
//
// Who may subscribe is decided before Admit; where history is kept is behind
// the interface History.
//
// Locks, in the order in which they may be taken: Hub.mu, broadcaster.mu,
// history.mu, and the inbox of an engine. None is held over a read of the
// history or a write to a socket.
package stream

import (
	"sync"
	"sync/atomic"
	"time"

	"milepost/metrics"
)

// jobKey names a job within its organization: streams that wait for a job which
// does not exist yet never learn of another organization's.
type jobKey struct{ organization, job string }

// placeKey is where subscribers of a job stand: at a gate of it, or past all gates.
type placeKey struct {
	jobKey
	gate string
}

// Owner is who subscribes: a hash of the key and of whose it is.
type Owner [32]byte

// ownership counts the subscribers of one owner.
type ownership struct {
	key         Owner
	subscribers int // guarded by Hub.mu
}

// Hub holds the broadcasters and the engines that write to subscribers.
type Hub struct {
	opts    Options
	metrics *metrics.Stream
	start   time.Time
	history *history
	engines []engine // the event loops, then the portable engine

	limits atomic.Pointer[Limits]
	jobs   atomic.Int64 // len(broadcasters)
	behind atomic.Int64

	// What those have to know who are admitted and not attached yet: which
	// owners are kept, and when a drain ends.
	kept    atomic.Pointer[func(Owner) bool]
	drained atomic.Int64

	mu           sync.RWMutex
	broadcasters map[placeKey]*broadcaster
	gates        gated // the open ones
	owners       map[Owner]*ownership
	subscribers  int
	draining     bool
	over         bool          // nobody is admitted any more
	empty        chan struct{} // closed when it is over
}

// engine writes to the subscribers that were attached to it.
type engine interface {
	// attach takes a connection over; the engine closes it.
	attach(s *Subscriber) error
	// notify says that a job has new frames or has come to its end.
	notify(b *broadcaster)
	// loaded brings what subscribers asked history for.
	loaded(l *load, waiters []waiter)
	// each lets f change every subscriber, in turn with its writer.
	each(f func(*Subscriber))
	// load is the number of subscribers.
	size() int
	// stop closes what is left and waits for the engine's goroutines.
	stop()
}

// New returns a running hub; Close ends it.
func New(o Options) (*Hub, error) {
	o.setDefaults()
	h := &Hub{
		// A little earlier, since the time 0 stands for none.
		opts: o, metrics: o.Metrics, start: time.Now().Add(-time.Millisecond),
		broadcasters: make(map[placeKey]*broadcaster), gates: make(gated), owners: make(map[Owner]*ownership),
		empty: make(chan struct{}),
	}
	h.SetLimits(o.Limits)
	if !o.Portable {
		loops, err := newShards(h, o.Shards)
		if err != nil {
			return nil, err
		}
		h.engines = loops
	}
	h.engines = append(h.engines, newPortable(h, uint32(1)<<len(h.engines)))
	h.history = newHistory(h)
	return h, nil
}

// SetLimits puts limits in force for those who come.
func (h *Hub) SetLimits(l Limits) { h.limits.Store(&l) }

// now is the time since the start in milliseconds.
func (h *Hub) now() int64 { return int64(h.sinceStart() / time.Millisecond) }

func (h *Hub) sinceStart() time.Duration { return time.Since(h.start) }

// Publish gives a checkpoint that readers may see to the subscribers of its
// job. Each checkpoint must be published once, after Tail tells of it; the order
// within a job does not matter, since each waits for those before it.
func (h *Hub) Publish(organization, job string, c Checkpoint) {
	if h.jobs.Load() == 0 {
		return
	}
	for _, b := range h.of(organization, job) {
		b.publish(&c)
	}
}

// of returns the broadcasters of a job: that of those who were let have it at
// once, and of each gate that was opened.
func (h *Hub) of(organization, job string) []*broadcaster {
	key := jobKey{organization, job}
	h.mu.RLock()
	defer h.mu.RUnlock()
	b := h.broadcasters[placeKey{jobKey: key}]
	switch gates := h.gates[key]; {
	case len(gates) > 0 && b != nil:
		return append(gates[:len(gates):len(gates)], b)
	case len(gates) > 0:
		return gates
	case b != nil:
		return b.alone[:]
	}
	return nil
}

// Complete says that a job has ended with the last checkpoint that was
// published, where that cannot be told from the checkpoint itself.
func (h *Hub) Complete(organization, job, status string) {
	for _, b := range h.of(organization, job) {
		if b.complete(status) {
			b.notify()
		}
	}
}

// Subscribers returns the number of those that were admitted and have not left.
func (h *Hub) Subscribers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.subscribers
}

// Watched reports whether a job has subscribers, those at a gate that is not open
// left aside.
func (h *Hub) Watched(organization, job string) bool { return len(h.of(organization, job)) > 0 }
