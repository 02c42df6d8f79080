package store

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
)

// logger passes the database's messages on. Pebble's own logger ends the
// process inside Fatalf without a word to anyone else; this one says what
// happened in the server's log and lets the owner decide.
type logger struct{ s *Store }

// Infof implements pebble.Logger.
func (l logger) Infof(format string, args ...any) {
	l.s.log.Debug("pebble", "message", lazy{format, args})
}

// Errorf implements pebble.Logger.
func (l logger) Errorf(format string, args ...any) {
	l.s.log.Error("pebble", "message", lazy{format, args})
}

// Fatalf implements pebble.Logger. It is called when the write-ahead log or
// the manifest cannot be written: no later write can succeed.
func (l logger) Fatalf(format string, args ...any) {
	l.s.fail(fmt.Errorf("pebble: "+format, args...))
}

// lazy formats only if the level is enabled.
type lazy struct {
	format string
	args   []any
}

// LogValue implements slog.LogValuer.
func (l lazy) LogValue() slog.Value { return slog.StringValue(fmt.Sprintf(l.format, l.args...)) }

// events reports what an operator should know of the database's life.
func (s *Store) events() *pebble.EventListener {
	l := &pebble.EventListener{
		BackgroundError: func(err error) {
			// A compaction cut short because the store closes is no trouble.
			if !errors.Is(err, pebble.ErrCancelledCompaction) {
				s.log.Error("background work of the store failed; it will be tried again", "error", err)
			}
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			s.stall.Add(1)
			s.log.Warn("writes wait for the store to catch up", "reason", info.Reason)
		},
		WriteStallEnd: func() { s.log.Info("writes go on") },
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			s.log.Error("the store found damaged data", "file", info.Path, "error", info.Details)
		},
	}
	l.EnsureDefaults(nil)
	return l
}
