package upstream

import (
	"testing"
	"time"
)

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	const second = time.Second
	for range 50 {
		b := backoff{max: 5 * second}
		for _, want := range []time.Duration{second / 4, second / 2, second, 2 * second, 4 * second, 5 * second, 5 * second} {
			if got := b.next(); got < 0 || got > want {
				t.Fatalf("pause of %v instead of up to %v", got, want)
			}
		}
		for range 100 {
			if got := b.next(); got < 0 || got > b.max {
				t.Fatalf("pause of %v beyond %v", got, b.max)
			}
		}
		b.reset()
		if got := b.next(); got > second/4 {
			t.Fatalf("pause of %v after a reset", got)
		}
	}
}

func TestBackoffIsRandom(t *testing.T) {
	for _, asked := range []time.Duration{0, 2 * time.Second, time.Hour} {
		seen := make(map[time.Duration]bool)
		for range 20 {
			b := backoff{max: 5 * time.Second, asked: asked}
			seen[b.next()] = true
		}
		if len(seen) < 10 {
			t.Errorf("asked for %v, 20 pauses have %d lengths", asked, len(seen))
		}
	}
}

func TestBackoffHonoursWhatWasAskedFor(t *testing.T) {
	for range 100 {
		b := backoff{max: 5 * time.Second, asked: 2 * time.Second}
		if got := b.next(); got < 2*time.Second || got > 2500*time.Millisecond {
			t.Fatalf("pause of %v instead of 2 s to 2.5 s", got)
		}
		b = backoff{max: 5 * time.Second, asked: time.Hour}
		if got := b.next(); got < 3750*time.Millisecond || got > 5*time.Second {
			t.Fatalf("pause of %v instead of 3.75 s to 5 s", got)
		}
		b = backoff{max: time.Nanosecond, asked: time.Hour}
		if got := b.next(); got > time.Nanosecond {
			t.Fatalf("pause of %v", got)
		}
	}
}
