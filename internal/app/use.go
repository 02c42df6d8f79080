package app

import (
	"errors"
	"fmt"

	"milepost/cache/store"
	"milepost/internal/config"
)

// dedicate makes sure that the data directory is for what it is to be used for: its
// own jobs, or copies of an upstream's.
func dedicate(s *store.Store, cfg *config.Config) error {
	use, hint := store.UseOwn, "it holds copies of an upstream's jobs. Set upstream.url (--upstream) to go on with them, or name another directory with store.dir (--data) for jobs of this server's own"
	if cfg.Upstream.URL != "" {
		use, hint = store.UseCopies, "it holds jobs of this server's own, of which an upstream knows nothing. Name another directory with store.dir (--data) for the sidecar, or start without upstream.url to go on with them"
	}
	err := s.Dedicate(use)
	if errors.Is(err, store.ErrOtherUse) {
		return fmt.Errorf("%w: %s", err, hint)
	}
	if err != nil {
		return fmt.Errorf("cannot mark what the data directory is for: %w", err)
	}
	return nil
}
