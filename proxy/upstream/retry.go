package upstream

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// The pauses between attempts: a random time up to firstPause, twice as much at
// each further attempt, up to longestPause. All of the time is random ("full
// jitter"), so that the callers of an upstream that comes back do not come back
// together.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// pause returns how long to wait before the attempt of the given number, 1 being
// the second one.
func pause(attempt int) time.Duration {
	limit := longestPause
	if attempt < 10 {
		limit = min(longestPause, firstPause<<(attempt-1))
	}
	return rand.N(limit + 1)
}

// wait waits before an attempt, and reports whether there is still time for it.
// floor is what the upstream asked for.
func (c *Client) wait(ctx context.Context, attempt int, floor time.Duration) bool {
	d := max(floor, pause(attempt))
	if by, ok := ctx.Deadline(); ok && time.Until(by) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-c.closing.Done():
	}
	return false
}

// repeatable reports whether a request may be sent again when it is not known
// whether the first one had an effect.
func repeatable(method string, idempotencyKey bool) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return true
	}
	return idempotencyKey
}

// passing reports whether an answer says that the upstream, or something before
// it, is only for the moment unable, and for how long it says so.
func passing(status int, retryAfter string) (floor time.Duration, ok bool) {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, err := strconv.Atoi(retryAfter)
		if err != nil || seconds < 0 {
			seconds = 0
		}
		return time.Duration(min(seconds, 3600)) * time.Second, true
	}
	return 0, false
}
