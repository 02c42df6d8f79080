package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// swarmConfig describes many subscribers of one server.
type swarmConfig struct {
	addr string
	// request is what a subscriber of a job sends.
	request func(job int) []byte
	// subscribers are spread evenly over the jobs.
	subscribers, jobs int
	// stalled of the subscribers read the head of their answer and never again,
	// dripping ones read dripBytes every dripEvery.
	stalled, dripping int
	// first is the sequence that each must get first, 0 for any.
	first uint32
	// atOnce bounds the connections that are being made, 0 for no bound.
	atOnce int
	// frame is about how many bytes a frame has, 0 for many sizes.
	frame int
	// trace is what the events are, nil for markers with padding.
	trace *traceEvents
}

const (
	// verifyEvery is the share of subscribers that compare whole bodies.
	verifyEvery = 16
	// discardFrom is the frame size from which the other subscribers let the
	// kernel drop padding unread: copying it would cost more than the call.
	discardFrom = 8 << 10
	// napFrom is the number of a reader's subscribers from which it rests for
	// napTime when few of them have anything to read.
	napFrom = 250
	napTime = 200 * time.Microsecond
	// usualAtOnce stays below what a listener's queue holds everywhere.
	usualAtOnce = 100
	// stallBuffer is the receive buffer of a stalled subscriber in bytes, so
	// that the server feels it soon.
	stallBuffer = 4 << 10
	// dripBytes every dripEvery is 1 KB a second: below any rate of publishing
	// that is measured, so that these subscribers fall ever further behind.
	dripBytes = 100
	dripEvery = 100 * time.Millisecond
	// connectTimeout bounds how long all subscribers may take to connect,
	// progressTimeout how long an event may take to reach all.
	connectTimeout  = 2 * time.Minute
	progressTimeout = 20 * time.Second
)

// errEnded says that a stream has ended although its job goes on.
var errEnded = errors.New("the server ended a stream")

// subscriber is one open stream. It belongs to its reader alone.
type subscriber struct {
	tally
	stream   sseStream
	job      uint32
	fd       int
	stalls   bool
	drips    bool
	reported uint32
	foreign  int64
}

// keepsUp tells whether the subscriber reads what there is.
func (s *subscriber) keepsUp() bool { return !s.stalls && !s.drips }

// gate lets a publisher wait until an event has reached all subscribers of a job.
type gate struct {
	target atomic.Uint32
	left   atomic.Int64
	// done gets a value when the target has reached all.
	done chan struct{}
	// readers are how many subscribers there are that neither stall nor drip.
	readers int64
}

// expect makes the gate wait for the event with that sequence. It is called
// before the event is published.
func (g *gate) expect(sequence uint32) {
	g.left.Store(g.readers)
	g.target.Store(sequence)
}

// arrived takes note of what a subscriber has got.
func (g *gate) arrived(s *subscriber) {
	if t := g.target.Load(); s.next > t && s.reported < t {
		s.reported = t
		if g.left.Add(-1) == 0 {
			g.done <- struct{}{}
		}
	}
}

// swarm is the subscribers of one run: a few threads that each wait for their
// share of the sockets.
type swarm struct {
	swarmConfig
	// origin is when the times of markers begin.
	origin time.Time
	// since is from which time of sending on latencies count, in nanoseconds.
	since   atomic.Int64
	gates   []*gate
	readers []*swarmReader
	stop    atomic.Bool
	threads sync.WaitGroup
	// trouble is closed when a stream has failed.
	trouble   chan struct{}
	troubleOf sync.Once
	firstErr  error
}

// swarmReader owns a share of the subscribers, on a thread of its own.
type swarmReader struct {
	swarm       *swarm
	subscribers []*subscriber
	// The counters are written by the reader alone; counting keeps events and
	// bytes together, so that the one is of what the other is of.
	ready, failed    atomic.Int64
	counting         sync.Mutex
	delivered, bytes int64
	latency          histogram
	err              error
}

// count takes note of how many events and bytes have come.
func (r *swarmReader) count(events, bytes int64) {
	r.counting.Lock()
	defer r.counting.Unlock()
	r.delivered, r.bytes = events, bytes
}

// newSwarm makes the subscribers; start connects them.
func newSwarm(c swarmConfig) (*swarm, error) {
	if err := raiseFileLimit(c.subscribers + 200); err != nil {
		return nil, err
	}
	s := &swarm{swarmConfig: c, origin: time.Now(), trouble: make(chan struct{})}
	s.since.Store(1 << 62)
	for range c.jobs {
		// One value may stay behind when a wait was given up.
		s.gates = append(s.gates, &gate{done: make(chan struct{}, 2)})
	}
	threads := 2
	if c.subscribers < 500 {
		threads = 1
	}
	for range threads {
		s.readers = append(s.readers, &swarmReader{swarm: s})
	}
	for i := range c.subscribers {
		sub := &subscriber{job: uint32(i % c.jobs), fd: -1, stalls: i < c.stalled, drips: i >= c.stalled && i < c.stalled+c.dripping}
		sub.next = c.first
		sub.stream.verify, sub.stream.trace = (i/c.jobs)%verifyEvery == 0, c.trace
		if sub.keepsUp() {
			s.gates[sub.job].readers++
		}
		r := s.readers[i%threads]
		r.subscribers = append(r.subscribers, sub)
	}
	return s, nil
}

