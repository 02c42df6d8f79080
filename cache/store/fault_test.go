package store

import (
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A log that cannot be written or synced ends the store: the owner is told
// once, later appends fail, and what was acknowledged is still there.
func TestFailedLogEndsTheStore(t *testing.T) {
	syncs := 0 // kinds of sync that the log uses
	for _, kind := range []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData} {
		var broken atomic.Bool
		mem := vfs.NewCrashableMem()
		inject := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if broken.Load() && op.Kind == kind && filepath.Ext(op.Path) == ".log" {
				return errorfs.ErrInjected
			}
			return nil
		})
		var fatal atomic.Int32
		o := testOptions(errorfs.Wrap(mem, inject))
		o.Fatal = func(error) { fatal.Add(1) }
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		job := testID("job")
		first := document("first", message(1, 500))
		mustAdd(t, s, job, testID("c1"), first, nil)
		broken.Store(true)
		if _, err := add(s, job, testID("c2"), document("second", message(2, 500)), nil); err == nil {
			// This kind of operation is not one that the log uses.
			if kind == errorfs.OpFileWrite {
				t.Error("an append was acknowledged though the log cannot be written")
			}
			broken.Store(false)
			_ = s.Close()
			continue
		}
		if kind != errorfs.OpFileWrite {
			syncs++
		}
		if _, err := add(s, job, testID("c3"), document("third"), nil); !errors.Is(err, ErrFailed) {
			t.Errorf("append after the failure: %v, want ErrFailed", err)
		}
		if n := fatal.Load(); n != 1 {
			t.Errorf("Fatal was called %d times, want once", n)
		}
		if record, err := s.Job(job); err != nil || record.Count != 1 {
			t.Errorf("shown: %d checkpoints, %v; want the acknowledged one", record.Count, err)
		}
		r := openStore(t, mem.CrashClone(vfs.CrashCloneCfg{}))
		wantRead(t, r, job, 1, first.JSON)
		broken.Store(false)
		_ = s.Close()
	}
	if syncs == 0 {
		t.Error("no failed sync of the log kept an append from being acknowledged")
	}
}
