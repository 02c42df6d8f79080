package main

import (
	"math"
	"slices"
)

// median returns the middle of values, the mean of the two middle ones if
// their number is even, NaN without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// ratio is how two series of interleaved runs compare.
type ratio struct {
	// Mean is the geometric mean of the runs' ratios.
	Mean float64 `json:"mean"`
	// Low and High bound the 95 % confidence interval of Mean; both are NaN
	// for a single pair.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	Runs int     `json:"runs"`
}

// compareRuns pairs the ith run of a with the ith of b, which ran beside it,
// so that a drift of the machine hits both. The interval is Student's for the
// logarithms of the ratios.
func compareRuns(a, b []float64) ratio {
	n := min(len(a), len(b))
	logs := make([]float64, n)
	mean := 0.0
	for i := range logs {
		logs[i] = math.Log(a[i] / b[i])
		mean += logs[i] / float64(n)
	}
	if n < 2 {
		return ratio{math.Exp(mean), math.NaN(), math.NaN(), n}
	}
	variance := 0.0
	for _, l := range logs {
		variance += (l - mean) * (l - mean) / float64(n-1)
	}
	half := studentQuantile(n-1) * math.Sqrt(variance/float64(n))
	return ratio{math.Exp(mean), math.Exp(mean - half), math.Exp(mean + half), n}
}

// studentQuantile returns the 97.5 % quantile of Student's distribution.
func studentQuantile(degrees int) float64 {
	table := [...]float64{
		12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
	}
	if degrees <= len(table) {
		return table[degrees-1]
	}
	return 1.96 + 2.5/float64(degrees)
}
