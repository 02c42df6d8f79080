package app

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"milepost/cache/store"
)

// Whoever starts the server on a directory that cannot be opened is told what
// to do.
func TestExplainOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, notDir := store.Open(store.Options{Dir: file})
	if notDir == nil {
		t.Fatal("a file was opened as a data directory")
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{notDir, "name another directory with store.dir (--data)"},
		{&os.PathError{Op: "mkdir", Path: "d", Err: syscall.EACCES}, "let it belong to the user that runs the server"},
		{&os.PathError{Op: "mkdir", Path: "d", Err: syscall.EROFS}, "name another directory with store.dir (--data)"},
		{syscall.EAGAIN, "another process has it open"},
	} {
		got := explainOpen(tt.err)
		if !strings.HasPrefix(got.Error(), tt.err.Error()) || !strings.Contains(got.Error(), tt.want) {
			t.Errorf("%q, want %q behind %q", got, tt.want, tt.err)
		}
	}
}
