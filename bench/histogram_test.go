package main

import (
	"testing"
	"time"
)

func TestHistogramQuantilesAreWithinABucket(t *testing.T) {
	var h, odd histogram
	for i := 1; i <= 10000; i++ {
		if i%2 == 0 {
			h.add(time.Duration(i) * time.Microsecond)
		} else {
			odd.add(time.Duration(i) * time.Microsecond)
		}
	}
	h.merge(&odd)
	for _, c := range []struct {
		q    float64
		want time.Duration
	}{{0.5, 5000}, {0.9, 9000}, {0.99, 9900}, {1, 10000}, {0, 1}} {
		want := c.want * time.Microsecond
		got := h.quantile(c.q)
		if got < want || got > want+want/subBuckets+1 {
			t.Errorf("quantile %v is %s, not %s", c.q, got, want)
		}
	}
}

func TestHistogramBucketsHoldTheirValues(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 1<<maxBits; d = d*21/20 + 1 {
		i := bucketOf(d)
		if i < last {
			t.Fatalf("%d is in bucket %d, below that of smaller values, %d", d, i, last)
		}
		last = i
		if end := bucketEnd(i); d > end || end-d > d/subBuckets {
			t.Fatalf("%d is in bucket %d, which ends at %d", d, i, end)
		}
	}
}

func TestHistogramTakesEveryDuration(t *testing.T) {
	var h histogram
	if got := h.quantile(0.5); got != 0 {
		t.Errorf("an empty histogram has the median %s", got)
	}
	h.add(-time.Second)
	h.add(time.Hour)
	if got := h.quantile(0.1); got != 0 {
		t.Errorf("a negative duration counts as %s", got)
	}
	if h.total != 2 || h.max != time.Hour {
		t.Errorf("total %d, max %s", h.total, h.max)
	}
}
