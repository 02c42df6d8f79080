package store

import (
	"testing"

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
