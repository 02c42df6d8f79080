package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"milepost/metrics"
)

// Options say where the upstream is and how patient to be with it.
type Options struct {
	// URL is http:// or https://, a host, and a path that is put before the
	// target of every request, if there is one.
	URL string
	// CA is a PEM file of the authorities that are trusted, instead of the
	// system's. Cert and Key are the client's own certificate. All may be empty.
	CA, Cert, Key string
	// Authorization, if set, takes the place of the callers' own.
	Authorization string

	// ConnectTimeout bounds a connection with all addresses tried, and once more
	// its TLS handshake. HeaderTimeout bounds the time from the end of a request
	// to the head of its answer. RequestTimeout bounds the whole of Do with all
	// its attempts; Pass gets a second more for every 16 KiB of the bodies, and
	// an event stream that it relays may go on as long as something comes within
	// each RequestTimeout. All are required.
	ConnectTimeout, HeaderTimeout, RequestTimeout time.Duration
	// MaxIdle is how many unused connections are kept, for Pass and for the
	// others each.
	MaxIdle int
	// Retries is how often a request that is safe to repeat is tried again.
	Retries int
	// BreakerFailures in a row open the breaker for BreakerWait, at most 5 s.
	// Without failures there is no breaker.
	BreakerFailures int
	BreakerWait     time.Duration
	// MaxAnswer bounds the body of an answer that is held in memory, in bytes.
	MaxAnswer int64

	// Trusted are the proxies whose X-Forwarded-* and Forwarded are kept; anyone
	// else's are replaced.
	Trusted []netip.Prefix
	// Secure says that callers come by HTTPS.
	Secure bool

	Metrics *metrics.Upstream
	Logger  *slog.Logger
}

// MaxBreakerWait bounds how long an upstream that is back can stay unnoticed
// (semantics.md, "In front of an upstream").
const MaxBreakerWait = 5 * time.Second

// Client is the way to the upstream. It is safe for concurrent use.
type Client struct {
	o       Options
	scheme  string
	host    string // as in the header Host
	prefix  string // of every target; no slash at its end
	breaker *breaker
	dialer  *dialer
	secure  *tls.Config // nil for http
	http    *http.Transport
	pool    *pool
	routes  routes
	passed  *metrics.UpstreamRoute

	// closing ends the waits between attempts.
	closing context.Context
	close   context.CancelFunc
}

// New returns a client that has not connected yet.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("cannot parse the upstream's URL: %w", err)
	}
	if err := o.check(u); err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	c := &Client{
		o: o, scheme: u.Scheme, host: u.Host, prefix: strings.TrimRight(u.EscapedPath(), "/"),
		breaker: newBreaker(o.BreakerFailures, o.BreakerWait, o.Logger),
		dialer:  newDialer(u.Hostname(), port, o.ConnectTimeout),
		routes:  routes{metrics: o.Metrics},
	}
	if u.Scheme == "https" {
		if c.secure, err = newTLS(&o, u.Hostname()); err != nil {
			return nil, err
		}
	}
	c.http = newTransport(&o, c.dialer, c.secure)
	c.pool = newPool(c)
	c.passed = c.routes.of(passRoute)
	c.closing, c.close = context.WithCancel(context.Background())
	return c, nil
}

// check says what is wrong with the options.
func (o *Options) check(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the upstream's URL must begin with http:// or https://, not %q", u.Scheme)
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the upstream's URL must have a host, and no user, query or fragment")
	case o.ConnectTimeout <= 0 || o.HeaderTimeout <= 0 || o.RequestTimeout <= 0:
		return errors.New("the upstream's timeouts must be longer than nothing")
	case o.BreakerWait < 0 || o.BreakerWait > MaxBreakerWait:
		return fmt.Errorf("the wait of the upstream's breaker must be at most %v, not %v", MaxBreakerWait, o.BreakerWait)
	case o.MaxIdle < 0 || o.Retries < 0 || o.BreakerFailures < 0 || o.MaxAnswer <= 0:
		return errors.New("the upstream's limits must not be negative, and an answer must have room")
	}
	return nil
}

// Close closes the connections that are not in use and ends the waits between
// attempts. Requests in flight are their callers' to end.
func (c *Client) Close() {
	c.close()
	c.pool.close()
	c.http.CloseIdleConnections()
}

// Down reports whether the breaker is open or the last request failed.
func (c *Client) Down() bool { return c.breaker.down() }

// connect opens a connection for Pass.
func (c *Client) connect(ctx context.Context) (net.Conn, error) {
	inner, err := c.dialer.dial(ctx)
	if err != nil || c.secure == nil {
		return inner, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.ConnectTimeout)
	defer cancel()
	config := c.secure.Clone()
	config.NextProtos = []string{"http/1.1"}
	outer := tls.Client(inner, config)
	if err := outer.HandshakeContext(ctx); err != nil {
		_ = inner.Close()
		return nil, err
	}
	return outer, nil
}
