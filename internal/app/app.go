// Package app is the life of the program, read from top to bottom: open in
// order, serve, wait, drain, close in reverse.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/internal/origin"
	"milepost/metrics"
	"milepost/proxy"
	"milepost/stream"
)

// Load reads the configuration: at the start, and again for each reload.
type Load func() (*config.Config, error)

// Run serves until SIGTERM or SIGINT and returns after the drain. out takes
// what the person who starts the server should read, errs the log.
func Run(load Load, out, errs io.Writer) (err error) {
	cfg, err := load()
	if err != nil {
		return err
	}
	named, err := readFiles(cfg)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log := newLogger(cfg, level, errs)

	signals := watchSignals(log, os.Exit)
	defer signals.stop()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)

	// Most of the heap are bodies, which cost the collector nothing to look at:
	// half of Go's usual headroom saves a fifth of the memory under load at no
	// cost in CPU that could be measured.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	began := time.Now()
	m := metrics.New()
	ready := &readiness{reason: "starting"}

	admin, err := startAdmin(cfg, m, ready, log)
	if err != nil {
		return err
	}
	defer admin.close()

	s, err := store.Open(storeOptions(cfg, m, log))
	if err != nil {
		return explainOpen(err)
	}
	log.Info("store is open", "dir", cfg.Store.Dir, "took", time.Since(began))
	var mark *store.Mark
	defer func() { err = errors.Join(err, closeStore(s, mark, log)) }()
	if err := dedicate(s, cfg); err != nil {
		return err
	}
	if mark, err = markRunning(s, m, log); err != nil {
		return err
	}

	hot, err := cache.New(s, int64(cfg.Cache.Size))
	if err != nil {
		return fmt.Errorf("cannot make the hot tier: %w", err)
	}
	defer hot.Close()

	keys, first, err := resolveKeys(cfg, s, log)
	if err != nil {
		return err
	}
	streams := streamOptions(cfg, s, m, log)
	spool, err := openSpool(cfg, s, m, log)
	if err != nil {
		return err
	}
	side, err := sidecar(cfg, s, spool, m, log)
	if err != nil {
		return err
	}
	if side != nil {
		defer side.Client.Close()
		streams.Source, streams.History = side.Source, side.Source.History(streams.History)
		ready.upstream(side.Client.Down, spool)
	}
	hub, err := stream.New(streams)
	if err != nil {
		return err
	}
	defer hub.Close()
	defer startGiveBack(hub.Subscribers)()
	// A job that is deleted is gone from all of them.
	forget := func(job string) {
		hot.Deleted()
		hub.Deleted(job)
	}
	server, err := proxy.New(proxy.Options{
		Config: cfg, Keys: keys, Origin: origin.New(s, named.catalog), Store: s, Cache: hot, Hub: hub, Metrics: m, Logger: log,
		Sidecar: side,
	})
	if err != nil {
		return err
	}
	ln, err := listen(cfg.Server.Listen, named.tls)
	if err != nil {
		return fmt.Errorf("server.listen: %w", err)
	}
	token, err := writeToken(cfg.Store.Dir)
	if err != nil {
		return err
	}
	registerFigures(m, s, hot)
	admin.publish, admin.server = hub.Publish, server
	admin.open(token, s, forget)
	// Its requests use the cache and the store, so it ends before they do.
	defer admin.close()

	// A copy is in use, too, if the upstream lacks something of it.
	inUse := func(job string) bool { return hub.Watched("", job) || spool != nil && spool.Has(job) }
	retention := startRetention(cfg, s, inUse, forget, m, log)
	defer retention.stop()

	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	ready.set(s)
	log.Info("serving", "listen", ln.Addr().String(), "admin_listen", cfg.Server.AdminListen, "took", time.Since(began))
	greet(out, address(ln, cfg), first)
	notify(stateReady, log)

	var failure error
	for {
		select {
		case err := <-served:
			failure = fmt.Errorf("the listener failed: %w", err)
			log.Error("draining, because the listener failed", "error", err)
		case <-hup:
			cfg = reload(cfg, load, server, keys, level, log)
			continue
		case sig := <-signals.drain:
			log.Info("draining", "signal", sig.String(), "at_most", cfg.Server.DrainTimeout.Std())
		}
		break
	}

	ready.drain()
	notify(stateStopping, log)
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Server.DrainTimeout.Std())
	defer cancel()
	drained := drainStreams(hub, cfg)
	// A write that waits for disk space would hold up the end for ever.
	defer context.AfterFunc(ctx, s.StopWaiting)()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		log.Error("drain", "error", err)
	} else if err != nil {
		log.Warn("requests in flight were cut off after drain_timeout")
	}
	<-drained
	log.Info("drained", "served_for", time.Since(began))
	return failure
}

// closeStore closes the store, and only then says that this process came to
// its end: what fails or is killed before counts as an unclean shutdown. mark
// is nil if the start failed before it.
func closeStore(s *store.Store, mark *store.Mark, log *slog.Logger) error {
	began := time.Now()
	if err := s.Close(); err != nil {
		return fmt.Errorf("cannot close the store cleanly: %w", err)
	}
	if mark != nil {
		if err := mark.Remove(); err != nil {
			log.Warn("the next start will take this end for an unclean shutdown", "error", err)
		}
	}
	log.Info("store is closed", "took", time.Since(began))
	return nil
}

// drainStreams ends the streams over server.drain_spread. The channel is closed when all have ended, at the latest
// server.drain_timeout after the last was told to.
func drainStreams(hub *stream.Hub, cfg *config.Config) <-chan struct{} {
	spread := cfg.Server.DrainSpread.Std()
	ctx, cancel := context.WithTimeout(context.Background(), spread+cfg.Server.DrainTimeout.Std())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		hub.Drain(ctx, spread)
	}()
	return done
}

func streamOptions(cfg *config.Config, s *store.Store, m *metrics.Metrics, log *slog.Logger) stream.Options {
	c := &cfg.Stream
	return stream.Options{
		History: cache.NewHistory(s), Metrics: m.Stream, Logger: log,
		Heartbeat: c.Heartbeat.Std(), StallTimeout: c.StallTimeout.Std(), MaxLifetime: c.MaxLifetime.Std(),
		Buffer: int64(c.Buffer), SendBuffer: int(c.SendBuffer), Limits: proxy.StreamLimits(c),
	}
}

func registerFigures(m *metrics.Metrics, s *store.Store, hot *cache.Cache) {
	m.RegisterStore(func() metrics.StoreFigures {
		f := s.Stats()
		return metrics.StoreFigures{FreeBytes: f.FreeBytes, LowSpace: f.LowSpace, WriteStalls: f.WriteStalls, Pebble: f.Pebble}
	})
	m.RegisterCache(func() metrics.CacheFigures { return metrics.CacheFigures(hot.Figures()) })
}

func storeOptions(cfg *config.Config, m *metrics.Metrics, log *slog.Logger) store.Options {
	c := &cfg.Store
	o := store.Options{
		Dir: c.Dir, BlockCache: int64(c.BlockCache), MemTable: uint64(c.Memtable), AppendMemory: int64(c.AppendMemory),
		MinFree: uint64(c.MinFree), Ballast: int64(c.Ballast), CheckInterval: c.CheckInterval.Std(),
		Logger: log, CommitObserver: m.ObserveCommit,
	}
	if o.AppendMemory == 0 { // off, where the store's 0 is its default
		o.AppendMemory = -1
	}
	return o
}
