//go:build !race

package proxy

// With the race detector a sync.Pool drops at random what it is given, so that
// nothing can be said about allocations.

import "testing"

// A hot GET allocates nothing, from the request's first byte to the answer's
// last, whichever way its body is sent.
func TestHotGetAllocatesNothing(t *testing.T) {
	a := start(t, nil)
	for _, size := range []int{100, 4 << 10, 64 << 10, 600 << 10} {
		do := repeat(a, size)
		if got := testing.AllocsPerRun(200, do); got > 0 {
			t.Errorf("%d bytes: %v allocations", size, got)
		}
	}
}
