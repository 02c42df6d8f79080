package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// wantedFigure is what the project wants of itself, and what was measured.
type wantedFigure struct {
	Name, Wanted, Measured string
	Verdict                wantedVerdict
}

// wantedVerdict tells whether a figure is what it should be.
type wantedVerdict int

// The verdicts in the order in which they are shown.
const (
	figureMissed wantedVerdict = iota
	figureNotValid
	figureMet
)

// String is how the verdict reads in the table.
func (v wantedVerdict) String() string {
	return [...]string{"**no**", "**not valid**", "yes"}[v]
}

// wanted returns all figures of which something is wanted, those that are not
// met first.
func (r *fullReport) wanted() (all []wantedFigure) {
	add := func(name, measured, unit string, v, atLeast, atMost float64, valid bool) {
		wanted, met := judge(v, atLeast, atMost)
		if wanted == "" {
			return
		}
		x := wantedFigure{name, strings.TrimSpace(wanted + " " + unit), measured, figureMissed}
		switch {
		case !valid:
			x.Measured, x.Verdict = "–", figureNotValid
		case met:
			x.Verdict = figureMet
		}
		all = append(all, x)
	}
	for _, x := range r.Steps {
		if x.found.Smoke {
			continue
		}
		for _, c := range x.found.Comparisons {
			measured := number(c.Median)
			if c.Runs > 1 {
				measured += fmt.Sprintf(" (%s–%s)", number(c.Low), number(c.High))
			}
			add(c.Name, measured, "", c.Median, c.AtLeast, c.AtMost, c.Errors == 0)
		}
		for _, f := range x.found.Figures {
			add(f.Name, f.amount(), f.Unit, f.Value, f.AtLeast, f.AtMost, !x.found.Failed)
		}
	}
	slices.SortStableFunc(all, func(a, b wantedFigure) int { return cmp.Compare(a.Verdict, b.Verdict) })
	return all
}

// writeWanted shows at one sight what is wanted and what was measured.
func (r *fullReport) writeWanted(b *strings.Builder) {
	all := r.wanted()
	if len(all) == 0 {
		return
	}
	met := 0
	for _, x := range all {
		if x.Verdict == figureMet {
			met++
		}
	}
	fmt.Fprintf(b, "## Wanted and measured\n\nOf %d figures that the project wants of itself, **%d are met**.\n\n", len(all), met)
	for _, x := range r.Steps {
		if x.Left != "" || x.Error != "" {
			fmt.Fprintf(b, "Those of \"%s\" are missing here.\n\n", x.Title)
		}
		for _, n := range x.found.Notes {
			if strings.HasPrefix(n, "left out: ") {
				fmt.Fprintf(b, "Of \"%s\", some may be missing: %s.\n\n", x.Title, oneLine(n))
			}
		}
	}
	b.WriteString("| figure | wanted | measured | met |\n|---|---:|---:|---|\n")
	for _, x := range all {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", oneLine(x.Name), x.Wanted, x.Measured, x.Verdict)
	}
	b.WriteString("\nIn brackets: the 95 % confidence of the mean ratio.\n\n")
}
