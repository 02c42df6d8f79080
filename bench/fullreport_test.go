package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reportOf makes a report of two scenarios with known figures.
func reportOf(t *testing.T) *fullReport {
	t.Helper()
	fan := report{Scenario: "fanout", Memory: []idleMemory{
		{System: "milepost", Subscribers: 10_000, Process: []float64{300, 310, 290}, Kernel: []float64{4000, 4000, 4000}},
		{System: "nchan", Subscribers: 10_000, Process: []float64{10_000, 10_100, 9900}, Kernel: []float64{4000, 4000, 4000}},
	}}
	run := func(rate, p99 float64) fanoutRun {
		return fanoutRun{Deliveries: int64(rate), Seconds: 1, ServerCPU: 1, GeneratorCPU: 1, P50: p99 / 2, P99: p99, PSS: 50 << 20}
	}
	for _, c := range []fanoutCase{
		{Jobs: 1, Subscribers: 1, Size: smallFrame, Backlog: 1}, {Jobs: 1, Subscribers: 1000, Size: smallFrame, Backlog: 1},
		{Jobs: 1, Subscribers: 10_000, Size: smallFrame, Backlog: 1, Rate: 10},
	} {
		ours, theirs := 200_000.0, 100_000.0
		if c.Subscribers == 1 {
			ours = 5000
		}
		fan.Streams = append(fan.Streams,
			series[fanoutRun]{c.String(), "milepost", &c, []fanoutRun{run(ours, 50), run(ours*1.1, 55), run(ours*0.9, 45)}},
			series[fanoutRun]{c.String(), "nchan", &c, []fanoutRun{run(theirs, 200), run(theirs*1.1, 210), run(theirs*0.9, 190)}})
	}
	broken := fan.Streams[0]
	broken.System, broken.Runs = "hub", []fanoutRun{{Deliveries: 987_654_321, Seconds: 1, ServerCPU: 1, Faults: faults{Lost: 3}}}
	fan.addStreams([]series[fanoutRun]{broken})
	write := report{Scenario: "write"}
	at := func(rate int64, p99 float64) measurement {
		return measurement{Requests: rate, Seconds: 1, ServerCPU: 1, GeneratorCPU: 1, P50: 1, P99: p99, PSS: 1 << 20}
	}
	write.addSeries([]series[measurement]{
		{"POST 8 KB, 1 connections", "milepost", nil, []measurement{at(1000, 2)}}, {"POST 8 KB, 1 connections", "postgres", nil, []measurement{at(2000, 1)}},
		{"POST 8 KB, 64 connections", "milepost", nil, []measurement{at(16000, 8)}}, {"POST 8 KB, 64 connections", "postgres", nil, []measurement{at(6000, 40)}},
	})
	write.Comparisons = []comparison{
		{Name: "rate", ratio: ratio{Median: 2.6, Mean: 2.7, Low: 2.5, High: 3, Runs: 3}, AtLeast: 2},
		{Name: "tail", ratio: ratio{Median: 1.4, Runs: 1}, AtMost: 1.15},
		{Name: "of broken runs", ratio: ratio{Median: 9, Runs: 1}, AtLeast: 1, Errors: 2},
		{Name: "of which nothing is wanted", ratio: ratio{Median: 9, Runs: 1}},
	}
	write.note("left out: nginx: not installed")
	write.Figures = []figure{{Name: "memory", Value: 20, Unit: "MiB", AtMost: 50}}
	fan.Figures = []figure{{Name: "of a scenario with errors", Value: 1, Unit: "s", AtMost: 2}}
	r := &fullReport{Machine: machine{Date: "2026-01-02", Cores: 2, Peers: [][2]string{{"nginx", "1.22"}}}, Command: "go run ./bench report", Minutes: 12}
	for _, found := range []any{&fan, &write} {
		raw, err := json.Marshal(found)
		if err != nil {
			t.Fatal(err)
		}
		x := stepResult{Title: "a scenario", Command: "go run ./bench x"}
		if err := x.decode(raw); err != nil {
			t.Fatal(err)
		}
		r.Steps = append(r.Steps, x)
	}
	r.Steps = append(r.Steps, stepResult{Title: "late", Left: "no time"}, stepResult{Title: "ended", Error: "it ended"})
	return r
}

