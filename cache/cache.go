// Package cache is the local copy: the hot tier in memory over the durable
// tier on disk. It knows nothing of who may read; whoever asks has to check the
// organization of what it returns before showing it.
package cache

import (
	"hash/maphash"
	"sync/atomic"

	"github.com/dgraph-io/ristretto/v2"

	"milepost/cache/store"
)

// Coding is how a body is compressed, the content coding of RFC 9110.
type Coding byte

// The codings, in the order of preference among those a client likes equally.
const (
	Identity Coding = iota
	Zstd
	Brotli
	Gzip
)

// Entry is one checkpoint, ready to be served. It does not change.
type Entry struct {
	JobID, ID    string
	Organization string
	Coding       Coding
	// Body is the whole body of the answer to GET, in that coding.
	Body []byte
	// ETag is the strong entity tag of the body, quotes included.
	ETag []byte

	epoch atomic.Uint64
}

// cost is the memory that the entry takes, roughly, in bytes.
func (e *Entry) cost() int64 { return int64(cap(e.Body)) + entryCost }

// Cache is the local copy. Its methods may be used concurrently.
type Cache struct {
	store *store.Store
	// The hot tier: what is new, and what was asked for.
	recent *recent
	hot    *ristretto.Cache[uint64, *Entry]
	limit  int64
	seed   maphash.Seed
	// epoch counts deletions. An entry of an earlier epoch may belong to a job
	// that is gone, and is checked against the store once before it is served.
	epoch atomic.Uint64
	// unasked counts the entries that were given up because nobody had asked for
	// them while they were new.
	unasked atomic.Uint64
}

// entryCost is what an entry takes beside its body's memory, roughly.
const entryCost = 320

// New returns the local copy over a store. size bounds the bodies in the hot
// tier in bytes; 0 turns it off.
func New(s *store.Store, size int64) (*Cache, error) {
	c := &Cache{store: s, limit: size, seed: maphash.MakeSeed()}
	if size <= 0 {
		return c, nil
	}
	hot, err := ristretto.NewCache(&ristretto.Config[uint64, *Entry]{
		// Ten counters an entry, as ristretto advises, for entries of 4 KiB.
		NumCounters: max(size/4096*10, 1000),
		MaxCost:     size - size/recentShare,
		BufferItems: 64,
		Metrics:     true,
		KeyToHash:   func(key uint64) (uint64, uint64) { return key, 0 },
	})
	if err != nil {
		return nil, err
	}
	c.hot, c.recent = hot, newRecent(size/recentShare)
	return c, nil
}

// Close stops the hot tier.
func (c *Cache) Close() {
	if c.hot != nil {
		c.hot.Close()
	}
}

// key hashes what an entry is found by. Two entries may share a hash, so what
// is found is compared with what was sought.
func (c *Cache) key(job, id []byte, coding Coding) uint64 {
	var h maphash.Hash
	h.SetSeed(c.seed)
	_, _ = h.Write(job)
	_, _ = h.Write(id)
	_ = h.WriteByte(byte(coding))
	return h.Sum64()
}

// Hot returns a checkpoint from the hot tier, or nil.
func (c *Cache) Hot(job, id []byte, coding Coding) *Entry {
	if c.hot == nil {
		return nil
	}
	key := c.key(job, id, coding)
	e, first := c.recent.get(key)
	if e == nil {
		e, _ = c.hot.Get(key)
	} else if first {
		c.hot.Get(key) // which counts it, for when it comes there
	}
	if e == nil || e.ID != string(id) || e.JobID != string(job) || e.Coding != coding {
		return nil
	}
	if now := c.epoch.Load(); e.epoch.Load() != now {
		if _, err := c.store.Sequence(e.JobID, e.ID); err != nil {
			c.recent.remove(key)
			c.hot.Del(key)
			return nil
		}
		e.epoch.Store(now)
	}
	return e
}

// Epoch is to be read before what is kept is read from the store, so that a
// deletion in between is noticed.
func (c *Cache) Epoch() uint64 { return c.epoch.Load() }

// Keep puts an entry into the hot tier. asked tells whether somebody asked for it,
// or it is only new.
func (c *Cache) Keep(e *Entry, epoch uint64, asked bool) {
	if c.hot == nil {
		return
	}
	e.epoch.Store(epoch)
	key := c.key([]byte(e.JobID), []byte(e.ID), e.Coding)
	if !c.recent.fits(e) {
		c.hot.Set(key, e, e.cost())
		return
	}
	for _, k := range c.recent.put(key, e, asked) {
		if k.asked.Load() {
			c.hot.Set(k.key, k.entry, k.entry.cost())
		} else {
			c.unasked.Add(1)
		}
	}
}

// Deleted says that a job is gone from the store.
func (c *Cache) Deleted() { c.epoch.Add(1) }

// Figures are the hot tier's figures for its metrics.
type Figures struct {
	Bytes, Limit int64
	Drops        uint64
	Evictions    uint64
}

// Figures returns the current figures.
func (c *Cache) Figures() Figures {
	f := Figures{Limit: max(c.limit, 0)}
	if c.hot == nil {
		return f
	}
	m := c.hot.Metrics
	f.Bytes = c.recent.bytes() + int64(m.CostAdded()-m.CostEvicted())
	f.Drops = m.SetsDropped() + m.SetsRejected()
	f.Evictions = m.KeysEvicted() + c.unasked.Load()
	return f
}
