package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// series is the interleaved runs of one system in one case.
type series struct {
	Case   string        `json:"case"`
	System string        `json:"system"`
	Runs   []measurement `json:"runs"`
}

// values returns what of makes of each run.
func (s series) values(of func(measurement) float64) []float64 {
	v := make([]float64, len(s.Runs))
	for i, m := range s.Runs {
		v[i] = of(m)
	}
	return v
}

// faults returns the number of errors of all runs, and the first.
func (s series) faults() (int64, string) {
	n, first := int64(0), ""
	for _, m := range s.Runs {
		n += m.Errors
		if first == "" {
			first = m.FirstError
		}
	}
	return n, first
}

// generatorBound tells whether the generator set the rate of any run.
func (s series) generatorBound() bool {
	for _, m := range s.Runs {
		if m.generatorBound() {
			return true
		}
	}
	return false
}

// generatorShare is the generator's part of the CPU time that it and the
// server took, if the server's is known.
func (s series) generatorShare() string {
	share := median(s.values(func(m measurement) float64 {
		if m.ServerCPU == 0 {
			return math.NaN()
		}
		return m.GeneratorCPU / (m.GeneratorCPU + m.ServerCPU)
	}))
	if math.IsNaN(share) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*share)
}

// comparison is one system against another in one measure.
type comparison struct {
	Case    string `json:"case"`
	System  string `json:"system"`
	Against string `json:"against"`
	Measure string `json:"measure"`
	ratio
	// AtLeast and AtMost are what the ratio should be, 0 for no bound.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	// Errors counts those of both systems' runs.
	Errors int64 `json:"errors"`
}

// figure is a single value.
type figure struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
}

// report is what a scenario found.
type report struct {
	Scenario    string       `json:"scenario"`
	Smoke       bool         `json:"smoke"`
	Series      []series     `json:"series,omitempty"`
	Comparisons []comparison `json:"comparisons,omitempty"`
	Figures     []figure     `json:"figures,omitempty"`
	Notes       []string     `json:"notes,omitempty"`
	// Failed tells that an answer was wrong, missing or refused.
	Failed bool `json:"failed"`
}

// note adds a remark.
func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// fail adds a fault.
func (r *report) fail(format string, args ...any) {
	r.Failed = true
	r.note("FAULT: "+format, args...)
}

// addSeries adds runs; errors among them fail the report.
func (r *report) addSeries(all []series) {
	for _, s := range all {
		r.Series = append(r.Series, s)
		if n, first := s.faults(); n > 0 {
			r.fail("%s, %s: %d errors, the first: %s", s.Case, s.System, n, first)
		}
		if s.generatorBound() {
			r.note("%s, %s: the generator took most of the CPU time and set the rate; the figures per server CPU second hold", s.Case, s.System)
		}
	}
}

// compare adds how system fares against another within all, if both ran.
func (r *report) compare(all []series, system, against, measure string, of func(measurement) float64, atLeast float64) {
	if c, ok := newComparison(all, system, against, measure, of); ok {
		c.AtLeast = atLeast
		r.Comparisons = append(r.Comparisons, c)
	}
}

// compareAtMost is compare for a measure of which less is better.
func (r *report) compareAtMost(all []series, system, against, measure string, of func(measurement) float64, atMost float64) {
	if c, ok := newComparison(all, system, against, measure, of); ok {
		c.AtMost = atMost
		r.Comparisons = append(r.Comparisons, c)
	}
}

// newComparison compares two systems of all; ok is false if one did not run.
func newComparison(all []series, system, against, measure string, of func(measurement) float64) (c comparison, ok bool) {
	var a, b *series
	for i := range all {
		switch all[i].System {
		case system:
			a = &all[i]
		case against:
			b = &all[i]
		}
	}
	if a == nil || b == nil {
		return comparison{}, false
	}
	na, _ := a.faults()
	nb, _ := b.faults()
	return comparison{
		Case: a.Case, System: system, Against: against, Measure: measure,
		ratio: compareRuns(a.values(of), b.values(of)), Errors: na + nb,
	}, true
}

// print writes the report as tables.
func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Series) > 0 {
		fmt.Fprintln(t, "case\tsystem\trequests/s\tspread\tper server CPU s\tp50 ms\tp99 ms\tPSS MiB\tgenerator CPU\terrors")
	}
	for _, s := range r.Series {
		rates := s.values(measurement.perSecond)
		low, high := bounds(rates)
		n, _ := s.faults()
		fmt.Fprintf(t, "%s\t%s\t%s\t%s–%s\t%s\t%.2f\t%.2f\t%.0f\t%s\t%s\n", s.Case, s.System,
			number(median(rates)), number(low), number(high), number(median(s.values(measurement.perCPUSecond))),
			median(s.values(func(m measurement) float64 { return m.P50 })),
			median(s.values(func(m measurement) float64 { return m.P99 })),
			median(s.values(func(m measurement) float64 { return float64(m.PSS) / (1 << 20) })),
			s.generatorShare(),
			errorsText(n))
	}
	_ = t.Flush()
	for _, c := range r.Comparisons {
		fmt.Fprintf(w, "%s: %s / %s in %s: %.2f", c.Case, c.System, c.Against, c.Measure, c.Mean)
		if c.Runs > 1 {
			fmt.Fprintf(w, " (median %.2f, 95 %% confidence %.2f–%.2f, %d pairs of runs)", c.Median, c.Low, c.High, c.Runs)
		}
		fmt.Fprintf(w, "%s", r.verdict(c.Mean, c.AtLeast, c.AtMost))
		if c.Errors > 0 {
			fmt.Fprintf(w, "  NOT VALID: %d errors", c.Errors)
		}
		fmt.Fprintln(w)
	}
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s: %s %s%s\n", f.Name, number(f.Value), f.Unit, r.verdict(f.Value, f.AtLeast, f.AtMost))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	if r.Smoke {
		fmt.Fprintln(w, "This was a smoke run: it checks answers, its figures mean nothing.")
	}
}

// printJSON writes the report as one line.
func (r *report) printJSON(w io.Writer) error {
	return json.NewEncoder(w).Encode(r.finite())
}

// finite returns the report with 0 for what JSON cannot hold: the bounds of a
// single pair of runs, and ratios to what is not known.
func (r *report) finite() *report {
	c := *r
	c.Comparisons = nil
	for _, x := range r.Comparisons {
		for _, v := range []*float64{&x.Mean, &x.Median, &x.Low, &x.High} {
			if math.IsNaN(*v) || math.IsInf(*v, 0) {
				*v = 0
			}
		}
		c.Comparisons = append(c.Comparisons, x)
	}
	return &c
}

// verdict says whether v keeps its bounds. A smoke run is judged by nothing.
func (r *report) verdict(v, atLeast, atMost float64) string {
	s, ok := "", true
	if r.Smoke {
		return ""
	}
	if atLeast != 0 {
		s, ok = fmt.Sprintf("  [wanted: at least %g", atLeast), v >= atLeast
	}
	if atMost != 0 {
		s, ok = fmt.Sprintf("  [wanted: at most %g", atMost), v <= atMost
	}
	switch {
	case s == "":
		return ""
	case ok:
		return s + ", met]"
	}
	return s + ", MISSED]"
}

// number formats v with as many digits as it deserves, "–" if it is unknown.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// errorsText shows a number of errors so that it cannot be overlooked.
func errorsText(n int64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%d: FIGURES NOT VALID", n)
}

// bounds returns the smallest and the largest of values.
func bounds(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		low, high = min(low, v), max(high, v)
	}
	return low, high
}
