package cache

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"milepost/cache/store"
)

func openCache(t *testing.T, size int64) *Cache {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem(), MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(s, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// entry is one of a body of size bytes.
func entry(n, size int) *Entry {
	return &Entry{JobID: testJob, ID: fmt.Sprintf("%024d", n), Body: make([]byte, size)}
}

// What has just been kept is there at once, also when the tier is full of what
// is asked for again and again, and the tier stays within its size.
func TestTheNewestIsHot(t *testing.T) {
	const size, body = 1 << 20, 4 << 10
	c := openCache(t, size)
	var last *Entry
	for n := range 4 * size / body {
		last = entry(n, body)
		c.Keep(last, c.Epoch(), true)
		for old := range min(n, 100) {
			c.Hot([]byte(testJob), []byte(entry(old, 0).ID), Identity)
		}
		if c.Hot([]byte(testJob), []byte(last.ID), Identity) != last {
			t.Fatalf("entry %d is not there", n)
		}
		if c.Hot([]byte(testJob), []byte(last.ID), Gzip) != nil {
			t.Fatal("an entry of another coding")
		}
	}
	c.hot.Wait()
	if f := c.Figures(); f.Bytes > size || f.Bytes < size/2 || f.Limit != size {
		t.Errorf("%d bytes of %d", f.Bytes, f.Limit)
	}
}

// What nobody has asked for by the time that others are new is given up; what
// somebody has goes on to ristretto.
func TestOnlyWhatWasAskedForStays(t *testing.T) {
	const size, body = 4 << 20, 4 << 10
	for _, asked := range []bool{false, true} {
		c := openCache(t, size)
		const n = size / recentShare / body
		for i := range n {
			e := entry(i, body)
			c.Keep(e, c.Epoch(), false)
			if asked && c.Hot([]byte(testJob), []byte(e.ID), Identity) == nil {
				t.Fatal("not there")
			}
		}
		for i := range 2 * n {
			c.Keep(entry(n+i, body), c.Epoch(), false)
		}
		c.hot.Wait()
		found := 0
		for i := range n {
			if c.Hot([]byte(testJob), []byte(entry(i, 0).ID), Identity) != nil {
				found++
			}
		}
		// ristretto may drop some.
		if !asked && found > 0 || asked && found < n/2 {
			t.Errorf("asked for %t: %d of %d are still there", asked, found, n)
		}
		if f := c.Figures(); !asked && f.Evictions == 0 {
			t.Error("what was given up is not counted")
		}
	}
}

// An entry too large for the newest is ristretto's at once; without a size there
// is no hot tier.
func TestLargeAndNone(t *testing.T) {
	c := openCache(t, 1<<20)
	large := entry(1, 1<<19)
	c.Keep(large, c.Epoch(), false)
	c.hot.Wait()
	if c.Hot([]byte(testJob), []byte(large.ID), Identity) != large {
		t.Error("the large entry is not there")
	}
	none := openCache(t, 0)
	none.Keep(large, none.Epoch(), true)
	if none.Hot([]byte(testJob), []byte(large.ID), Identity) != nil || none.Figures() != (Figures{}) {
		t.Error("a hot tier of no size holds something")
	}
}

// After a deletion an entry is served only if the store still has it.
func TestDeletedEntriesGo(t *testing.T) {
	c := openCache(t, 1<<20)
	e := entry(1, 100)
	c.Keep(e, c.Epoch(), true)
	c.Deleted()
	if c.Hot([]byte(testJob), []byte(e.ID), Identity) != nil {
		t.Error("it is still there")
	}
	if got := c.recent.bytes(); got != 0 {
		t.Errorf("%d bytes of it are still there", got)
	}
}

// The newest entries agree with a plain list for each shard.
func TestRecentAgreesWithAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4 * entryCost
		r := newRecent(limit * recentShards)
		var model []*kept // the oldest first
		take := func(key uint64) {
			model = slices.DeleteFunc(model, func(k *kept) bool { return k.key == key })
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			key := rapid.Uint64Range(0, 40).Draw(t, "key")
			switch rapid.SampledFrom([]string{"put", "put", "get", "remove"}).Draw(t, "action") {
			case "put":
				e := entry(int(key), rapid.IntRange(0, 4*entryCost).Draw(t, "size"))
				if !r.fits(e) {
					if e.cost() <= limit {
						t.Fatal("it fits")
					}
					continue
				}
				out := r.put(key, e, false)
				take(key)
				model = append(model, &kept{key: key, entry: e})
				var want []uint64
				sum := int64(0)
				for i := len(model) - 1; i >= 0; i-- {
					if k := model[i]; k.key%recentShards == key%recentShards {
						if sum += k.entry.cost(); sum > limit {
							want = append(want, k.key)
						}
					}
				}
				slices.Reverse(want)
				var got []uint64
				for _, k := range out {
					got = append(got, k.key)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("%v made room, want %v", got, want)
				}
				for _, k := range want {
					take(k)
				}
			case "get":
				got, _ := r.get(key)
				i := slices.IndexFunc(model, func(k *kept) bool { return k.key == key })
				if (got != nil) != (i >= 0) || i >= 0 && got != model[i].entry {
					t.Fatalf("key %d: another entry than was put", key)
				}
			case "remove":
				r.remove(key)
				take(key)
			}
			sum := int64(0)
			for _, k := range model {
				sum += k.entry.cost()
			}
			if got := r.bytes(); got != sum {
				t.Fatalf("%d bytes, want %d", got, sum)
			}
		}
	})
}
