package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// report is what a scenario found.
type report struct {
	Scenario string `json:"scenario"`
	Smoke    bool   `json:"smoke"`
	// Series are loads of requests, Streams those of events.
	Series      []series[measurement] `json:"series,omitempty"`
	Streams     []series[fanoutRun]   `json:"streams,omitempty"`
	Comparisons []comparison          `json:"comparisons,omitempty"`
	Figures     []figure              `json:"figures,omitempty"`
	// Memory is that of idle subscribers.
	Memory []idleMemory `json:"memory,omitempty"`
	// Timeline is what a soak gave from epoch to epoch.
	Timeline []soakSample `json:"timeline,omitempty"`
	Notes    []string     `json:"notes,omitempty"`
	// Failed tells that an answer or an event was wrong, missing or refused.
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

// addSeries adds loads of requests; errors among them fail the report.
func (r *report) addSeries(all []series[measurement]) {
	r.Series = append(r.Series, all...)
	noteFaults(r, all)
}

// addStreams adds loads of events; errors among them fail the report.
func (r *report) addStreams(all []series[fanoutRun]) {
	r.Streams = append(r.Streams, all...)
	noteFaults(r, all)
}

// noteFaults says what was wrong in runs, and where the generator set the rate.
func noteFaults[R oneRun](r *report, all []series[R]) {
	for _, s := range all {
		for i, x := range s.Runs {
			if x.errors() > 0 {
				r.fail("%s, %s, run %d: %s", s.Case, s.System, i+1, x.fault())
			}
		}
		if s.generatorBound() {
			r.note("%s, %s: the generator took most of the CPU time and set the rate; the figures per server CPU second hold", s.Case, s.System)
		}
	}
}

// rows returns the series of both kinds as rows of a table.
func (r *report) rows() (all []resultRow) {
	for _, s := range r.Series {
		all = append(all, s.row())
	}
	for _, s := range r.Streams {
		all = append(all, s.row())
	}
	return all
}

// print writes the report as tables.
func (r *report) print(w io.Writer) {
	if rows := r.rows(); len(rows) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "case\tsystem\ta second\tper server CPU s\tp50 ms\tp99 ms\tmax ms\tPSS MiB\tbytes/frame\tgenerator CPU\terrors")
		for _, x := range rows {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%.2f\t%.2f\t%s\t%.0f\t%s\t%s\t%s\n", x.Case, x.System, x.Rate.cell(), x.PerCPU.cell(),
				x.P50.Median, x.P99.Median, x.Longest.middle(), x.Memory.Median, x.FrameBytes.middle(), x.Generator, errorsText(x.Errors))
		}
		_ = t.Flush()
	}
	if len(r.Streams) > 0 {
		fmt.Fprintln(w, generatorNote)
	}
	for _, c := range r.Comparisons {
		fmt.Fprint(w, c, r.verdict(c.Median, c.AtLeast, c.AtMost))
		if c.Errors > 0 {
			fmt.Fprintf(w, "  NOT VALID: %d errors", c.Errors)
		}
		fmt.Fprintln(w)
	}
	for _, f := range r.Figures {
		fmt.Fprintln(w, f.String()+r.verdict(f.Value, f.AtLeast, f.AtMost))
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	if r.Smoke {
		fmt.Fprintln(w, "This was a smoke run: it checks answers and events, its figures mean nothing.")
	}
}

// printJSON writes the report as one line, with 0 for what JSON cannot hold: the
// bounds of a single pair of runs, and ratios to what is not known.
func (r *report) printJSON(w io.Writer) error {
	x := *r
	x.Comparisons, x.Figures = slices.Clone(r.Comparisons), slices.Clone(r.Figures)
	for i := range x.Comparisons {
		c := &x.Comparisons[i]
		for _, v := range []*float64{&c.Mean, &c.Median, &c.Low, &c.High} {
			*v = finiteOr0(*v)
		}
	}
	for i := range x.Figures {
		x.Figures[i].Value = finiteOr0(x.Figures[i].Value)
	}
	return json.NewEncoder(w).Encode(x)
}

// verdict says whether v keeps its bounds. A smoke run is judged by nothing.
func (r *report) verdict(v, atLeast, atMost float64) string {
	wanted, met := judge(v, atLeast, atMost)
	switch {
	case r.Smoke || wanted == "":
		return ""
	case met:
		return "  [wanted: " + wanted + ", met]"
	}
	return "  [wanted: " + wanted + ", MISSED]"
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

// finiteOr0 returns v, or 0 if it is infinite or no number.
func finiteOr0(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
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