func TestReportNamesWhatMilepostLoses(t *testing.T) {
	all := reportOf(t).losses()
	if len(all) != 5 {
		t.Fatalf("%+v", all)
	}
	for i, want := range []loss{
		{Case: "1 × 1KB", Measure: "requests or deliveries/s", Peer: "nchan", Times: 20, Apart: true},
		{Case: "1 × 1KB", Measure: "per server CPU second", Peer: "nchan", Times: 20, Apart: true},
		{Case: "POST 8 KB, 1 connections", Measure: "requests or deliveries/s", Peer: "postgres", Times: 2},
		{Case: "POST 8 KB, 1 connections", Measure: "per server CPU second", Peer: "postgres", Times: 2},
		{Case: "POST 8 KB, 1 connections", Measure: "p99", Peer: "postgres", Times: 2},
	} {
		got := all[i]
		got.Ours, got.Theirs = spread{}, spread{}
		if got != want {
			t.Errorf("loss %d is %+v, not %+v", i+1, got, want)
		}
	}
}

func TestSidecarLosesToPeersAlone(t *testing.T) {
	at := func(system string, rate int64) series[measurement] {
		return series[measurement]{Case: "GET", System: system, Runs: []measurement{{Requests: rate, Seconds: 1, ServerCPU: 1}}}
	}
	all := []series[measurement]{at(sidecarName, 10), at(embeddedName, 30), at(passDirect, 40), at(passNginx, 20)}
	got := (&fullReport{Steps: []stepResult{{found: report{Series: all}}}}).losses()
	if len(got) != 2 || got[0].Peer != passNginx || got[1].Peer != passNginx || got[0].Times != 2 {
		t.Errorf("%+v", got)
	}
}

func TestReportShowsWhatIsWantedAndMeasured(t *testing.T) {
	_, table, _ := strings.Cut(string(reportOf(t).markdown()), "## Wanted and measured\n\n")
	table, _, _ = strings.Cut(table, "\n\nIn brackets")
	const want = `Of 5 figures that the project wants of itself, **2 are met**.

Of "a scenario", some may be missing: left out: nginx: not installed.

Those of "late" are missing here.

Those of "ended" are missing here.

| figure | wanted | measured | met |
|---|---:|---:|---|
| tail | at most 1.15 | 1.40 | **no** |
| of a scenario with errors | at most 2 s | – | **not valid** |
| of broken runs | at least 1 | – | **not valid** |
| rate | at least 2 | 2.60 (2.50–3.00) | yes |
| memory | at most 50 MiB | 20.00 MiB | yes |`
	if table != want {
		t.Errorf("the table is\n%s", table)
	}
}

func TestReportSaysWhatIsNotValid(t *testing.T) {
	r := reportOf(t)
	if !r.failed() {
		t.Error("the report has not failed")
	}
	text := string(r.markdown())
	for _, want := range []string{
		"**Not valid, a scenario:** 1 × 1KB, hub, run 1: 3 lost", "| 1 × 1KB | hub | not valid | not valid |", "**ended ended early: it ended**", "Left out: no time.",
		"The worst number: **1 × 1KB", "![Deliveries per server CPU second", "tcp_nopush off", "nchan_message_buffer_length", "synchronous_commit = 'on'",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "987654321") {
		t.Error("a figure of a run with errors is printed")
	}
	if strings.Contains(text, "%[") || strings.Contains(text, "%!") {
		t.Error("a placeholder is left in the text")
	}
	if bytes.Contains(r.charts()["fanout.svg"], []byte("hub")) {
		t.Error("a run with errors is drawn")
	}
}

