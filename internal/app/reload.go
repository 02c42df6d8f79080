package app

import (
	"log/slog"
	"strings"

	"milepost/internal/config"
	"milepost/proxy"
)

// reload reads the configuration again and puts in force what can be; the rest
// is refused by name. A configuration with faults changes nothing.
func reload(old *config.Config, load Load, server *proxy.Server, defaults []config.Key, level *slog.LevelVar, log *slog.Logger) *config.Config {
	next, err := load()
	if err != nil {
		log.Error("reload refused: the configuration has faults; the old one stays in force", "faults", err.Error())
		return old
	}
	changed, refused := old.Diff(next)
	if len(refused) > 0 {
		log.Warn("these settings need a restart and stay as they were", "settings", strings.Join(refused, ", "))
	}
	merged := old.Reloaded(next)
	keys := merged.Auth.Keys
	if len(keys) == 0 {
		if len(old.Auth.Keys) > 0 {
			log.Error("reload refused: without any auth.keys nobody could call; restart for a default key")
			return old
		}
		keys = defaults
	}
	server.Reload(merged, keys)
	setLevel(merged, level)
	if len(changed) == 0 {
		changed = []string{"nothing"}
	}
	log.Info("reloaded", "changed", strings.Join(changed, ", "))
	return merged
}
