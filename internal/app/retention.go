package app

import (
	"context"
	"log/slog"
	"time"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/metrics"
)

// retention deletes ended jobs, and copies that are not in use, in the
// background.
type retention struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startRetention(cfg *config.Config, s *store.Store, inUse func(job string) bool, forget func(job string), m *metrics.Metrics, log *slog.Logger) *retention {
	ctx, cancel := context.WithCancel(context.Background())
	r := &retention{cancel: cancel, done: make(chan struct{})}
	rule := store.Retention{
		Age: cfg.Store.RetentionAge.Std(), Size: uint64(cfg.Store.RetentionSize), Abandon: cfg.Store.AbandonAfter.Std(),
		InUse: inUse,
	}
	go func() {
		defer close(r.done)
		if rule.Age == 0 && rule.Size == 0 {
			return
		}
		tick := time.NewTicker(cfg.Store.RetentionInterval.Std())
		defer tick.Stop()
		for {
			n, err := s.Retain(ctx, rule, time.Now(), func(job string) {
				forget(job)
				m.JobsDeleted.WithLabelValues("retention").Inc()
			})
			if err != nil {
				log.Error("retention failed; it will be tried again", "error", err)
			} else if n > 0 {
				log.Info("retention deleted ended jobs", "jobs", n)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return r
}

func (r *retention) stop() {
	r.cancel()
	<-r.done
}
