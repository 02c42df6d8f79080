package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Mark is a file in the data directory that is there while a process uses it.
type Mark struct {
	fs  vfs.FS
	dir string
}

// MarkRunning makes the mark and waits until it is on disk. found says that it
// was there already: the process before did not come to its end.
func (s *Store) MarkRunning() (m *Mark, found bool, err error) {
	m = &Mark{fs: s.disk.fs, dir: s.opts.Dir}
	switch _, err := m.fs.Stat(m.path()); {
	case err == nil:
		found = true
	case !errors.Is(err, os.ErrNotExist):
		return nil, false, fmt.Errorf("cannot look at %q: %w", m.path(), err)
	}
	f, err := m.fs.Create(m.path(), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close(), m.syncDir())
	}
	if err != nil {
		return nil, false, fmt.Errorf("cannot mark the data directory as in use: %w", err)
	}
	return m, found, nil
}

// Remove takes the mark away, once the store is closed, and waits until that is
// on disk.
func (m *Mark) Remove() error {
	if err := m.fs.Remove(m.path()); err != nil {
		return fmt.Errorf("cannot remove the mark of a running server: %w", err)
	}
	return m.syncDir()
}

func (m *Mark) path() string { return filepath.Join(m.dir, "running") }

func (m *Mark) syncDir() error {
	d, err := m.fs.OpenDir(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
