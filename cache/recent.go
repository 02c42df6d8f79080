package cache

import (
	"container/list"
	"sync"
	"sync/atomic"
)

const (
	// recentShare is the part of the hot tier's size that the newest entries have.
	// A quarter holds what is written in the minutes in which it is looked at most.
	recentShare = 4
	// recentShards divide the newest entries, so that those who look for them
	// seldom wait for those who put them there.
	recentShards = 16
)

// recent holds the newest entries: first in, first out. Without it ristretto,
// which keeps what is asked for often, would seldom take in what has just been
// written, for that has not been asked for yet.
type recent struct {
	limit  int64 // of the cost of a shard
	shards [recentShards]recentShard
}

type recentShard struct {
	mu    sync.RWMutex
	byKey map[uint64]*list.Element
	queue *list.List // of *kept, the newest in front
	size  int64
}

// kept is an entry in its queue.
type kept struct {
	key   uint64
	entry *Entry
	asked atomic.Bool // for it, while it was here
}

// newRecent returns a queue of entries that cost at most size bytes together.
func newRecent(size int64) *recent {
	r := &recent{limit: size / recentShards}
	for i := range r.shards {
		r.shards[i].byKey, r.shards[i].queue = make(map[uint64]*list.Element), list.New()
	}
	return r
}

func (r *recent) shard(key uint64) *recentShard { return &r.shards[key%recentShards] }

// get returns the entry of a key, or nil, and whether it is asked for the first
// time.
func (r *recent) get(key uint64) (entry *Entry, first bool) {
	s := r.shard(key)
	s.mu.RLock()
	e := s.byKey[key]
	s.mu.RUnlock()
	if e == nil {
		return nil, false
	}
	k := e.Value.(*kept)
	return k.entry, !k.asked.Load() && k.asked.CompareAndSwap(false, true)
}

// fits reports whether an entry may be put.
func (r *recent) fits(e *Entry) bool { return e.cost() <= r.limit }

// put adds an entry that fits, asked for or not, and returns those that had to
// make room for it.
func (r *recent) put(key uint64, e *Entry, asked bool) (out []*kept) {
	k := &kept{key: key, entry: e}
	k.asked.Store(asked)
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.byKey[key])
	s.byKey[key] = s.queue.PushFront(k)
	for s.size += e.cost(); s.size > r.limit; {
		oldest := s.queue.Back()
		out = append(out, oldest.Value.(*kept))
		s.remove(oldest)
	}
	return out
}

// remove forgets a key.
func (r *recent) remove(key uint64) {
	s := r.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.byKey[key])
}

func (s *recentShard) remove(e *list.Element) {
	if e == nil {
		return
	}
	k := s.queue.Remove(e).(*kept)
	delete(s.byKey, k.key)
	s.size -= k.entry.cost()
}

// bytes is what the entries cost.
func (r *recent) bytes() (sum int64) {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		sum += s.size
		s.mu.RUnlock()
	}
	return sum
}