// start begins to connect.
func (s *swarm) start() {
	for _, r := range s.readers {
		s.threads.Go(r.run)
	}
}

// now is the time since the origin.
func (s *swarm) now() time.Duration { return time.Since(s.origin) }

// fail takes note of the first failure.
func (s *swarm) fail(err error) {
	s.troubleOf.Do(func() {
		s.firstErr = err
		close(s.trouble)
	})
}

// sum adds up a counter of the readers.
func (s *swarm) sum(of func(*swarmReader) *atomic.Int64) int64 {
	n := int64(0)
	for _, r := range s.readers {
		n += of(r).Load()
	}
	return n
}

// counts returns how many events have come, and in how many bytes.
func (s *swarm) counts() (delivered, bytes int64) {
	for _, r := range s.readers {
		r.counting.Lock()
		delivered, bytes = delivered+r.delivered, bytes+r.bytes
		r.counting.Unlock()
	}
	return delivered, bytes
}

// delivered returns how many events have come.
func (s *swarm) delivered() int64 {
	n, _ := s.counts()
	return n
}

// failed returns how many subscribers have not got a stream, or lost it.
func (s *swarm) failed() int64 {
	return s.sum(func(r *swarmReader) *atomic.Int64 { return &r.failed })
}

// connected waits until each subscriber has the head of its answer.
func (s *swarm) connected(ctx context.Context) error {
	deadline := time.Now().Add(connectTimeout)
	for {
		ready := s.sum(func(r *swarmReader) *atomic.Int64 { return &r.ready })
		if ready == int64(s.subscribers) {
			return nil
		}
		select {
		case <-s.trouble:
			return fmt.Errorf("cannot subscribe: %w (%d of %d are)", s.firstErr, ready, s.subscribers)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d are subscribed after %s", ready, s.subscribers, connectTimeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// await waits until the target of a job's gate has reached its subscribers,
// which may take up to limit.
func (s *swarm) await(ctx context.Context, job int, limit time.Duration) error {
	g := s.gates[job]
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-g.done:
		return nil
	case <-s.trouble:
		return s.firstErr
	case <-t.C:
		return fmt.Errorf("event %d of job %d has not reached %d of %d subscribers after %s",
			g.target.Load(), job, g.left.Load(), g.readers, limit)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// faults are what went wrong in the streams of one run.
type faults struct {
	Lost       int64 `json:"lost,omitempty"`
	Doubled    int64 `json:"doubled,omitempty"`
	Disordered int64 `json:"disordered,omitempty"`
	// Foreign events are another job's.
	Foreign int64 `json:"foreign,omitempty"`
	// Failed streams were refused, cut or not what was published.
	Failed int64 `json:"failed,omitempty"`
}

// sum counts all.
func (f faults) sum() int64 { return f.Lost + f.Doubled + f.Disordered + f.Foreign + f.Failed }

// String names those that are there.
func (f faults) String() string {
	var s []string
	for _, x := range []struct {
		n    int64
		name string
	}{{f.Lost, "lost"}, {f.Doubled, "doubled"}, {f.Disordered, "out of order"}, {f.Foreign, "of another job"}, {f.Failed, "streams failed"}} {
		if x.n > 0 {
			s = append(s, fmt.Sprintf("%d %s", x.n, x.name))
		}
	}
	return strings.Join(s, ", ")
}

// finish closes all streams and adds up what the subscribers have found. last
// gives the last published sequence of each job. If a stream has failed, the
// load ended there, and what the others had not got by then is not lost.
func (s *swarm) finish(last func(job int) uint32) (faults, *histogram, error) {
	s.stop.Store(true)
	s.threads.Wait()
	f := faults{Failed: s.failed()}
	var latency histogram
	err := s.firstErr
	for _, r := range s.readers {
		err = errors.Join(err, r.err)
		latency.merge(&r.latency)
		for _, sub := range r.subscribers {
			if sub.keepsUp() && s.firstErr == nil {
				sub.tally.finish(last(int(sub.job)))
			}
			f.Lost += sub.lost()
			f.Doubled += sub.doubled
			f.Disordered += sub.disordered
			f.Foreign += sub.foreign
		}
	}
	return f, &latency, err
}

// raiseFileLimit makes room for n descriptors, here and in the processes that
// are started from now on.
func raiseFileLimit(n int) error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("cannot read the limit of open files: %w", err)
	}
	if uint64(n) > l.Max {
		return fmt.Errorf("%d open files are needed and the hard limit is %d (ulimit -Hn)", n, l.Max)
	}
	l.Cur = l.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("cannot raise the limit of open files: %w", err)
	}
	return nil
}
