package store

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// Stats are the store's figures for its metrics.
type Stats struct {
	FreeBytes   uint64 // of the disk, at the last look
	LowSpace    bool
	WriteStalls int64
	Pebble      *pebble.Metrics
}

// Stats returns the current figures.
func (s *Store) Stats() Stats {
	return Stats{
		FreeBytes:   s.disk.free.Load(),
		LowSpace:    s.LowSpace(),
		WriteStalls: s.stall.Load(),
		Pebble:      s.db.Metrics(),
	}
}

// Compact rewrites the whole store, so that what was deleted gives its space
// back. It is slow and meant for measuring.
func (s *Store) Compact() error {
	return s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, true)
}
