package main

import (
	"fmt"
	"slices"
	"strings"
)

// reportChart is a chart of the report: its file and how it is drawn, nil if
// there is nothing to draw.
type reportChart struct {
	file, alt string
	draw      func(*fullReport) []byte
}

// reportCharts are all charts in the order of the report.
var reportCharts = []reportChart{
	{"fanout.svg", "Deliveries per server CPU second by the number of subscribers", (*fullReport).chartFanout},
	{"latency.svg", "Latency at a steady rate to 10,000 subscribers", (*fullReport).chartLatency},
	{"memory.svg", "Memory of an idle subscriber", (*fullReport).chartMemory},
	{"reads.svg", "Reads per server CPU second", (*fullReport).chartReads},
	{"writes.svg", "Durable writes a second by the number of connections", (*fullReport).chartWrites},
	{"writelatency.svg", "Latency of durable writes", (*fullReport).chartWriteLatency},
	{"mixed.svg", "Latency of the requests of a busy day", (*fullReport).chartMixed},
}

// charts draws those for which there are figures, by file.
func (r *fullReport) charts() map[string][]byte {
	files := map[string][]byte{}
	for _, c := range reportCharts {
		if drawn := c.draw(r); drawn != nil {
			files[c.file] = drawn
		}
	}
	return files
}

// condition is said below the title of each chart.
func (r *fullReport) condition(what string) string {
	runs := "medians of interleaved runs, with the least and the most"
	if r.Smoke {
		runs = "a smoke run: the figures mean nothing"
	} else if r.Brief {
		runs = "single short runs"
	}
	return fmt.Sprintf("%s\n%s; %d cores shared with the generator", what, runs, r.Machine.Cores)
}

// systemsOf returns the systems of rows, milepost first.
func systemsOf(rows []resultRow) (names []string) {
	for _, x := range rows {
		if !slices.Contains(names, x.System) {
			names = append(names, x.System)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == "milepost":
			return -1
		case b == "milepost":
			return 1
		}
		return 0
	})
	return names
}

// pick returns the valid rows that a chart is about.
func (r *fullReport) pick(about func(resultRow) bool) (rows []resultRow) {
	for _, x := range r.valid() {
		if about(x) {
			rows = append(rows, x)
		}
	}
	return rows
}

// curves returns a curve a system.
func curves(rows []resultRow, x func(resultRow) float64, y func(resultRow) spread) (all []curve) {
	for _, name := range systemsOf(rows) {
		k := curve{system: name}
		for _, row := range rows {
			if row.System == name && y(row).Median > 0 {
				k.points = append(k.points, linePoint{x(row), y(row)})
			}
		}
		slices.SortFunc(k.points, func(a, b linePoint) int { return int(a.x - b.x) })
		if len(k.points) > 0 {
			all = append(all, k)
		}
	}
	return all
}

// count writes a whole number with commas.
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText writes a number of bytes.
func bytesText(v float64) string {
	if v >= 1000 {
		return digits(v/1000) + " kB"
	}
	return digits(v) + " B"
}

// millis writes milliseconds.
func millis(v float64) string { return digits(v) + " ms" }

func (r *fullReport) chartFanout() []byte {
	rows := r.pick(func(x resultRow) bool {
		l := x.Load
		return x.Scenario == "fanout" && l != nil && l.Jobs == 1 && l.Backlog == 1 && l.Rate == 0 && l.Size == smallFrame
	})
	k := curves(rows, func(x resultRow) float64 { return float64(x.Load.Subscribers) }, func(x resultRow) spread { return x.PerCPU })
	if len(k) == 0 {
		return nil
	}
	return lineChart{
		title: "Fan-out: deliveries per server CPU second", subtitle: r.condition("one job, events of 1 KB, as fast as all have the last one"),
		xAxis: "subscribers of the job (logarithmic)", yAxis: "deliveries per CPU second of the server; more is better", curves: k, logX: true, xFormat: count, yFormat: short,
	}.draw()
}

func (r *fullReport) chartLatency() []byte {
	rows := r.pick(func(x resultRow) bool {
		l := x.Load
		return x.Scenario == "fanout" && l != nil && l.Jobs == 1 && l.Rate == 10 && l.Subscribers >= 1000 && l.Size == smallFrame
	})
	most := 0
	for _, x := range rows {
		most = max(most, x.Load.Subscribers)
	}
	rows = slices.DeleteFunc(rows, func(x resultRow) bool { return x.Load.Subscribers != most })
	return r.latencyBars(fmt.Sprintf("Latency: 10 events/s to %s subscribers", count(float64(most))), r.condition("1 KB, from when an event was to be sent until read"), rows)
}

