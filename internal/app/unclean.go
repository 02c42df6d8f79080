package app

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"milepost/cache/store"
	"milepost/metrics"
)

// marker is a file that exists while the server runs. One found at the start
// is left from a process that did not come to its end.
type marker struct {
	path string
	log  *slog.Logger
}

func markRunning(dir string, s *store.Store, m *metrics.Metrics, log *slog.Logger) (*marker, error) {
	k := &marker{path: filepath.Join(dir, "running"), log: log}
	var total uint64
	v, err := s.Meta("unclean-shutdowns")
	if err != nil {
		return nil, err
	}
	if len(v) == 8 {
		total = binary.BigEndian.Uint64(v)
	}
	if _, err := os.Stat(k.path); err == nil {
		total++
		log.Warn("the last process did not shut down cleanly; everything acknowledged was recovered from the log",
			"times", total)
		if err := s.SetMeta("unclean-shutdowns", binary.BigEndian.AppendUint64(nil, total)); err != nil {
			return nil, err
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot look at %q: %w", k.path, err)
	}
	m.UncleanShutdowns.Add(float64(total))
	if err := os.WriteFile(k.path, nil, 0o600); err != nil {
		return nil, fmt.Errorf("cannot mark the data directory as in use: %w", err)
	}
	return k, nil
}

func (k *marker) remove() {
	if err := os.Remove(k.path); err != nil {
		k.log.Warn("cannot remove the mark of a running server", "file", k.path, "error", err)
	}
}
