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
	// Median is the middle one of the runs' ratios.
	Median float64 `json:"median"`
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
	ratios, logs := make([]float64, n), make([]float64, n)
	mean := 0.0
	for i := range logs {
		ratios[i] = a[i] / b[i]
		logs[i] = math.Log(ratios[i])
		mean += logs[i] / float64(n)
	}
	r := ratio{Mean: math.Exp(mean), Median: median(ratios), Low: math.NaN(), High: math.NaN(), Runs: n}
	if n < 2 {
		return r
	}
	variance := 0.0
	for _, l := range logs {
		variance += (l - mean) * (l - mean) / float64(n-1)
	}
	half := studentQuantile(n-1) * math.Sqrt(variance/float64(n))
	r.Low, r.High = math.Exp(mean-half), math.Exp(mean+half)
	return r
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
