package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A backup starts, and has what was there when it began, whatever is written
// while the log is copied: a log grows behind the copy's back, and what is
// prepared ahead in it is no part of it.
func TestBackupWhileTheLogGrows(t *testing.T) {
	const grown, size = 6, 20 << 10 // several blocks of the log, which are 32 KiB
	mem := vfs.NewMem()
	var (
		s    *Store
		grew atomic.Bool
	)
	job := testID("job")
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		// The copy has read the first block by now.
		if op.Kind == errorfs.OpFileWrite && filepath.Ext(op.Path) == ".log" && strings.HasPrefix(op.Path, "/copy/") && grew.CompareAndSwap(false, true) {
			for n := range grown {
				mustAdd(t, s, job, testID(fmt.Sprint("later", n)), document("x", message(n, size)), nil)
			}
		}
		return nil
	}))
	// Only the log of a second start says how far it was synced, by which the
	// database tells a hole from an end.
	s = openStore(t, fs)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	first := document("first", message(1, 300))
	mustAdd(t, s, job, testID("first"), first, nil)
	if err := s.Backup("/copy"); err != nil {
		t.Fatal(err)
	}
	if !grew.Load() {
		t.Fatal("the log did not grow while it was copied, so that nothing was tested")
	}

	o := testOptions(mem)
	o.Dir = "/copy"
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantRead(t, r, job, 1, first.JSON)
	record, err := r.Job(job)
	if err != nil {
		t.Fatal(err)
	}
	for q := uint64(2); q <= record.Count; q++ {
		wantRead(t, r, job, q, document("x", message(int(q)-2, size)).JSON)
	}
}
