package store

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The mark is on disk when the server begins to serve, and gone from it when it
// has ended: power that fails in between is an unclean shutdown, after it not.
func TestMarkSurvivesACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	mark := func(fs vfs.FS, want bool) *Mark {
		t.Helper()
		m, found, err := openStore(t, fs).MarkRunning()
		if err != nil {
			t.Fatal(err)
		}
		if found != want {
			t.Errorf("mark found: %t, want %t", found, want)
		}
		return m
	}
	m := mark(fs, false)
	mark(fs.CrashClone(vfs.CrashCloneCfg{}), true)
	if err := m.Remove(); err != nil {
		t.Fatal(err)
	}
	mark(fs.CrashClone(vfs.CrashCloneCfg{}), false)
	if m.Remove() == nil {
		t.Error("a mark that is not there was removed")
	}
}