func TestReportIsWrittenAnewFromItsData(t *testing.T) {
	dir := t.TempDir()
	r := reportOf(t)
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "README.md")
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	if status := dispatch(t.Context(), []string{"report", "--again", dir}, &out, &progress); status != 0 {
		t.Fatalf("status %d: %s", status, progress.String())
	}
	if got, err := os.ReadFile(page); err != nil || !bytes.Equal(got, r.markdown()) {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestReportSaysThatTheMachineWasBusy(t *testing.T) {
	r := reportOf(t)
	for load, busy := range map[string]bool{"0.10 1.00 1.00 1/99 1234": false, "4.97 5.83 5.82 2/115 16393": true, unknown: false} {
		r.Machine.Load = load
		if got := bytes.Contains(r.markdown(), []byte("The machine was busy")); got != busy {
			t.Errorf("%s: %v", load, got)
		}
	}
}

func TestChartsStandAlone(t *testing.T) {
	charts := reportOf(t).charts()
	for _, name := range []string{"fanout.svg", "latency.svg", "memory.svg", "writes.svg", "writelatency.svg"} {
		chart := charts[name]
		if chart == nil {
			t.Errorf("no %s", name)
			continue
		}
		for d := xml.NewDecoder(bytes.NewReader(chart)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s is no XML: %v", name, err)
			}
		}
		text := string(chart)
		for _, want := range []string{"<title id=", "prefers-color-scheme:dark", "is better", "milepost", "2 cores shared"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		for _, never := range []string{"NaN", "Inf", "href", "url(", "<script", "@import"} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %q", name, never)
			}
		}
		if n := strings.Count(text, "http"); n != 1 {
			t.Errorf("%s names %d addresses, not only that of its own language", name, n)
		}
	}
}

func TestScales(t *testing.T) {
	for most, high := range map[float64]float64{0: 1, 1: 1, 99: 100, 101: 120, 158_000: 175_000, 2819: 3000} {
		c := linearScale(0, 100, most, short)
		if c.high < most || c.high < high*0.8 || c.high > high*1.3 || len(c.ticks) < 3 || len(c.ticks) > 8 {
			t.Errorf("up to %g: high %g, ticks %v", most, c.high, c.ticks)
		}
		if c.at(c.high) != 100 || c.at(0) != 0 {
			t.Errorf("up to %g: the ends are at %g and %g", most, c.at(0), c.at(c.high))
		}
	}
	l := logScale(0, 300, []float64{1, 10, 100, 1000}, count)
	if x := l.at(10); x < 99.9 || x > 100.1 {
		t.Errorf("10 is at %g", x)
	}
	for v, want := range map[float64]string{0: "0", 1.5: "1.5", 10_200: "10.2k", 149_000: "149k", 2_000_000: "2M", 0.25: "0.25", 100: "100"} {
		if got := short(v); got != want {
			t.Errorf("%g is written %q, not %q", v, got, want)
		}
	}
	if got := count(1234567); got != "1,234,567" {
		t.Errorf("got %q", got)
	}
}

func TestSoakCharts(t *testing.T) {
	dir := t.TempDir()
	var all []*soakSample
	for i := range 30 {
		all = append(all, &soakSample{Seconds: float64(60 * (i + 1)), PSS: 1 << 27, P50: 1, P99: 10})
	}
	if err := drawSoak(dir, all); err != nil {
		t.Fatal(err)
	}
	chart, err := os.ReadFile(filepath.Join(dir, "soak-memory.svg"))
	if err != nil || !bytes.Contains(chart, []byte("30 min")) || !bytes.Contains(chart, []byte("MiB")) {
		t.Errorf("%v\n%s", err, chart)
	}
}

func TestReportStepsAreScenarios(t *testing.T) {
	for _, s := range reportSteps() {
		if _, ok := commandNamed(s.scenario); !ok {
			t.Errorf("no scenario is called %q", s.scenario)
		}
		if strings.Contains(s.title, ",") {
			t.Errorf("%q cannot be chosen by --only", s.title)
		}
	}
	for _, s := range smokeSteps {
		if _, ok := commandNamed(s.name); !ok {
			t.Errorf("no scenario is called %q", s.name)
		}
	}
	if reportLimit > 29*time.Minute {
		t.Errorf("a whole report may take more than half an hour")
	}
	if _, err := chosenSteps(false, true, "Reads,Nothing"); err == nil {
		t.Error("an unknown title is taken")
	}
	if chosen, err := chosenSteps(true, false, "Reads"); err != nil || len(chosen) != 1 {
		t.Errorf("%v, %v", chosen, err)
	}
}
