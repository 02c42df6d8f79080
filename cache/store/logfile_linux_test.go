package store

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// The logs of a small store take little more of the disk than was written to it.
func TestLogsOfASmallStoreAreSmall(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for n := range 4 {
		mustAdd(t, s, testID("job"), testID(string(rune('a'+n))), document("x", message(n, 1000)), nil)
	}
	logs, err := filepath.Glob(filepath.Join(databaseDir(dir), "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs %q, %v", logs, err)
	}
	for _, log := range logs {
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		if taken := info.Sys().(*syscall.Stat_t).Blocks * 512; taken > 2*minReserve {
			t.Errorf("%s takes %d bytes", filepath.Base(log), taken)
		}
	}
}
