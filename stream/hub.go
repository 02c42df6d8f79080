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
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"milepost/metrics"
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

// Checkpoint is one entry of a job's log.
type Checkpoint struct {
	ID       string
	Sequence uint64 // 1, 2, 3 … within the job
	JSON     []byte // one line; it is not kept
	// Ended is the status of the job if this checkpoint ended it, else empty.
	Ended string
}

// Tail is the end of a job's log as readers may see it.
type Tail struct {
	Sequence uint64 // 0: nothing yet
	ID       string // of the last checkpoint
	Ended    string // as in Checkpoint
}

// History is the local copy of the jobs' logs. Its methods may block.
type History interface {
	// Tail returns the end of a job's log, the zero Tail if the organization has
	// no such job.
	Tail(organization, job string) (Tail, error)
	// Read calls visit for the checkpoints of a job from a sequence on, in order,
	// until it returns false or there are no more. JSON is valid only during the
	// call.
	Read(job string, from uint64, visit func(Checkpoint) bool) error
}

// Source is told of each subscriber which job it wants and leaves, where
// checkpoints must be fetched first. The calls for one job may come in any order:
// it has subscribers while it was wanted more often than left.
type Source interface {
	Want(organization, job string)
	Leave(organization, job string)
}

// Limits bound the subscribers; 0 is no bound.
type Limits struct {
	Subscribers int // in all
	PerKey      int
	PerJob      int
}

// Options configure a Hub. History and Metrics are required.
type Options struct {
	History History
	Metrics *metrics.Stream
	Logger  *slog.Logger
	// Source, if set, is told which jobs are wanted.
	Source Source

	// Heartbeat is how long a stream may be quiet before a comment is sent.
	Heartbeat time.Duration
	// StallTimeout is how long a subscriber may take no byte at all while there
	// are some for it.
	StallTimeout time.Duration
	// MaxLifetime ends a stream at a random 80 to 100 % of it; 0 never does.
	MaxLifetime time.Duration
	// Buffer bounds the recent frames of all jobs with subscribers in bytes, and
	// separately the frames read from history. Each job keeps its last frame
	// whatever the bound.
	Buffer int64
	// SendBuffer is the send buffer of a subscriber's socket in bytes; the kernel
	// doubles it for its own bookkeeping.
	SendBuffer int
	// Shards is the number of event loops (default: one a usable core).
	Shards int
	// Portable serves every connection by a goroutine of its own, as where there
	// are no event loops.
	Portable bool

	Limits Limits
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 15 * time.Second
	}
	if o.StallTimeout == 0 {
		o.StallTimeout = 30 * time.Second
	}
	if o.Buffer == 0 {
		o.Buffer = 64 << 20
	}
	if o.SendBuffer == 0 {
		o.SendBuffer = 64 << 10
	}
	if o.Shards == 0 {
		o.Shards = min(runtime.GOMAXPROCS(0), maxShards)
	}
}

// maxShards leaves a bit of broadcaster.engines for the portable engine.
const maxShards = 31

// jobKey names a job within its organization: streams that wait for a job which
// does not exist yet never learn of another organization's.
type jobKey struct{ organization, job string }

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
	broadcasters map[jobKey]*broadcaster
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
		broadcasters: make(map[jobKey]*broadcaster), owners: make(map[Owner]*ownership),
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
	h.mu.RLock()
	b := h.broadcasters[jobKey{organization, job}]
	h.mu.RUnlock()
	if b != nil {
		b.publish(&c)
	}
}

// Complete says that a job has ended with the last checkpoint that was
// published, where that cannot be told from the checkpoint itself.
func (h *Hub) Complete(organization, job, status string) {
	h.mu.RLock()
	b := h.broadcasters[jobKey{organization, job}]
	h.mu.RUnlock()
	if b != nil && b.complete(status) {
		b.notify()
	}
}

// End ends the streams of the jobs and owners that match.
func (h *Hub) End(match func(o Owner, organization, job string) bool, why Reason, message string) {
	h.each(func(s *Subscriber) {
		for i := range s.legs {
			if key := s.legs[i].b.key; match(s.owner.key, key.organization, key.job) {
				s.endOf(i, why, message)
				return
			}
		}
	})
}

// Subscribers returns the number of those that were admitted and have not left.
func (h *Hub) Subscribers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.subscribers
}

// Watched reports whether a job has subscribers.
func (h *Hub) Watched(organization, job string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.broadcasters[jobKey{organization, job}] != nil
}

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

// Deleted ends the streams of a job that is gone from the store. Those that
// wait for a job of that id which does not exist go on: they must not learn of
// another organization's.
func (h *Hub) Deleted(job string) {
	gone := make(map[*broadcaster]bool)
	h.mu.Lock()
	for key, b := range h.broadcasters {
		if key.job == job && b.forget() {
			// A job that begins anew under the same id is another log.
			delete(h.broadcasters, key)
			h.jobs.Add(-1)
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

// What the error events say.
const (
	jobDeleted = "The job was deleted"
	keyRemoved = "The key was removed"
	unreadable = "The checkpoints cannot be read"
)

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
