package app

import (
	"io"
	"log/slog"

	"milepost/internal/config"
)

// newLogger writes structured lines; level can change while it is in use.
func newLogger(cfg *config.Config, level *slog.LevelVar, w io.Writer) *slog.Logger {
	setLevel(cfg, level)
	o := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func setLevel(cfg *config.Config, level *slog.LevelVar) {
	var l slog.Level
	// The configuration has checked the word.
	if err := l.UnmarshalText([]byte(cfg.Log.Level)); err == nil {
		level.Set(l)
	}
}
