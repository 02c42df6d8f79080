package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"sync/atomic"

	"golang.org/x/time/rate"

	"milepost/internal/config"
	"milepost/metrics"
)

// caller is who a request comes from.
type caller struct {
	config.Key
	limiter *rate.Limiter // nil: no limit
	// local is the local key of the caller where the rest is as the upstream
	// sees it, and authorization what goes upstream as the header Authorization.
	local         *caller
	authorization string
}

// callers is the set of keys in force. A reload replaces it as a whole.
type callers map[[sha256.Size]byte]*caller

// authenticator finds the caller of a request.
type authenticator struct {
	callers atomic.Pointer[callers]
	metrics *metrics.Metrics
}

// set puts keys in force. A key that stays keeps its rate limiter, unless the
// limit changed.
func (a *authenticator) set(keys []config.Key, limit, burst int) {
	if burst == 0 {
		burst = 2 * limit
	}
	next := make(callers, len(keys))
	for _, k := range keys {
		c := &caller{Key: k}
		if limit > 0 {
			c.limiter = rate.NewLimiter(rate.Limit(limit), burst)
			if old := a.callers.Load(); old != nil {
				if o := (*old)[k.Hash]; o != nil && o.limiter != nil &&
					o.limiter.Limit() == rate.Limit(limit) && o.limiter.Burst() == burst {
					c.limiter = o.limiter
				}
			}
		}
		next[k.Hash] = c
	}
	a.callers.Store(&next)
}

// memo is the last credential that was accepted on a connection. A client's
// requests on one connection mostly carry the same, and need not hash it again.
type memo struct {
	callers *callers // the set of keys that accepted it
	header  []byte
	caller  *caller
}

// maxMemo bounds the header that a memo keeps, in bytes.
const maxMemo = 256

// find returns the caller that an Authorization header names, or nil. m is the
// memo of the connection that it came on: the same header under the same set of
// keys names the same caller. They are compared in constant time, because a
// proxy may send several clients' requests on one connection.
//
// The secret is hashed first, whatever it is, and only hashes are looked up: how
// long that takes tells nothing about the keys, since nobody can choose what
// the hash of a guess begins with.
func (a *authenticator) find(header []byte, m *memo) *caller {
	const scheme = "Bearer "
	if len(header) == 0 {
		a.metrics.AuthFailures.WithLabelValues("missing").Inc()
		return nil
	}
	if len(header) <= len(scheme) || !equalFold(header[:len(scheme)], scheme) {
		a.metrics.AuthFailures.WithLabelValues("malformed").Inc()
		return nil
	}
	callers := a.callers.Load()
	if m.callers == callers && subtle.ConstantTimeCompare(m.header, header) == 1 {
		return m.caller
	}
	hash := sha256.Sum256(header[len(scheme):])
	c := (*callers)[hash]
	if c == nil || subtle.ConstantTimeCompare(hash[:], c.Hash[:]) != 1 {
		a.metrics.AuthFailures.WithLabelValues("unknown").Inc()
		return nil
	}
	if len(header) <= maxMemo {
		*m = memo{callers, append(m.header[:0], header...), c}
	}
	return c
}

// equalFold compares ASCII without regard to case: the name of an
// authentication scheme is case-insensitive (RFC 9110, section 11.1).
func equalFold(b []byte, s string) bool {
	for i := range b {
		x, y := b[i], s[i]
		if x|0x20 != y|0x20 || x == ' ' && y != ' ' {
			return false
		}
	}
	return true
}
