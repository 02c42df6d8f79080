package stream

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	// maxFrames bounds the recent frames of a job, and minShare and maxShare
	// their bytes: below, every jitter would send subscribers to history; above,
	// history does as well.
	maxFrames = 1024
	minShare  = 64 << 10
	maxShare  = 4 << 20
)

// broadcaster is the shared end of one job's log. It exists as long as the job
// has subscribers.
type broadcaster struct {
	hub  *Hub
	key  jobKey
	gate string // that its subscribers stand at
	home uint32 // chooses the event loop of the first subscribers

	subscribers int // guarded by Hub.mu

	alone  [1]*broadcaster // itself, as a list
	opened atomic.Bool     // the gate
	over   atomic.Pointer[gateEnd]

	opening sync.Once
	err     error // of opening

	// mu orders publishers. pending holds frames that came before one that they
	// follow; with view nil, all of them.
	mu      sync.Mutex
	pending map[uint64]*frame
	misread bool // the job was deleted while the tail was being read

	view    atomic.Pointer[view]
	deleted atomic.Bool

	// engines has a bit for each engine with subscribers of the job, notified
	// for each that was told of news and has not looked yet.
	engines, notified atomic.Uint32

	// guarded by history.mu
	blocks []*block
	loads  map[uint64]*load
	gone   bool // nobody subscribes any more, or it was deleted
}

// view is the end of the log at one moment. It never changes.
type view struct {
	tail   uint64
	id     string   // of the checkpoint at the tail
	ended  string   // status of the job if that checkpoint ended it
	frames []*frame // the last ones up to the tail
	bytes  int64    // their cost
}

var homeSeed = maphash.MakeSeed()

func newBroadcaster(h *Hub, key placeKey) *broadcaster {
	b := &broadcaster{
		hub: h, key: key.jobKey, gate: key.gate, home: uint32(maphash.String(homeSeed, key.job)),
		pending: make(map[uint64]*frame),
	}
	b.alone[0] = b
	return b
}

// open finds the tail. What is published meanwhile is kept: it is either part
// of the tail or follows it, because a checkpoint can be seen before it is
// published.
func (b *broadcaster) open() error {
	b.opening.Do(func() {
		if b.shut() {
			b.err = b.wait()
			return
		}
		tail, err := b.hub.opts.History.Tail(b.key.organization, b.key.job)
		b.mu.Lock()
		defer b.mu.Unlock()
		for err == nil && b.misread {
			b.misread = false
			b.mu.Unlock()
			tail, err = b.hub.opts.History.Tail(b.key.organization, b.key.job)
			b.mu.Lock()
		}
		if b.err = err; err != nil {
			b.pending = nil
			return
		}
		b.view.Store(&view{tail: tail.Sequence, id: tail.ID, ended: tail.Ended})
		for sequence := range b.pending {
			if sequence <= tail.Sequence {
				delete(b.pending, sequence)
			}
		}
		b.extend()
	})
	if b.err != nil {
		b.hub.abandon(b)
	}
	return b.err
}

// forget takes note of the job's deletion. It reports whether the subscribers
// watch what was deleted, and not a job that did not exist for them.
func (b *broadcaster) forget() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.view.Load()
	if v == nil {
		// What is pending may be of the deleted log; what is of the next is part of
		// the tail that is read again.
		b.misread = true
		clear(b.pending)
		return false
	}
	return v.tail > 0
}

// abandon makes sure that nobody else joins a broadcaster that could not be
// opened.
func (h *Hub) abandon(b *broadcaster) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(b)
}

// publish adds a checkpoint to the log's end.
func (b *broadcaster) publish(c *Checkpoint) {
	f := newFrame(c, int64(b.hub.sinceStart()))
	b.mu.Lock()
	v := b.view.Load()
	if b.pending == nil || v != nil && f.sequence <= v.tail {
		b.mu.Unlock()
		return
	}
	if v != nil && len(b.pending) >= maxFrames {
		// The one that all of them wait for does not come.
		if b.hub.opts.Source != nil {
			b.mu.Unlock() // it is fetched, and they are published again behind it
			return
		}
		b.jump()
	}
	b.pending[f.sequence] = f
	grown := v != nil && b.extend()
	b.mu.Unlock()
	if grown {
		b.notify()
	}
}

// complete marks the end of the job at the tail and reports whether that is
// news.
func (b *broadcaster) complete(status string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := b.view.Load()
	if v == nil || v.tail == 0 || v.ended == status {
		return false
	}
	next := *v
	next.ended = status
	b.view.Store(&next)
	return true
}

// jump moves the tail to the last pending frame: since readers may see that, they
// may see all before it, and find them in history. mu is held.
func (b *broadcaster) jump() {
	last := slices.Max(slices.Collect(maps.Keys(b.pending)))
	f := b.pending[last]
	b.view.Store(&view{tail: last, id: f.id, ended: f.ended, frames: []*frame{f}, bytes: f.cost()})
	clear(b.pending)
}

// extend moves the tail over the pending frames that follow it, and reports
// whether there were any. mu is held.
func (b *broadcaster) extend() bool {
	v := b.view.Load()
	f := b.pending[v.tail+1]
	if f == nil {
		return false
	}
	next := *v
	for ; f != nil; f = b.pending[next.tail+1] {
		delete(b.pending, f.sequence)
		next.frames = append(next.frames, f)
		next.bytes += f.cost()
		next.tail, next.id, next.ended = f.sequence, f.id, f.ended
	}
	drop, share := 0, b.hub.share()
	if next.bytes > share || len(next.frames) > maxFrames {
		// A quarter at once: what follows copies the list.
		for len(next.frames)-drop > 1 && (next.bytes > share/4*3 || len(next.frames)-drop > maxFrames/4*3) {
			next.bytes -= next.frames[drop].cost()
			drop++
		}
	}
	if drop > 0 {
		// Into memory of its own, so that what is dropped is free once the
		// readers of the views before are done.
		next.frames = append(make([]*frame, 0, len(next.frames)), next.frames[drop:]...)
	}
	b.view.Store(&next)
	return true
}

// share is what the recent frames of one job may take.
func (h *Hub) share() int64 {
	return min(max(h.opts.Buffer/max(h.jobs.Load(), 1), minShare), maxShare)
}

// notify tells the engines that have subscribers of the job.
func (b *broadcaster) notify() {
	engines := b.engines.Load()
	for i, e := range b.hub.engines {
		bit := uint32(1) << i
		if engines&bit != 0 && b.notified.Or(bit)&bit == 0 {
			e.notify(b)
		}
	}
}

// recent returns the shared frames from a sequence on, nil if it is not among
// them.
func (v *view) recent(from uint64) []*frame {
	first := v.tail - uint64(len(v.frames)) + 1
	if from < first || from > v.tail {
		return nil
	}
	return v.frames[from-first:]
}
