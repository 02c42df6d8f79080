package store

import (
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What has been read from tables once is read from memory the next time, also
// when the memtables are as large as the block cache and have grown to that.
func TestBlocksStayInMemoryBesideMemtables(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	const checkpoints = 64
	var last []byte
	for i := range checkpoints {
		doc := document("", message(i, 64<<10))
		last = doc.JSON
		mustAdd(t, s, job, testID(string(rune('a'+i%26))+string(rune('a'+i/26))), doc, nil)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Pebble.MemTable.Size; got < s.opts.MemTable {
		t.Fatalf("the memtable has %d bytes; too few were written for it to grow", got)
	}
	wantRead(t, s, job, checkpoints, last)
	before := s.Stats().Pebble.BlockCache
	wantRead(t, s, job, checkpoints, last)
	after := s.Stats().Pebble.BlockCache
	if after.Misses != before.Misses || after.Hits == before.Hits || after.Size == 0 {
		t.Errorf("reading again missed %d blocks and hit %d; the cache holds %d bytes",
			after.Misses-before.Misses, after.Hits-before.Hits, after.Size)
	}
}

// Tables of the last level, of which a look-up asks no filter, have none; those of
// the levels above have one.
func TestTheLastLevelHasNoFilters(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	filters := func(level int) (tables int, size uint64) {
		levels, err := s.db.SSTables(pebble.WithProperties())
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range levels[level] {
			size += table.Properties.FilterSize
		}
		return len(levels[level]), size
	}
	job := testID("job")
	for n := range 2 { // a single table would be moved there as it is
		mustAdd(t, s, job, testID(fmt.Sprint("c", n)), document("", message(n, 1000)), nil)
		if n == 0 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
			if tables, size := filters(0); tables == 0 || size == 0 {
				t.Errorf("%d tables were flushed with filters of %d bytes", tables, size)
			}
		}
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if tables, size := filters(6); tables == 0 || size != 0 {
		t.Errorf("%d tables of the last level with filters of %d bytes", tables, size)
	}
	wantRead(t, s, job, 2, document("", message(1, 1000)).JSON)
}
