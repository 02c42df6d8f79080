package main

import (
	"fmt"
	"slices"
)

// reportStep is one scenario of the whole report.
type reportStep struct {
	// title is what it is about, scenario its command.
	title, scenario string
	// long and brief are its flags for a whole report and for a short one; a nil
	// brief leaves it out of a short one.
	long, brief []string
}

// reportSteps are the scenarios of a report, those that matter most first: what
// the time does not suffice for is left out from the end.
func reportSteps() []reportStep {
	return []reportStep{
		{"Fan-out: one job's events to many subscribers", "fanout",
			[]string{"--rounds", "3", "--duration", "2s"}, []string{"--subscribers", "1,100,1000,10000", "--rounds", "1", "--duration", "1s"}},
		{"Fan-out at a steady rate", "fanout", nil, []string{"--subscribers", "10000", "--rate", "10", "--rounds", "1", "--duration", "2s"}},
		{"Fan-out of a recorded job", "fanout", nil, []string{"--subscribers", "1000", "--trace", usualTrace, "--rounds", "1", "--duration", "1s"}},
		{"Memory of idle subscribers", "fanout", nil, []string{"--memory", "--rounds", "1"}},
		// Nine short rounds take as long as three and tell more about the ratios.
		{"Reads", "read", []string{"--rounds", "9", "--duration", "700ms"}, []string{"--rounds", "1", "--duration", "600ms"}},
		{"Durable writes", "write", []string{"--rounds", "3", "--duration", "2s"}, []string{"--rounds", "1", "--duration", "1s"}},
		{"In front of an upstream", "sidecar", []string{"--rounds", "3", "--duration", "2s", "--parts", "cached,pass,dashboards,latency"},
			[]string{"--rounds", "1", "--duration", "1s", "--parts", "cached,pass,dashboards,latency"}},
		{"Fan-out in front of an upstream", "sidecar", []string{"--rounds", "9", "--duration", "1s", "--parts", "fanout"}, nil},
		{"The day of a busy sidecar", "mixed", []string{"--rounds", "3", "--duration", "6s"}, []string{"--rounds", "1", "--duration", "2s"}},
		{"Slow subscribers", "slow", []string{"--rounds", "3", "--duration", "4s"}, []string{"--rounds", "1", "--duration", "2s"}},
		{"Reconnecting all at once", "resume", []string{"--rounds", "3"}, []string{"--rounds", "1"}},
		{"Reads during fan-out", "mixed-get", []string{"--rounds", "3", "--duration", "4s"}, []string{"--rounds", "1", "--duration", "2s"}},
		{"Lists", "list", []string{"--rounds", "3", "--duration", "2s"}, nil},
		{"A growing job", "growth", []string{}, []string{}},
		{"Cost of the store", "store", []string{"--rounds", "3", "--duration", "1s"}, nil},
		{"Starting with a million checkpoints", "start", []string{"--rounds", "3"}, nil},
	}
}

// args returns the step's flags; ok is false if the step is not part of such a
// report.
func (s reportStep) args(brief, smoke bool) (args []string, ok bool) {
	if smoke {
		return []string{"--smoke"}, s.long != nil
	}
	if brief {
		return s.brief, s.brief != nil
	}
	return s.long, s.long != nil
}

// chosenSteps returns the steps of such a report, or those of them whose titles
// only names.
func chosenSteps(brief, smoke bool, only string) ([]reportStep, error) {
	var all []reportStep
	for _, s := range reportSteps() {
		if _, ok := s.args(brief, smoke); ok {
			all = append(all, s)
		}
	}
	if only == "" {
		return all, nil
	}
	var chosen []reportStep
	titles, _ := parseList(only, func(title string) (string, error) { return title, nil })
	for _, title := range titles {
		i := slices.IndexFunc(all, func(s reportStep) bool { return s.title == title })
		if i < 0 {
			return nil, usageError{fmt.Errorf("no scenario of this report has the title %q", title)}
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
