package stream

import (
	"container/list"
	"errors"
	"sync"
)

const (
	// loaders is how many reads of history go on at once: as many as keep a disk
	// busy without taking the cores from everybody else.
	loaders = 2
	// A block of history ends when it has as many frames, or bytes.
	blockFrames = 64
	blockBytes  = 256 << 10
)

// Errors of reading history.
var (
	// errHole says that history lacks a checkpoint that the tail includes.
	errHole    = errors.New("history has a hole")
	errDeleted = errors.New("the job was deleted")
)

// block is a run of frames read from history, shared by all who are behind at
// the same place.
type block struct {
	b       *broadcaster
	first   uint64
	frames  []*frame
	bytes   int64
	element *list.Element
}

// from returns the frames of the block from a sequence on, or nil.
func (c *block) from(sequence uint64) []*frame {
	if c == nil || sequence < c.first || sequence-c.first >= uint64(len(c.frames)) {
		return nil
	}
	return c.frames[sequence-c.first:]
}

// load is a block that somebody waits for.
type load struct {
	b       *broadcaster
	from    uint64
	waiters []waiter
	block   *block
	err     error
}

// waiter is a subscriber that waits for a block of one of its jobs.
type waiter struct {
	s   *Subscriber
	leg int
}

// history reads what subscribers behind the shared frames ask for: each block
// once, however many wait for it, in the order of asking. The blocks read last
// are kept within Options.Buffer.
type history struct {
	hub *Hub

	mu     sync.Mutex
	work   sync.Cond
	queue  []*load
	order  list.List // of *block, last used in front
	bytes  int64
	closed bool
	done   sync.WaitGroup
}

func newHistory(h *Hub) *history {
	y := &history{hub: h}
	y.work.L = &y.mu
	y.order.Init()
	for range loaders {
		y.done.Go(y.run)
	}
	return y
}

func (y *history) stop() {
	y.mu.Lock()
	y.closed = true
	y.work.Broadcast()
	y.mu.Unlock()
	y.done.Wait()
}

// find returns the frames of a job from a sequence on if a block at hand has
// them. Otherwise w is told when it has been read.
func (y *history) find(b *broadcaster, from uint64, w waiter) []*frame {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, c := range b.blocks {
		if frames := c.from(from); frames != nil {
			y.order.MoveToFront(c.element)
			return frames
		}
	}
	l := b.loads[from]
	if l == nil {
		l = &load{b: b, from: from}
		if b.loads == nil {
			b.loads = make(map[uint64]*load)
		}
		b.loads[from] = l
		y.queue = append(y.queue, l)
		y.work.Signal()
	}
	l.waiters = append(l.waiters, w)
	w.s.legs[w.leg].loading = true
	return nil
}

// run reads blocks until the hub is closed.
func (y *history) run() {
	y.mu.Lock()
	defer y.mu.Unlock()
	for {
		for len(y.queue) == 0 && !y.closed {
			y.work.Wait()
		}
		if y.closed {
			return
		}
		l := y.queue[0]
		y.queue[0] = nil
		y.queue = y.queue[1:]
		y.mu.Unlock()
		l.read()
		y.mu.Lock()
		delete(l.b.loads, l.from)
		if l.err == nil {
			y.keep(l.block)
		}
		waiters := l.waiters
		y.mu.Unlock()
		if l.err != nil && l.err != errDeleted {
			y.hub.opts.Logger.Error("streams end because history cannot be read",
				"job", l.b.key.job, "sequence", l.from, "streams", len(waiters), "error", l.err)
		}
		y.hub.deliver(l, waiters)
		y.mu.Lock()
	}
}

// deliver hands a block to the engines of those who wait for it.
func (h *Hub) deliver(l *load, waiters []waiter) {
	byEngine := make(map[engine][]waiter, len(h.engines))
	for _, w := range waiters {
		byEngine[w.s.engine] = append(byEngine[w.s.engine], w)
	}
	for e, ws := range byEngine {
		e.loaded(l, ws)
	}
}

// read fills the load from history.
func (l *load) read() {
	c := &block{b: l.b, first: l.from}
	tail := l.b.view.Load().tail
	l.err = l.b.hub.opts.History.Read(l.b.key.job, l.from, func(p Checkpoint) bool {
		if p.Sequence > tail || p.Sequence != c.first+uint64(len(c.frames)) {
			return false
		}
		f := newFrame(&p, 0)
		c.frames = append(c.frames, f)
		c.bytes += f.cost()
		return p.Sequence < tail && len(c.frames) < blockFrames && c.bytes < blockBytes
	})
	switch {
	case l.err != nil:
	case l.b.deleted.Load():
		// What was read may be of a job that began anew under the same id.
		l.err = errDeleted
	case len(c.frames) == 0:
		l.err = errHole
	}
	l.block = c
}

// keep puts a block in front of those at hand and drops the ones that were not
// used for longest. mu is held.
func (y *history) keep(c *block) {
	if c.b.gone {
		return
	}
	c.element = y.order.PushFront(c)
	c.b.blocks = append(c.b.blocks, c)
	for y.bytes += c.bytes; y.bytes > y.hub.opts.Buffer; {
		y.drop(y.order.Back().Value.(*block))
	}
}

func (y *history) drop(c *block) {
	y.order.Remove(c.element)
	y.bytes -= c.bytes
	for i, other := range c.b.blocks {
		if other == c {
			last := len(c.b.blocks) - 1
			c.b.blocks[i] = c.b.blocks[last]
			c.b.blocks[last] = nil
			c.b.blocks = c.b.blocks[:last]
			return
		}
	}
}

// forget drops the blocks of a job without subscribers, or that was deleted.
func (y *history) forget(b *broadcaster) {
	y.mu.Lock()
	defer y.mu.Unlock()
	b.gone = true
	for len(b.blocks) > 0 {
		y.drop(b.blocks[0])
	}
}
