package store

import (
	"errors"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// makeDir creates a directory with its parents and syncs what holds each new
// one: without that a crash can lose the directory's name, and with it all
// that was synced inside of it.
func makeDir(fs vfs.FS, dir string) error {
	var holders []string
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := fs.Stat(d); err == nil || filepath.Dir(d) == d {
			break
		}
		holders = append(holders, filepath.Dir(d))
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, holder := range holders {
		f, err := fs.OpenDir(holder)
		if err != nil {
			return err
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}
