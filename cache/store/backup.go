package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// Backup writes a copy of the store as of now to a directory, which must not
// exist yet, while reads and writes go on. A server started on that directory
// serves the copy. Where the file system allows, tables are linked and not
// copied, so the copy takes little space and time.
func (s *Store) Backup(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("backup directory %q must be an absolute path", dir)
	}
	if _, err := s.opts.FS.Stat(dir); err == nil {
		return fmt.Errorf("backup directory %q exists already", dir)
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot look at backup directory %q: %w", dir, err)
	}
	if err := makeDir(s.opts.FS, dir); err != nil {
		return fmt.Errorf("cannot create backup directory %q: %w", dir, err)
	}
	if err := s.db.Checkpoint(databaseDir(dir), pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("cannot back up to %q: %w", dir, err)
	}
	return nil
}
