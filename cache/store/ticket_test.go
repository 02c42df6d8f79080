package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// A used ticket is remembered from then on, over a power failure too, until it
// has expired.
func TestTicketsThatWereUsed(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := openStore(t, fs)
	now := time.Unix(1_800_000_000, 500_000_000)
	soon, later := now.Add(time.Hour), now.Add(24*time.Hour)
	used := func(s *Store, id string, expires time.Time, want bool) {
		t.Helper()
		if got, err := s.TicketUsed(id, expires); err != nil || got != want {
			t.Errorf("ticket %s: used %t, want %t, %v", id, got, want, err)
		}
	}
	use := func(id string, expires, at time.Time) {
		t.Helper()
		if err := s.UseTicket(id, expires, at); err != nil {
			t.Fatal(err)
		}
	}
	used(s, "a", soon, false)
	use("a", soon, now)
	use("b", later, now)
	use("a", soon, now) // again, as when two streams open at once
	used(s, "a", soon, true)
	used(s, "b", later, true)
	used(s, "b", soon, false)
	used(s, "c", later, false)

	s = openStore(t, fs.CrashClone(vfs.CrashCloneCfg{}))
	used(s, "a", soon, true)
	used(s, "b", later, true)

	use("c", later, soon.Add(time.Second))
	used(s, "a", soon, false)
	used(s, "b", later, true)
	used(s, "c", later, true)
	if n := count(t, s, spaceTicket); n != 2 {
		t.Errorf("%d notes are kept, want 2", n)
	}
}

// However many tickets are used, the notes of expired ones go by few range
// tombstones, which do not overlap, and none stays for much longer than an hour.
func TestTicketsAreSweptRarely(t *testing.T) {
	const uses, apart = 2000, 5 * time.Second
	s := openStore(t, vfs.NewMem())
	now := time.Unix(1_800_000_000, 0)
	for n := range uses {
		if err := s.UseTicket(testID(fmt.Sprint(n)), now.Add(time.Minute), now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(apart)
	}
	if n, most := count(t, s, spaceTicket), int((sweepInterval+time.Minute)/apart)+1; n > most {
		t.Errorf("%d notes are kept, want at most %d", n, most)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	levels, err := s.db.SSTables(pebble.WithProperties())
	if err != nil {
		t.Fatal(err)
	}
	var tombstones uint64
	for _, tables := range levels {
		for _, table := range tables {
			tombstones += table.Properties.NumRangeDeletions
		}
	}
	if most := uint64(uses*apart/sweepInterval) + 1; tombstones == 0 || tombstones > most {
		t.Errorf("%d range tombstones, want 1 to %d", tombstones, most)
	}
}

// count returns the number of keys in a key space.
func count(t *testing.T, s *Store, space byte) (n int) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
