package main

import (
	"math/bits"
	"time"
)

const (
	// subBuckets divide each power of two, so that a value is off by at most
	// one part in 64.
	subBucketBits = 6
	subBuckets    = 1 << subBucketBits
	// maxBits bounds what is told apart: 2^40 ns are 18 minutes.
	maxBits = 40
)

// histogram counts durations in buckets of constant relative width. Its zero
// value is empty. It is not for several goroutines at once: each has its own,
// merged at the end.
type histogram struct {
	counts [(maxBits - subBucketBits + 1) * subBuckets]uint32
	total  uint64
	max    time.Duration
}

// bucketOf returns the bucket of d.
func bucketOf(d time.Duration) int {
	v := min(uint64(max(d, 0)), 1<<maxBits-1)
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - subBucketBits - 1
	return (shift+1)<<subBucketBits + int(v>>shift) - subBuckets
}

// bucketEnd returns the largest duration of bucket i.
func bucketEnd(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i)
	}
	shift := i>>subBucketBits - 1
	return time.Duration((uint64(i&(subBuckets-1))+subBuckets+1)<<shift - 1)
}

// add counts d; a negative d counts as 0.
func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

// merge counts all that o counted.
func (h *histogram) merge(o *histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// quantile returns the duration that the share q of all, from 0 to 1, does not
// exceed, 0 without any.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q*float64(h.total) + 0.5)
	rank = max(rank, 1)
	seen := uint64(0)
	for i, n := range h.counts {
		seen += uint64(n)
		if seen >= rank {
			return min(bucketEnd(i), h.max)
		}
	}
	return h.max
}
