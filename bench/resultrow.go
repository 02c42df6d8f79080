package main

import (
	"cmp"
	"slices"
)

// resultRow is one system in one case, whatever the scenario.
type resultRow struct {
	// Step is the index of the scenario: only what ran in turn is compared.
	Step         int
	Scenario     string
	Case, System string
	Load         *fanoutCase
	// Rate is requests or deliveries a second, PerCPU those per CPU second of the
	// server; latencies are milliseconds, Memory is PSS in MiB. Longest and
	// FrameBytes are 0 for requests.
	Rate, PerCPU, P50, P99, Longest, Memory, FrameBytes spread
	Generator                                           string
	Errors                                              int64
}

// valid returns the rows of all scenarios that a comparison may use.
func (r *fullReport) valid() []resultRow {
	var all []resultRow
	for i := range r.Steps {
		for _, row := range r.Steps[i].found.rows() {
			row.Step, row.Scenario = i, r.Steps[i].found.Scenario
			if row.Errors == 0 {
				all = append(all, row)
			}
		}
	}
	return all
}

// loss is a measure in which a peer is ahead of milepost.
type loss struct {
	Case, Measure, Peer string
	Ours, Theirs        spread
	// Times is by how much, above 1.
	Times float64
	// Apart tells that no run of one lies among those of the other; there is no
	// telling from single runs.
	Apart bool
}

// noPeers are the systems that milepost cannot be behind: itself, and what it
// stands in front of.
var noPeers = []string{"milepost", sidecarName, embeddedName, passDirect}

// losses returns where milepost is behind a peer, the worst first. Smaller gaps
// than a machine's drift are listed too; Apart tells them.
func (r *fullReport) losses() []loss {
	measures := []struct {
		name string
		of   func(resultRow) spread
		less bool
	}{
		{"requests or deliveries/s", func(x resultRow) spread { return x.Rate }, false},
		{"per server CPU second", func(x resultRow) spread { return x.PerCPU }, false},
		{"p99", func(x resultRow) spread { return x.P99 }, true},
		{"memory of the process", func(x resultRow) spread { return x.Memory }, true},
	}
	var all []loss
	rows := r.valid()
	for _, ours := range rows {
		if ours.System != "milepost" && ours.System != sidecarName {
			continue
		}
		for _, theirs := range rows {
			if theirs.Step != ours.Step || theirs.Case != ours.Case || slices.Contains(noPeers, theirs.System) {
				continue
			}
			for _, m := range measures {
				steady := ours.Load != nil && ours.Load.Rate > 0
				if ours.Load != nil && (steady && m.name == "requests or deliveries/s" || !steady && m.name == "p99") {
					// A steady rate is what was asked for; and the latency of a saturated
					// fan-out is that of another rate for each system.
					continue
				}
				l := loss{Case: ours.Case, Measure: m.name, Peer: theirs.System, Ours: m.of(ours), Theirs: m.of(theirs)}
				all = appendLoss(all, l, m.less)
			}
		}
	}
	for _, x := range r.Steps {
		all = append(all, memoryLosses(x.found.Memory)...)
	}
	slices.SortStableFunc(all, func(a, b loss) int { return cmp.Compare(b.Times, a.Times) })
	return all
}

// memoryLosses compares the memory of idle subscribers.
func memoryLosses(all []idleMemory) (losses []loss) {
	for _, ours := range all {
		for _, theirs := range all {
			if ours.System == "milepost" && theirs.System != "milepost" {
				losses = appendLoss(losses, loss{
					Case: "idle subscribers", Measure: "bytes a subscriber", Peer: theirs.System, Ours: spreadOf(ours.Process), Theirs: spreadOf(theirs.Process),
				}, true)
			}
		}
	}
	return losses
}

// appendLoss appends l if it is one. less tells that less is better.
func appendLoss(all []loss, l loss, less bool) []loss {
	if l.Ours.Median <= 0 || l.Theirs.Median <= 0 {
		return all
	}
	l.Times = l.Theirs.Median / l.Ours.Median
	if less {
		l.Times = 1 / l.Times
	}
	l.Apart = l.Ours.Runs > 1 && l.Theirs.Runs > 1 && l.Ours.apart(l.Theirs)
	if l.Times <= 1 {
		return all
	}
	return append(all, l)
}