// latencyBars draws the p50 and the p99 of each system.
func (r *fullReport) latencyBars(title, subtitle string, rows []resultRow) []byte {
	if len(rows) == 0 {
		return nil
	}
	p50, p99 := barGroup{name: "half of them within (p50)"}, barGroup{name: "99 % of them within (p99)"}
	for _, name := range systemsOf(rows) {
		for _, x := range rows {
			if x.System == name {
				p50.bars, p99.bars = append(p50.bars, bar{system: name, spread: x.P50}), append(p99.bars, bar{system: name, spread: x.P99})
			}
		}
	}
	return barChart{title: title, subtitle: subtitle, axis: "milliseconds; less is better", groups: []barGroup{p50, p99}, format: millis}.draw()
}

func (r *fullReport) chartMemory() []byte {
	group := barGroup{}
	for _, x := range r.Steps {
		for _, m := range x.found.Memory {
			if s := spreadOf(m.Process); s.Median > 0 {
				group.name = fmt.Sprintf("%s idle subscribers", count(float64(m.Subscribers)))
				group.bars = append(group.bars, bar{system: m.System, spread: s})
			}
		}
	}
	if len(group.bars) == 0 {
		return nil
	}
	return barChart{
		title: "Memory of an idle subscriber", subtitle: r.condition("growth of the process tree's PSS, without the kernel's socket buffers"), axis: "bytes a subscriber; less is better",
		groups: []barGroup{group}, format: func(v float64) string { return bytesText(v) },
	}.draw()
}

func (r *fullReport) chartReads() []byte {
	var groups []barGroup
	rows := r.pick(func(x resultRow) bool { return x.Scenario == "read" })
	for _, row := range rows {
		name := strings.TrimSuffix(row.Case, fmt.Sprintf(", %d connections", readConnections))
		i := slices.IndexFunc(groups, func(g barGroup) bool { return g.name == name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, barGroup{name: name})
		}
		if row.PerCPU.Median > 0 {
			groups[i].bars = append(groups[i].bars, bar{system: row.System, spread: row.PerCPU})
		}
	}
	groups = slices.DeleteFunc(groups, func(g barGroup) bool { return len(g.bars) == 0 })
	if len(groups) == 0 {
		return nil
	}
	return barChart{
		title: "Reads per server CPU second", subtitle: r.condition(fmt.Sprintf("%d connections", readConnections)), axis: "requests per CPU second of the server; more is better",
		groups: groups, format: short,
	}.draw()
}

// writeRow tells whether a row is of small writes from a number of connections.
func writeRow(x resultRow) (connections float64, ok bool) {
	var n int
	_, err := fmt.Sscanf(x.Case, "POST 8 KB, %d connections", &n)
	return float64(n), err == nil && x.Scenario == "write"
}

func (r *fullReport) chartWrites() []byte {
	rows := r.pick(func(x resultRow) bool { _, ok := writeRow(x); return ok })
	k := curves(rows, func(x resultRow) float64 { n, _ := writeRow(x); return n }, func(x resultRow) spread { return x.Rate })
	if len(k) == 0 {
		return nil
	}
	return lineChart{
		title: "Durable writes", subtitle: r.condition("8 KB each, every answer after its sync"), xAxis: "connections (logarithmic)", yAxis: "writes a second; more is better",
		curves: k, logX: true, xFormat: count, yFormat: short,
	}.draw()
}

func (r *fullReport) chartWriteLatency() []byte {
	rows := r.pick(func(x resultRow) bool { n, ok := writeRow(x); return ok && n == 64 })
	return r.latencyBars("Latency of durable writes from 64 connections", r.condition("8 KB each, as fast as they are answered"), rows)
}

func (r *fullReport) chartMixed() []byte {
	rows := r.pick(func(x resultRow) bool { return x.Scenario == "mixed" })
	if len(rows) == 0 {
		return nil
	}
	p50, p99 := barGroup{name: "half of them within (p50)"}, barGroup{name: "99 % of them within (p99)"}
	for _, x := range rows {
		label := x.Case
		if _, after, ok := strings.Cut(label, ": "); ok {
			label = after
		}
		p50.bars, p99.bars = append(p50.bars, bar{x.System, label, x.P50}), append(p99.bars, bar{x.System, label, x.P99})
	}
	before, _, _ := strings.Cut(rows[0].Case, ": ")
	return barChart{
		title: "The day of a busy sidecar, " + before, subtitle: r.condition("from when each request was to be sent"), axis: "milliseconds; less is better",
		groups: []barGroup{p50, p99}, format: millis,
	}.draw()
}
