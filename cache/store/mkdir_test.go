package store

import (
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// The name of the data directory survives a crash, also if the process that
// made it was killed before it synced what holds it.
func TestDataDirectorySurvivesACrash(t *testing.T) {
	for _, made := range []string{"", "/a", "/a/b", "/a/b/data", "/a/b/data/db"} {
		fs := vfs.NewCrashableMem()
		if made != "" {
			if err := fs.MkdirAll(made, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		o := testOptions(fs)
		o.Dir = "/a/b/data"
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		d := document("first", message(1, 500))
		mustAdd(t, s, testID("job"), testID("c1"), d, nil)
		o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
		r, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Job(testID("job")); err != nil {
			t.Errorf("made before: %q: the acknowledged checkpoint is lost: %v", made, err)
		}
		_ = r.Close()
		_ = s.Close()
	}
}

// What one may not open was not made by an earlier start.
func TestDataDirectoryBelowAClosedOne(t *testing.T) {
	mem := vfs.NewMem()
	closed := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpOpenDir && op.Path == "/" {
			return &os.PathError{Op: "open", Path: op.Path, Err: os.ErrPermission}
		}
		return nil
	}))
	if err := makeDir(closed, "/data/db"); err != nil {
		t.Error(err)
	}
	broken := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSync {
			return errorfs.ErrInjected
		}
		return nil
	}))
	if err := makeDir(broken, "/data/db"); err == nil {
		t.Error("a failed sync of a parent went unnoticed")
	}
}
