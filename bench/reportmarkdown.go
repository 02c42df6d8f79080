package main

import (
	"fmt"
	"regexp"
	"strings"
)

// mostLosses are listed; the rest are counted.
const mostLosses = 25

// placeholder is where a configuration's paths, addresses and users go.
var placeholder = regexp.MustCompile(`%(\[\d+\])?s`)

// markdown returns the whole report as Markdown.
func (r *fullReport) markdown() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks, %s\n\n", r.Machine.Date)
	fmt.Fprintf(&b, "Made by `%s` in %.0f minutes on the machine described below: Milepost and its peers in turn, loaded over loopback by the same generator on the same cores. "+
		"Absolute figures are this machine's; ratios carry further.\n\n", r.Command, r.Minutes)
	if r.Smoke {
		b.WriteString("**This was a smoke run: its figures mean nothing.**\n\n")
	} else if r.Brief {
		b.WriteString("**This is a short report of single runs: it shows no spread, and gaps below a third say nothing.**\n\n")
	}
	if r.Machine.busy() {
		fmt.Fprintf(&b, "**The machine was busy when it began (load averages %s): figures are too low, and differ from run to run.**\n\n", loads(r.Machine.Load))
	}
	r.writeFaults(&b)
	r.writeWanted(&b)
	drawn := r.charts()
	for _, c := range reportCharts {
		if drawn[c.file] != nil {
			fmt.Fprintf(&b, "![%s](%s)\n\n", c.alt, c.file)
		}
	}
	r.writeLosses(&b)
	r.writeMachine(&b)
	b.WriteString("## The scenarios\n\n")
	b.WriteString("Figures are medians, with the least and the most of the runs in brackets. A ratio is the median of those of runs that stood next to each other; its mean's 95 % confidence " +
		"stands beside it. Per server CPU second means: divided by the CPU time of the server's process tree, " +
		"which stays comparable when the generator takes the rest of the cores. Memory is the PSS of that tree at the end of a run. Generator is its share of the CPU time of both.\n\n")
	for i := range r.Steps {
		r.Steps[i].write(&b)
	}
	b.WriteString("## How it is measured\n\n" + generatorNote + "\n\nAn event of Milepost is a checkpoint: it is on disk, after a sync, before it is sent to anyone. " +
		"The peers of the fan-out keep theirs in memory, so that with few subscribers the sync is most of Milepost's time and CPU.\n\n")
	writePeerConfigurations(&b)
	return []byte(b.String())
}

// loads are the three averages at the beginning of a line of /proc/loadavg.
func loads(line string) string {
	fields := strings.Fields(line)
	return strings.Join(fields[:min(3, len(fields))], ", ")
}

// writeFaults says first what is not valid.
func (r *fullReport) writeFaults(b *strings.Builder) {
	for _, x := range r.Steps {
		if x.Error != "" {
			fmt.Fprintf(b, "**%s ended early: %s**\n\n", x.Title, oneLine(x.Error))
		}
		for _, n := range x.found.Notes {
			if rest, ok := strings.CutPrefix(n, "FAULT: "); ok {
				fmt.Fprintf(b, "**Not valid, %s:** %s\n\n", x.Title, oneLine(rest))
			}
		}
	}
}

