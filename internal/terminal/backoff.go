package terminal

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// The waits between attempts. The longest is short: a person watches.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 5 * time.Second
)

// Backoff tells how long to wait before the next attempt: twice as long each
// time up to 5 s, less up to a half by chance, so that many clients of a server
// that restarts do not come at once. The zero value is ready.
type Backoff struct {
	attempts int
	least    time.Duration // what a stream's retry field asked for
}

// Reset begins anew after a success.
func (b *Backoff) Reset() { b.attempts = 0 }

// Wait waits before the next attempt, longer if err is an *APIError that asks
// for it. Its error is that of ctx.
func (b *Backoff) Wait(ctx context.Context, err error) error {
	d := min(firstWait<<min(b.attempts, 10), maxWait)
	b.attempts++
	d = max(d-rand.N(d/2+1), b.least)
	if api := (*APIError)(nil); errors.As(err, &api) {
		d = max(d, min(api.RetryAfter, time.Minute))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
