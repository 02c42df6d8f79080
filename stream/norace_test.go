//go:build !race

package stream

// scale divides the load of the largest tests when the race detector is on.
const scale = 1
