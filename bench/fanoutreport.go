package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// fanoutSeries is the interleaved runs of one system in one case.
type fanoutSeries struct {
	Case   string      `json:"case"`
	System string      `json:"system"`
	Load   *fanoutCase `json:"load,omitempty"`
	Runs   []fanoutRun `json:"runs"`
}

// values returns what of makes of each run.
func (s fanoutSeries) values(of func(fanoutRun) float64) []float64 {
	v := make([]float64, len(s.Runs))
	for i, r := range s.Runs {
		v[i] = of(r)
	}
	return v
}

// median returns the middle one of the values.
func (s fanoutSeries) median(of func(fanoutRun) float64) float64 { return median(s.values(of)) }

// errors counts what was wrong in all runs.
func (s fanoutSeries) errors() int64 {
	n := int64(0)
	for _, r := range s.Runs {
		n += r.errors()
	}
	return n
}

// fanoutRatio is one series against another in one measure, run by run.
type fanoutRatio struct {
	Name string `json:"name"`
	// Median is the middle one of the runs' ratios, Low and High are the
	// smallest and the largest.
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Runs   int     `json:"runs"`
	// AtLeast and AtMost are what Median should be, 0 for no bound.
	AtLeast float64 `json:"at_least,omitempty"`
	AtMost  float64 `json:"at_most,omitempty"`
	// Errors counts those of both series.
	Errors int64 `json:"errors"`
}

// fanoutReport is what a fan-out scenario found.
type fanoutReport struct {
	Scenario string         `json:"scenario"`
	Smoke    bool           `json:"smoke"`
	Series   []fanoutSeries `json:"series,omitempty"`
	Ratios   []fanoutRatio  `json:"ratios,omitempty"`
	Figures  []figure       `json:"figures,omitempty"`
	// Memory is that of idle subscribers.
	Memory []idleMemory `json:"memory,omitempty"`
	// Timeline is what a soak gave from epoch to epoch.
	Timeline []soakSample `json:"timeline,omitempty"`
	Notes    []string     `json:"notes,omitempty"`
	// Failed tells that something published came to somebody wrongly or not at all.
	Failed bool `json:"failed"`
}

// note adds a remark.
func (r *fanoutReport) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// fail adds a fault.
func (r *fanoutReport) fail(format string, args ...any) {
	r.Failed = true
	r.note("FAULT: "+format, args...)
}

// add adds series; errors among them fail the report.
func (r *fanoutReport) add(all []fanoutSeries) {
	for _, s := range all {
		r.Series = append(r.Series, s)
		bound := false
		for i, x := range s.Runs {
			if x.errors() > 0 {
				r.fail("%s, %s, run %d: %s %s", s.Case, s.System, i+1, x.Faults, x.Error)
			}
			bound = bound || x.generatorBound()
		}
		if bound {
			r.note("%s, %s: the generator took most of the CPU time and set the rate; the figures per server CPU second hold", s.Case, s.System)
		}
	}
}

// compare adds how a fares against b.
func (r *fanoutReport) compare(name string, a, b fanoutSeries, of func(fanoutRun) float64, atLeast, atMost float64) {
	n := min(len(a.Runs), len(b.Runs))
	if n == 0 {
		return
	}
	ratios := make([]float64, n)
	for i := range ratios {
		ratios[i] = of(a.Runs[i]) / of(b.Runs[i])
	}
	low, high := bounds(ratios)
	r.Ratios = append(r.Ratios, fanoutRatio{
		Name: name, Median: median(ratios), Low: low, High: high, Runs: n,
		AtLeast: atLeast, AtMost: atMost, Errors: a.errors() + b.errors(),
	})
}

// generatorNote says what the generator checks; it stands below each table.
var generatorNote = fmt.Sprintf("Each subscriber's events are checked for loss, doubles and order; one subscriber in %d also compares "+
	"every byte of the padding. The others let the kernel drop the padding of frames from %s on, uncopied. Latency is from when an event was to be sent until read. "+
	"Readers of %d subscribers and more rest for %s when little is ready, so that waking them is not on the server's account.",
	verifyEvery, sizeText(discardFrom), napFrom, napTime)

// print writes the report as tables.
func (r *fanoutReport) print(w io.Writer) {
	if len(r.Series) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "case\tsystem\truns\tdeliveries/s\tper server CPU s\tspread\tp50 ms\tp99 ms\tmax ms\tPSS MiB\tbytes/frame\tgenerator CPU\terrors")
		for _, s := range r.Series {
			low, high := bounds(s.values(fanoutRun.perCPUSecond))
			between := "–"
			if finiteOr0(low) == low {
				between = number(low) + "–" + number(high)
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%s\t%s\n", s.Case, s.System, len(s.Runs),
				number(s.median(fanoutRun.perSecond)), number(s.median(fanoutRun.perCPUSecond)), between,
				s.median(func(x fanoutRun) float64 { return x.P50 }),
				s.median(func(x fanoutRun) float64 { return x.P99 }),
				s.median(func(x fanoutRun) float64 { return x.Max }),
				s.median(func(x fanoutRun) float64 { return float64(x.PSS) / (1 << 20) }),
				s.median(func(x fanoutRun) float64 { return x.FrameBytes }),
				share(s), errorsText(s.errors()))
		}
		_ = t.Flush()
		fmt.Fprintln(w, generatorNote)
	}
	for _, x := range r.Ratios {
		fmt.Fprintf(w, "%s: %s", x.Name, number(x.Median))
		if x.Runs > 1 {
			fmt.Fprintf(w, " (median of %d pairs of runs, %s–%s)", x.Runs, number(x.Low), number(x.High))
		}
		fmt.Fprint(w, r.verdict(x.Median, x.AtLeast, x.AtMost))
		if x.Errors > 0 {
			fmt.Fprintf(w, "  NOT VALID: %d errors", x.Errors)
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
		fmt.Fprintln(w, "This was a smoke run: it checks what arrives, its figures mean nothing.")
	}
}

// share is the median of the generator's part of the CPU time.
func share(s fanoutSeries) string {
	v := s.median(func(x fanoutRun) float64 {
		if x.ServerCPU == 0 {
			return math.NaN()
		}
		return x.generatorShare()
	})
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// verdict says whether v keeps its bounds. A smoke run is judged by nothing.
func (r *fanoutReport) verdict(v, atLeast, atMost float64) string {
	return (&report{Smoke: r.Smoke}).verdict(v, atLeast, atMost)
}

// printJSON writes the report as one line, with 0 for what JSON cannot hold.
func (r *fanoutReport) printJSON(w io.Writer) error {
	c := *r
	c.Series, c.Ratios, c.Figures = nil, nil, nil
	for _, s := range r.Series {
		runs := make([]fanoutRun, len(s.Runs))
		for i, x := range s.Runs {
			x.FrameBytes = finiteOr0(x.FrameBytes)
			runs[i] = x
		}
		s.Runs = runs
		c.Series = append(c.Series, s)
	}
	for _, x := range r.Ratios {
		x.Median, x.Low, x.High = finiteOr0(x.Median), finiteOr0(x.Low), finiteOr0(x.High)
		c.Ratios = append(c.Ratios, x)
	}
	for _, f := range r.Figures {
		f.Value = finiteOr0(f.Value)
		c.Figures = append(c.Figures, f)
	}
	return json.NewEncoder(w).Encode(c)
}

// finiteOr0 returns v, or 0 if it is infinite or no number.
func finiteOr0(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	return v
}
