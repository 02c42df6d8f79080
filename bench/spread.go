package main

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
