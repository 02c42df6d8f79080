package main

import "fmt"

// spread is a measure over the interleaved runs of one system.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Runs   int     `json:"runs"`
}

// spreadOf returns the median of the values and how far they lie apart. It is
// all 0 without a value that is known.
func spreadOf(values []float64) spread {
	for _, v := range values {
		if v != finiteOr0(v) {
			return spread{Runs: len(values)}
		}
	}
	if len(values) == 0 {
		return spread{}
	}
	low, high := bounds(values)
	return spread{median(values), low, high, len(values)}
}

// apart tells whether no run of s lies among those of o.
func (s spread) apart(o spread) bool { return s.High < o.Low || s.Low > o.High }

// cell shows a spread in a table.
func (s spread) cell() string {
	switch {
	case s.Median == 0 && s.High == 0:
		return "–"
	case s.Runs < 2:
		return number(s.Median)
	}
	return fmt.Sprintf("%s (%s–%s)", number(s.Median), number(s.Low), number(s.High))
}

// middle shows the median alone.
func (s spread) middle() string {
	if s.Median == 0 {
		return "–"
	}
	return number(s.Median)
}
