package proxy

import (
	"sync"

	"golang.org/x/time/rate"
)

// maxRates bounds the credentials in each of the two generations of rates.
const maxRates = 1 << 13

// rates is server.rate_limit for credentials that no list names. Those that were
// not seen for a while are forgotten: their bucket was full again by then, unless
// there are too many.
type rates struct {
	mu           sync.Mutex
	limit, burst int
	young, old   map[[32]byte]*rate.Limiter
}

// set puts a limit in force, in requests a second; 0 is none.
func (r *rates) set(limit, burst int) {
	if burst == 0 {
		burst = 2 * limit
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if limit != r.limit || burst != r.burst {
		r.limit, r.burst, r.young, r.old = limit, burst, nil, nil
	}
}

// allow counts a request of a credential and reports whether it may go on.
func (r *rates) allow(of [32]byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limit == 0 {
		return true
	}
	l := r.young[of]
	if l == nil {
		if l = r.old[of]; l == nil {
			l = rate.NewLimiter(rate.Limit(r.limit), r.burst)
		}
		if len(r.young) >= maxRates || r.young == nil {
			r.young, r.old = make(map[[32]byte]*rate.Limiter), r.young
		}
		r.young[of] = l
	}
	return l.Allow()
}
