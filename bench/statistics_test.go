package main

import (
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}, {[]float64{7}, 7}} {
		if got := median(c.values); got != c.want {
			t.Errorf("median of %v is %v, not %v", c.values, got, c.want)
		}
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestCompareRunsPairsWhatRanTogether(t *testing.T) {
	// The machine slows to a tenth; the ratio of each pair stays.
	r := compareRuns([]float64{200, 100, 20}, []float64{100, 50, 10})
	if math.Abs(r.Mean-2) > 1e-9 || math.Abs(r.Low-2) > 1e-9 || math.Abs(r.High-2) > 1e-9 || r.Runs != 3 {
		t.Errorf("got %+v", r)
	}
	// An odd one out moves the mean, not the median.
	if r := compareRuns([]float64{2, 2, 2000}, []float64{1, 1, 1}); r.Median != 2 || math.Abs(r.Mean-20) > 1e-9 {
		t.Errorf("got %+v", r)
	}
	// ln 1 and ln 4: mean ln 2, standard error ln 2, 12.706 of it for one degree.
	r = compareRuns([]float64{1, 4}, []float64{1, 1})
	if want := 2 * math.Exp(12.706*math.Ln2); math.Abs(r.High-want)/want > 1e-9 || math.Abs(r.Mean-2) > 1e-9 {
		t.Errorf("got %+v, want a high end of %v", r, want)
	}
	if r := compareRuns([]float64{1}, []float64{2}); r.Mean != 0.5 || !math.IsNaN(r.Low) {
		t.Errorf("a single pair gives %+v", r)
	}
}
