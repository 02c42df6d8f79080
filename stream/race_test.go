//go:build race

package stream

// scale divides the load of the largest tests: with the race detector, all is
// several times slower.
const scale = 5
