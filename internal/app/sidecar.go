package app

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/metrics"
	"milepost/proxy"
	"milepost/proxy/upstream"
)

// sidecar makes what the server needs in front of an upstream, nil without one.
func sidecar(cfg *config.Config, s *store.Store, spool *store.Spool, m *metrics.Metrics, log *slog.Logger) (*proxy.SidecarOptions, error) {
	c := &cfg.Upstream
	if c.URL == "" {
		return nil, nil
	}
	o := upstream.Options{
		URL: c.URL, CA: c.CA, Cert: c.Cert, Key: c.Key,
		ConnectTimeout: c.ConnectTimeout.Std(), HeaderTimeout: c.HeaderTimeout.Std(), RequestTimeout: c.RequestTimeout.Std(),
		MaxIdle: c.MaxIdle, Retries: c.Retries, BreakerFailures: c.BreakerFailures, BreakerWait: min(c.MaxBackoff.Std(), upstream.MaxBreakerWait),
		MaxAnswer: int64(c.MaxEvent), Secure: cfg.Server.TLSCert != "", Metrics: m.Upstream, Logger: log,
	}
	if c.Auth == "local" {
		o.Authorization = "Bearer " + c.APIKey.Reveal()
	} else if len(cfg.Auth.Keys) > 0 {
		log.Warn("auth.keys are not used: with upstream.auth \"forward\" the upstream decides who may do what")
	}
	for _, network := range c.TrustedProxies {
		o.Trusted = append(o.Trusted, netip.MustParsePrefix(network)) // it was checked
	}
	client, err := upstream.New(o)
	if err != nil {
		return nil, fmt.Errorf("upstream %q: %w", c.URL, err)
	}
	if c.Auth != "local" {
		spool = nil // without a key of its own it cannot deliver
	}
	return &proxy.SidecarOptions{
		Client: client, Spool: spool, Config: c, Source: new(proxy.Source),
		Verdicts: upstream.NewVerdicts(s.Verdicts(), c.AuthTTL.Std(), c.StaleAuth.Std(), time.Now),
		Follow: upstream.FollowOptions{
			Idle: c.StreamIdle.Std(), Linger: c.Linger.Std(), GiveUp: c.GiveUp.Std(), MaxBackoff: c.MaxBackoff.Std(),
			MaxEvent: int64(c.MaxEvent), Metrics: m.Upstream, Logger: log,
		},
	}, nil
}