// writeLosses lists where milepost is behind.
func (r *fullReport) writeLosses(b *strings.Builder) {
	b.WriteString("## Where Milepost is behind\n\n")
	all := r.losses()
	if len(all) == 0 {
		b.WriteString("In none of the measures below.\n\n")
		return
	}
	w := all[0]
	fmt.Fprintf(b, "The worst number: **%s, %s: %s against %s of %s, %.2f times behind.**\n\n", w.Case, w.Measure, number(w.Ours.Median), number(w.Theirs.Median), w.Peer, w.Times)
	b.WriteString("| case | measure | Milepost | peer | | times behind | runs apart |\n|---|---|---:|---|---:|---:|---|\n")
	for _, l := range all[:min(len(all), mostLosses)] {
		apart := "no"
		switch {
		case l.Ours.Runs < 2:
			apart = "one run"
		case l.Apart:
			apart = "yes"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.2f | %s |\n", l.Case, l.Measure, number(l.Ours.Median), l.Peer, number(l.Theirs.Median), l.Times, apart)
	}
	if len(all) > mostLosses {
		fmt.Fprintf(b, "\nAnd %d smaller ones in the tables below.\n", len(all)-mostLosses)
	}
	b.WriteString("\n\"Apart\" means that every run of one is better than every run of the other; a gap that is not may be the machine's drift.\n\n")
}

// writeMachine describes where it ran.
func (r *fullReport) writeMachine(b *strings.Builder) {
	m := r.Machine
	b.WriteString("## Machine and versions\n\n| | |\n|---|---|\n")
	for _, x := range append([][2]string{
		{"processor", fmt.Sprintf("%s, %d cores", m.CPU, m.Cores)}, {"memory", m.Memory}, {"system", m.System}, {"kernel", m.Kernel}, {"file system of the data", m.Disk},
		{"open files", m.Files}, {"load averages before it began", loads(m.Load)}, {"Go", m.Go}, {"Milepost", m.Milepost},
	}, m.Peers...) {
		fmt.Fprintf(b, "| %s | %s |\n", x[0], oneLine(x[1]))
	}
	b.WriteString("\n")
}

// write writes one scenario.
func (x *stepResult) write(b *strings.Builder) {
	fmt.Fprintf(b, "### %s\n\n`%s`, %.0f s\n\n", x.Title, x.Command, x.Seconds)
	if x.Left != "" {
		fmt.Fprintf(b, "Left out: %s.\n\n", x.Left)
		return
	}
	if rows := x.found.rows(); len(rows) > 0 {
		b.WriteString("| case | system | a second | per server CPU second | p50 ms | p99 ms | memory MiB | generator | errors |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n")
		for _, r := range rows {
			if r.Errors > 0 {
				fmt.Fprintf(b, "| %s | %s | not valid | not valid | not valid | not valid | | | %d |\n", r.Case, r.System, r.Errors)
				continue
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | 0 |\n", r.Case, r.System, r.Rate.cell(), r.PerCPU.cell(), r.P50.cell(), r.P99.cell(), number(r.Memory.Median), r.Generator)
		}
		b.WriteString("\n")
	}
	var lines []string
	for _, c := range x.found.Comparisons {
		lines = append(lines, c.String()+x.found.verdict(c.Median, c.AtLeast, c.AtMost)+notValid(c.Errors))
	}
	for _, f := range x.found.Figures {
		lines = append(lines, f.String()+x.found.verdict(f.Value, f.AtLeast, f.AtMost))
	}
	lines = append(lines, x.found.Notes...)
	for _, line := range lines {
		fmt.Fprintf(b, "- %s\n", oneLine(line))
	}
	b.WriteString("\n")
}

// notValid marks a comparison of runs with errors.
func notValid(errors int64) string {
	if errors == 0 {
		return ""
	}
	return fmt.Sprintf(" **NOT VALID: %d errors**", errors)
}

// oneLine makes a text fit into a table or a list.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}

// writePeerConfigurations shows what the peers were told.
func writePeerConfigurations(b *strings.Builder) {
	b.WriteString("## Configuration of the peers\n\nAll listen on loopback and were started for this report; `%` stands for paths, addresses and users.\n\n")
	for _, x := range [][2]string{{"nchan", nchanConfig}, {"nginx, as a cache and with files", nginxConfig}, {"nginx, passing through", passingConfig}, {"Varnish, with `-s malloc,256m`", varnishConfig}} {
		fmt.Fprintf(b, "%s:\n\n```\n%s\n```\n\n", x[0], strings.TrimSpace(placeholder.ReplaceAllString(x[1], "%")))
	}
	b.WriteString("PostgreSQL, one `INSERT` of the body as `jsonb` a transaction, over its extended protocol with a prepared statement:\n\n```\n")
	for _, s := range postgresSettings {
		fmt.Fprintf(b, "%s = '%s'\n", s[0], s[1])
	}
	b.WriteString(postgresTable + "\n```\n\n")
	b.WriteString("Raw Pebble: a synced batch a write, in a process without HTTP; memtable of 64 MiB, value separation from 4 KB. Bare fasthttp: a handler that writes a fixed body. " +
		"The hub is `bench/peers/hub`: net/http, a goroutine and a channel a subscriber. centrifuge is `bench/peers/centrifuge`: its library with a server-sent events transport.\n")
}
