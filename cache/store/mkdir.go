package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeDir creates a directory with its parents and syncs what holds each of
// them: without that a crash can lose the directory's name, and with it all
// that was synced inside of it. It syncs also what holds directories that were
// there already, because a process before may have made them and ended before
// it came to the sync. Of a relative path the working directory is the last.
func makeDir(fs vfs.FS, dir string) error {
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for d := filepath.Clean(dir); filepath.Dir(d) != d; {
		d = filepath.Dir(d)
		f, err := fs.OpenDir(d)
		if errors.Is(err, os.ErrPermission) {
			// Nobody who may not even list it has made a directory in it: this
			// one and those above are older than the data.
			return nil
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("cannot sync %q: %w", d, err)
		}
	}
	return nil
}
