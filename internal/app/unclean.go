package app

import (
	"encoding/binary"
	"log/slog"

	"milepost/cache/store"
	"milepost/metrics"
)

// uncleanShutdowns is the name under which the store keeps how often a process
// did not come to its end.
const uncleanShutdowns = "unclean-shutdowns"

// markRunning marks the data directory as in use, and counts the mark that an
// earlier process left behind.
func markRunning(s *store.Store, m *metrics.Metrics, log *slog.Logger) (*store.Mark, error) {
	v, err := s.Meta(uncleanShutdowns)
	if err != nil {
		return nil, err
	}
	var total uint64
	if len(v) == 8 {
		total = binary.BigEndian.Uint64(v)
	}
	mark, found, err := s.MarkRunning()
	if err != nil {
		return nil, err
	}
	if found {
		total++
		log.Warn("the last process did not shut down cleanly; everything acknowledged was recovered from the log",
			"times", total)
		if err := s.SetMeta(uncleanShutdowns, binary.BigEndian.AppendUint64(nil, total)); err != nil {
			return mark, err
		}
	}
	m.UncleanShutdowns.Add(float64(total))
	return mark, nil
}
