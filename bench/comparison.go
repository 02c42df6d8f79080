package main

import "fmt"

// comparison is one series against another in one measure, run by run.
type comparison struct {
	Name string `json:"name"`
	ratio
	// AtLeast and AtMost are what the median should be, 0 for no bound.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	// Errors counts those of both series.
	Errors int64 `json:"errors"`
}

// String says how it came out.
func (c comparison) String() string {
	s := fmt.Sprintf("%s: %s", c.Name, number(c.Median))
	if c.Runs > 1 {
		s += fmt.Sprintf(" (median of %d pairs of runs; mean %s, 95 %% confidence %s–%s)", c.Runs, number(c.Mean), number(c.Low), number(c.High))
	}
	return s
}

// figure is a single value.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

// String says what it is.
func (f figure) String() string { return f.Name + ": " + f.amount() }

// amount is the value with its unit.
func (f figure) amount() string {
	if f.Unit == "" {
		return number(f.Value)
	}
	return number(f.Value) + " " + f.Unit
}

// judge says what a value is wanted to be, empty if nothing is wanted of it, and
// whether it is.
func judge(v, atLeast, atMost float64) (wanted string, met bool) {
	switch {
	case atLeast != 0:
		return fmt.Sprintf("at least %g", atLeast), v >= atLeast
	case atMost != 0:
		return fmt.Sprintf("at most %g", atMost), v <= atMost
	}
	return "", true
}

// compareSeries compares two series; ok is false if one did not run.
func compareSeries[R oneRun](name string, a, b series[R], of func(R) float64) (c comparison, ok bool) {
	if len(a.Runs) == 0 || len(b.Runs) == 0 {
		return comparison{}, false
	}
	return comparison{Name: name, ratio: compareRuns(a.values(of), b.values(of)), Errors: a.errors() + b.errors()}, true
}

// compare adds how system fares against another within all, if both ran.
func (r *report) compare(all []series[measurement], system, against, measure string, of func(measurement) float64, atLeast float64) {
	r.compareNamed(all, system, against, measure, of, atLeast, 0)
}

// compareAtMost is compare for a measure of which less is better.
func (r *report) compareAtMost(all []series[measurement], system, against, measure string, of func(measurement) float64, atMost float64) {
	r.compareNamed(all, system, against, measure, of, 0, atMost)
}

// compareNamed finds two systems in all and compares them, if both ran.
func (r *report) compareNamed(all []series[measurement], system, against, measure string, of func(measurement) float64, atLeast, atMost float64) {
	var a, b series[measurement]
	for _, s := range all {
		switch s.System {
		case system:
			a = s
		case against:
			b = s
		}
	}
	if c, ok := compareSeries(fmt.Sprintf("%s: %s / %s in %s", a.Case, system, against, measure), a, b, of); ok {
		c.AtLeast, c.AtMost = atLeast, atMost
		r.Comparisons = append(r.Comparisons, c)
	}
}

// compareStreams adds how a fares against b, if both ran.
func (r *report) compareStreams(name string, a, b series[fanoutRun], of func(fanoutRun) float64, atLeast, atMost float64) {
	if c, ok := compareSeries(name, a, b, of); ok {
		c.AtLeast, c.AtMost = atLeast, atMost
		r.Comparisons = append(r.Comparisons, c)
	}
}
