package store

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// A data directory serves its own jobs or copies of an upstream's, whether it was
// marked or comes from before there were marks, and over restarts.
func TestStoreHasOneUse(t *testing.T) {
	own := func(t *testing.T, s *Store) {
		mustAdd(t, s, testID("own"), testID("c1"), document("own"), nil)
	}
	copied := func(t *testing.T, s *Store) {
		mustPut(t, s, testID("copied"), copyOf(t, copyID(1), 1, checkpoint.StatusInit))
	}
	spooled := func(t *testing.T, s *Store) {
		if err := s.db.Set([]byte{spaceLetter, 'x'}, []byte{formatVersion}, pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	type step struct {
		dedicate Use // or
		put      func(*testing.T, *Store)
		refused  bool
	}
	ask := func(u Use) step { return step{dedicate: u} }
	refused := func(u Use) step { return step{dedicate: u, refused: true} }
	put := func(f func(*testing.T, *Store)) step { return step{put: f} }
	remove := func(name string) step {
		return put(func(t *testing.T, s *Store) {
			if err := s.Delete(testID(name)); err != nil {
				t.Fatal(err)
			}
		})
	}
	for name, steps := range map[string][]step{
		"its own jobs":                   {ask(UseOwn), put(own), ask(UseOwn), refused(UseCopies), ask(UseOwn)},
		"copies":                         {ask(UseCopies), put(copied), ask(UseCopies), refused(UseOwn), ask(UseCopies)},
		"its own jobs, never marked":     {put(own), refused(UseCopies), ask(UseOwn)},
		"copies, never marked":           {put(copied), refused(UseOwn), ask(UseCopies)},
		"both, never marked":             {put(copied), put(own), refused(UseCopies), ask(UseOwn), refused(UseCopies)},
		"nothing, tried as both":         {ask(UseOwn), ask(UseCopies), ask(UseOwn), put(own), refused(UseCopies)},
		"emptied of its own jobs":        {ask(UseOwn), put(own), remove("own"), ask(UseCopies), put(copied), refused(UseOwn)},
		"emptied of copies":              {ask(UseCopies), put(copied), remove("copied"), ask(UseOwn)},
		"undelivered checkpoints alone":  {ask(UseCopies), put(spooled), refused(UseOwn)},
		"undelivered ones, never marked": {put(spooled), refused(UseOwn), ask(UseCopies)},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			for i, step := range steps {
				s := openStore(t, fs)
				if step.put != nil {
					step.put(t, s)
				} else if err := s.Dedicate(step.dedicate); step.refused != errors.Is(err, ErrOtherUse) || err != nil && !step.refused {
					t.Errorf("step %d, %s: %v", i+1, step.dedicate, err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
