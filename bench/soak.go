package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// usualSoak is how long a soak lasts; hours are possible.
	usualSoak = time.Hour
	// soakEpoch is how long jobs and their watchers live in a soak: then they end
	// and others come.
	soakEpoch = 30 * time.Second
	// soakWindow is how much of the beginning and of the end are compared; of a
	// short soak, a sixth.
	soakWindow = 10 * time.Minute
	// judgedSoak is the shortest soak that is judged: before, caches fill.
	judgedSoak = 30 * time.Minute
	// soakRetention is how long the server keeps jobs that have ended, so that
	// hours of writes fit on the disk.
	soakRetention = 2 * time.Minute
)

// soakSample is what one epoch of a soak gave.
type soakSample struct {
	// Seconds is when the epoch ended, since the soak began.
	Seconds float64 `json:"seconds"`
	// PSS is bytes; Goroutines and Descriptors are the server's. They are 0 for a
	// server whose process is not known.
	PSS         float64 `json:"pss_bytes"`
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	Requests    int64   `json:"requests"`
	Deliveries  int64   `json:"deliveries"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	Errors      int64   `json:"errors"`

	latency histogram
}

// runSoak is `bench soak`.
func runSoak(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newFanoutScenario(ctx, "soak", "none", progress)
	if err := s.flags.Set("duration", usualSoak.String()); err != nil {
		return err
	}
	s.flags.Lookup("duration").DefValue = usualSoak.String()
	var f dayFlags
	f.addTo(s, 0, "requests a second of all kinds (default half of what the server answers at most)")
	charts := s.flags.String("charts", "", "write the curves of memory and latency into this `DIR`")
	return s.run(args, out, func() error { return measureSoak(s, &f, *charts) })
}

// measureSoak lets days go by until the duration is over, and compares the
// last ones with the first.
func measureSoak(s *fanoutScenario, f *dayFlags, charts string) error {
	if _, err := f.load(s, nil); err != nil {
		return err // before anything is started
	}
	if before := (machine{Load: firstLine("/proc/loadavg")}); before.busy() {
		s.report.note("The machine was busy when it began (load averages %s): latencies tell of that too.", loads(before.Load))
	}
	var m *milepostServer
	var x *fanoutSystem
	var err error
	if s.target != "" {
		x, err = s.startMilepost()
	} else if m, err = s.startServer(s.newDir("milepost"), "MILEPOST_STORE_RETENTION_AGE="+soakRetention.String()); err == nil {
		x = milepostSystem(m.addr, benchKey, m.pid())
		err = x.learnOverhead(newID(newRand(randomSeed(), 0)))
	}
	if err != nil {
		return err
	}
	total := s.duration
	if f.rate == 0 {
		if f.rate, err = saturation(s, f, x, min(10*time.Second, total/10)); err != nil {
			return err
		}
		s.say("saturated at %.0f requests/s; the soak is at half of that", f.rate)
		f.rate /= 2
	}
	epoch := min(soakEpoch, max(total/24, 100*time.Millisecond))
	var all []*soakSample
	for begin := time.Now(); time.Since(begin) < total; {
		sample, err := soakOnce(s, f, x, m, epoch)
		if err != nil {
			return err
		}
		sample.Seconds = time.Since(begin).Seconds()
		all = append(all, sample)
		s.say("%5.0f of %.0f s: p50 %.2f ms, p99 %.2f ms, PSS %.0f MiB, %.0f goroutines, %.0f descriptors, %d requests, %d deliveries, %d errors", sample.Seconds, total.Seconds(),
			sample.P50, sample.P99, sample.PSS/(1<<20), sample.Goroutines, sample.Descriptors, sample.Requests, sample.Deliveries, sample.Errors)
	}
	s.judgeSoak(all, min(soakWindow, total/6).Seconds(), f.rate)
	if charts == "" {
		return nil
	}
	return drawSoak(charts, all)
}

// saturation returns how many requests a second the server answers at most.
func saturation(s *fanoutScenario, f *dayFlags, x *fanoutSystem, length time.Duration) (float64, error) {
	load, err := f.load(s, x)
	if err != nil {
		return 0, err
	}
	load.Rate, load.span = 0, span{length / 4, length}
	r, err := load.run(s.ctx)
	if err != nil {
		return 0, err
	}
	sum := r.all()
	if sum.err != nil || r.events.errors() > 0 || sum.latency.total == 0 {
		return 0, errors.Join(fmt.Errorf("cannot find how much the server takes: %d answers, %s %s", sum.latency.total, r.events.Faults, r.events.Error), sum.err)
	}
	return float64(sum.latency.total) / r.events.Seconds, nil
}

// soakOnce makes one epoch, with jobs and watchers of its own.
func soakOnce(s *fanoutScenario, f *dayFlags, x *fanoutSystem, m *milepostServer, epoch time.Duration) (*soakSample, error) {
	load, err := f.load(s, x)
	if err != nil {
		return nil, err
	}
	load.span = span{epoch / 10, epoch - epoch/10}
	sample := &soakSample{}
	var sampleErr error
	load.sample = func() {
		if m == nil {
			return
		}
		if sample.Goroutines, sampleErr = m.metric("go_goroutines"); sampleErr == nil {
			sample.Descriptors, sampleErr = m.metric("process_open_fds")
		}
	}
	r, err := load.run(s.ctx)
	if err = errors.Join(err, sampleErr); err != nil {
		return nil, err
	}
	sum := r.all()
	sample.latency = sum.latency
	sample.PSS, sample.Requests, sample.Deliveries = float64(r.events.PSS), int64(sum.latency.total), r.events.Deliveries
	sample.P50, sample.P99 = milliseconds(sum.latency.quantile(0.5)), milliseconds(sum.latency.quantile(0.99))
	sample.Errors = sum.errors + r.events.errors()
	if sample.Errors > 0 {
		why := fmt.Sprintf("%s %s", r.events.Faults, r.events.Error)
		if sum.err != nil {
			why += " " + sum.err.Error()
		}
		s.report.fail("%d errors in an epoch: %s", sample.Errors, why)
	}
	return sample, nil
}

// judgeSoak compares the last window, in seconds, with those before.
func (s *fanoutScenario) judgeSoak(all []*soakSample, window, rate float64) {
	for _, x := range all {
		s.report.Timeline = append(s.report.Timeline, *x)
	}
	end := all[len(all)-1].Seconds
	steady, even := 1.2, 1.1
	if end < judgedSoak.Seconds() {
		steady, even = 0, 0
		s.report.note("Less than %s show that it works; they are not judged, since caches are still filling.", judgedSoak)
	}
	within := func(from, to float64) (in []*soakSample) {
		for _, x := range all {
			if x.Seconds > from && x.Seconds <= to {
				in = append(in, x)
			}
		}
		return in
	}
	first, second, last := within(0, window), within(window, 2*window), within(end-window, end)
	if len(first) == 0 || len(second) == 0 {
		first, second = all[:1], all[:1]
	}
	p99 := func(in []*soakSample) float64 {
		var h histogram
		for _, x := range in {
			h.merge(&x.latency)
		}
		return milliseconds(h.quantile(0.99))
	}
	middle := func(in []*soakSample, of func(*soakSample) float64) float64 {
		var v []float64
		for _, x := range in {
			v = append(v, of(x))
		}
		return median(v)
	}
	s.report.Figures = append(s.report.Figures,
		figure{Name: "length", Value: end, Unit: "s"},
		figure{Name: "requests a second", Value: rate},
		figure{Name: fmt.Sprintf("p99 of the first %.0f s", window), Value: p99(first), Unit: "ms"},
		figure{Name: fmt.Sprintf("p99 of the last %.0f s", window), Value: p99(last), Unit: "ms"},
		figure{Name: "p99: the last / the first", Value: finiteOr0(p99(last) / p99(first)), AtMost: steady})
	for _, x := range []struct {
		name string
		of   func(*soakSample) float64
	}{
		{"memory (PSS)", func(x *soakSample) float64 { return x.PSS }},
		{"goroutines", func(x *soakSample) float64 { return x.Goroutines }},
		{"descriptors", func(x *soakSample) float64 { return x.Descriptors }},
	} {
		before, after := middle(second, x.of), middle(last, x.of)
		if before == 0 {
			continue
		}
		s.report.Figures = append(s.report.Figures, figure{
			Name: fmt.Sprintf("%s: the last %.0f s / those behind the first (%s / %s)", x.name, window, short(after), short(before)), Value: after / before, AtMost: even,
		})
	}
	s.report.note("Jobs and their subscribers live for an epoch each; then others come. Medians of memory, goroutines and descriptors are read at the end of an epoch, with its streams open.")
}

// drawSoak writes the curves of a soak into dir.
func drawSoak(dir string, all []*soakSample) error {
	points := func(of func(*soakSample) float64) (p []linePoint) {
		for _, x := range all {
			p = append(p, linePoint{x.Seconds / 60, spreadOf([]float64{of(x)})})
		}
		return p
	}
	minutes := func(v float64) string { return digits(v) + " min" }
	charts := map[string]lineChart{
		"soak-memory.svg": {
			title: "Memory over time", subtitle: "a steady mixed load, with jobs and subscribers coming and going", xAxis: "time since the start", yAxis: "MiB (PSS)",
			curves: []curve{{system: "milepost", points: points(func(x *soakSample) float64 { return x.PSS / (1 << 20) })}},
		},
		"soak-latency.svg": {
			title: "Latency over time", subtitle: "all requests of a steady mixed load, from when each was to be sent", xAxis: "time since the start", yAxis: "milliseconds",
			curves: []curve{
				{system: "milepost", label: "p99", points: points(func(x *soakSample) float64 { return x.P99 })},
				{system: "nchan", label: "p50", points: points(func(x *soakSample) float64 { return x.P50 })},
			},
		},
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write the charts: %w", err)
	}
	for name, c := range charts {
		c.bare, c.xFormat, c.yFormat = true, minutes, short
		if err := os.WriteFile(filepath.Join(dir, name), c.draw(), 0o644); err != nil {
			return fmt.Errorf("cannot write the charts: %w", err)
		}
	}
	return nil
}
