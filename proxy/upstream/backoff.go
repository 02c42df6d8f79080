package upstream

import (
	"math/rand/v2"
	"time"
)

// firstBackoff is the longest pause before a stream is opened for the second
// time; each further failure doubles it.
const firstBackoff = 250 * time.Millisecond

// backoff is how long to wait between attempts to open a stream. The time is
// random, so that the jobs of one upstream do not all come back together.
type backoff struct {
	// max bounds every pause, also one that the upstream asked for.
	max      time.Duration
	attempts int
	// asked is what the upstream wants to pass before the next attempt.
	asked time.Duration
}

// reset says that the upstream works again. What it asked for stays.
func (b *backoff) reset() { b.attempts = 0 }

// next returns the next pause: what the upstream asked for at least, up to a
// quarter more than that or the exponential time, whichever is longer. What
// reaches max is random in the last quarter below it.
func (b *backoff) next() time.Duration {
	ceiling := b.max
	if b.attempts < 30 {
		ceiling = min(firstBackoff<<b.attempts, b.max)
	}
	b.attempts++
	low := min(b.asked, b.max-b.max/4)
	high := min(max(ceiling, low+low/4), b.max)
	return low + rand.N(high-low+1)
}
