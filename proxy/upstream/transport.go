package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// idleTimeout is how long an unused connection is kept. It is less than what
// servers grant theirs, so that they seldom close one that is about to be used.
const idleTimeout = 30 * time.Second

// maxHead is the largest head of an answer, in bytes.
const maxHead = 64 << 10

// newTLS returns the TLS configuration for an https URL.
func newTLS(o *Options, host string) (*tls.Config, error) {
	c := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("cannot read the upstream's CA: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("cannot use the upstream's CA %q: no PEM certificate in it", o.CA)
		}
	}
	if o.Cert != "" || o.Key != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("cannot use the certificate %q for the upstream: %w", o.Cert, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// newTransport returns what Do and Open send their requests with. HTTP/2 is
// taken where the upstream offers it. secure is nil for http.
func newTransport(o *Options, d *dialer, secure *tls.Config) *http.Transport {
	t := &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return d.dial(ctx) },
		TLSHandshakeTimeout: o.ConnectTimeout,
		// A body is passed on as it came, and the caller says what it accepts.
		DisableCompression:     true,
		MaxIdleConns:           o.MaxIdle,
		MaxIdleConnsPerHost:    o.MaxIdle,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  o.HeaderTimeout,
		MaxResponseHeaderBytes: maxHead,
		ForceAttemptHTTP2:      true,
		// A connection of HTTP/2 whose other end is gone would hold up every
		// request that is put on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
	if secure != nil {
		t.TLSClientConfig = secure.Clone()
	}
	return t
}
