package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// streamStub is a stub that streams too, and can be made to misbehave.
type streamStub struct {
	*httptest.Server
	rest *stub
	// alter returns what subscriber n (from 1) gets in place of its frame
	// number i (from 1 of each stream).
	alter func(n, i int, frame string) []string
	// refuse answers the nth subscriber in place of the stub if it returns true.
	refuse func(n int, w http.ResponseWriter) bool
	// cut ends the stream of subscriber n after its frame number i.
	cut         func(n, i int) bool
	subscribers atomic.Int64

	mu      sync.Mutex
	changed chan struct{}
}

// newStreamStub starts a stub, which ends with the test.
func newStreamStub(t *testing.T) *streamStub {
	s := &streamStub{rest: &stub{jobs: map[string]*stubJob{}}, changed: make(chan struct{})}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *streamStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/checkpoints/stream") {
		s.stream(w, r)
		return
	}
	s.rest.ServeHTTP(w, r)
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

// stream sends the checkpoints of a job from after Last-Event-ID on.
func (s *streamStub) stream(w http.ResponseWriter, r *http.Request) {
	n := int(s.subscribers.Add(1))
	if r.Header.Get("Authorization") != "Bearer "+stubKey || (s.refuse != nil && s.refuse(n, w)) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := strings.Split(r.URL.Path, "/")[5]
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = w.Write([]byte(": welcome\n\n"))
	w.(http.Flusher).Flush()
	next := 0
	for i := 1; ; {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		s.rest.mu.Lock()
		job := s.rest.jobs[id]
		if i == 1 {
			next = job.ids[r.Header.Get("Last-Event-ID")] + 1
		}
		fresh := job.checkpoints[next:]
		s.rest.mu.Unlock()
		for _, c := range fresh {
			next++
			frames := []string{fmt.Sprintf("id: c%023d\nevent: message\ndata: %s\n\n", next, c)}
			if s.alter != nil {
				frames = s.alter(n, i, frames[0])
			}
			for _, f := range frames {
				_, _ = w.Write([]byte(f))
			}
			w.(http.Flusher).Flush()
			if s.cut != nil && s.cut(n, i) {
				return
			}
			i++
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// runAgainst runs a scenario's smoke against s and returns its report.
func (s *streamStub) runAgainst(t *testing.T, run func(args []string, out *bytes.Buffer) error, args ...string) (report, string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(append([]string{"--smoke", "--json", "--dir", t.TempDir(), "--target", s.URL, "--key", stubKey}, args...), &out)
	var r report
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &r); err != nil {
			t.Fatalf("the report is no JSON: %v\n%s", err, out.String())
		}
	}
	var text bytes.Buffer
	r.print(&text)
	return r, text.String(), err
}

// fanoutCommand is a scenario as a test calls it.
func fanoutCommand(t *testing.T, name string) func(args []string, out *bytes.Buffer) error {
	for _, c := range commands() {
		if c.name == name {
			return func(args []string, out *bytes.Buffer) error {
				var progress bytes.Buffer
				return c.run(t.Context(), args, out, &progress)
			}
		}
	}
	t.Fatalf("no scenario %s", name)
	return nil
}

func TestFanoutScenariosWithAServerThatIsRight(t *testing.T) {
	for _, c := range []struct {
		name   string
		args   []string
		series int
	}{
		{"fanout", nil, len(usualCases())},
		{"fanout", []string{"--subscribers", "3,20", "--size", "2KB,32KB"}, 4},
		{"fanout", []string{"--jobs", "5", "--subscribers", "4", "--size", "2KB"}, 1},
		{"fanout", []string{"--trace", "delegation", "--subscribers", "3,20"}, 2},
		{"fanout", []string{"--trace", "testdata/interactive-resume.jsonl", "--jobs", "3", "--subscribers", "4"}, 1},
		{"slow", nil, 3},
		{"mixed", nil, 6},
		{"soak", nil, 0},
		{"resume", nil, 0},
		{"mixed-get", nil, 3},
	} {
		r, text, err := newStreamStub(t).runAgainst(t, fanoutCommand(t, c.name), c.args...)
		if err != nil || r.Failed {
			t.Errorf("%s %v: %v\n%s", c.name, c.args, err, text)
		}
		if len(r.Streams) != c.series {
			t.Errorf("%s %v: %d series, not %d\n%s", c.name, c.args, len(r.Streams), c.series, text)
		}
		for _, s := range r.Streams {
			x := s.Runs[0]
			if x.Deliveries == 0 || x.P50 <= 0 || x.P99 < x.P50 || x.Max < x.P99 {
				t.Errorf("%s: %+v", s.Case, x)
			}
		}
	}
}

func TestFanoutReportsAServerThatIsWrong(t *testing.T) {
	// Subscriber 5 of 20 is not one of those that compare bodies.
	at := func(frame int, with func(frame string) []string) func(n, i int, frame string) []string {
		return func(n, i int, f string) []string {
			if n == 5 && i == frame {
				return with(f)
			}
			return []string{f}
		}
	}
	held := ""
	cases := map[string]struct {
		alter  func(n, i int, frame string) []string
		refuse func(n int, w http.ResponseWriter) bool
		cut    func(n, i int) bool
		want   faults
		either faults // is right as well, if not zero
		says   string
	}{
		"one is lost":  {alter: at(4, func(string) []string { return nil }), want: faults{Lost: 1}},
		"one is twice": {alter: at(4, func(f string) []string { return []string{f, f} }), want: faults{Doubled: 1}},
		"two are swapped": {alter: func(n, i int, f string) []string {
			switch {
			case n == 5 && i == 4:
				held = f
				return nil
			case n == 5 && i == 5:
				return []string{f, held}
			}
			return []string{f}
		}, want: faults{Disordered: 1}},
		"another job's": {alter: at(4, func(f string) []string {
			at := strings.Index(f, markerMagic) + len(markerMagic)
			m, err := parseMarker([]byte(f[at:]))
			if err != nil {
				return nil
			}
			m.job = 1
			return []string{f, testEvent(m, markerLength+int(m.padding))}
		}), want: faults{Foreign: 1}},
		"one is refused": {refuse: func(n int, _ http.ResponseWriter) bool { return n == 5 }, want: faults{Failed: 1}, says: "503"},
		"one is cut":     {cut: func(n, i int) bool { return n == 5 && i == 4 }, want: faults{Failed: 1}, says: "the server ended a stream"},
		"the padding of one is changed": {alter: func(n, i int, f string) []string {
			if i != 4 {
				return []string{f}
			}
			// Whoever compares must see it; one in verifyEvery does. The first that
			// does may end the run before the second has its frame.
			at := strings.Index(f, markerMagic) + markerLength + 100
			return []string{f[:at] + "#" + f[at+1:]}
		}, either: faults{Failed: 1}, want: faults{Failed: 2}, says: "is not the one that was published"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStreamStub(t)
			s.alter, s.refuse, s.cut = c.alter, c.refuse, c.cut
			r, text, err := s.runAgainst(t, fanoutCommand(t, "fanout"), "--subscribers", "20", "--size", "2KB", "--rate", "20")
			if !errors.Is(err, errReported) || !r.Failed {
				t.Errorf("error %v, failed %v", err, r.Failed)
			}
			if len(r.Streams) != 1 {
				t.Fatalf("no series\n%s", text)
			}
			if got := r.Streams[0].Runs[0].Faults; got != c.want && (c.either == faults{} || got != c.either) {
				t.Errorf("found %+v, not %+v\n%s", got, c.want, text)
			}
			if !strings.Contains(text, "FAULT: ") || !strings.Contains(text, "FIGURES NOT VALID") || !strings.Contains(text, c.says) {
				t.Errorf("the report does not say %q\n%s", c.says, text)
			}
		})
	}
}

func TestFanoutLatencyCountsFromTheIntendedTime(t *testing.T) {
	const stall = 150 * time.Millisecond
	s := newStreamStub(t)
	s.rest.before = func(n int, _ http.ResponseWriter) bool {
		if n == 6 {
			time.Sleep(stall)
		}
		return false
	}
	x := milepostSystem(s.Listener.Addr().String(), stubKey, 0)
	if err := x.learnOverhead("j00000000000000000000000"); err != nil {
		t.Fatal(err)
	}
	// 40 events in 400 ms. The stall of one keeps those after it from being sent.
	load := fanoutLoad{
		fanoutCase: fanoutCase{Jobs: 1, Subscribers: 2, Size: 2 << 10, Backlog: 1, Rate: 100}, system: x,
		span: span{10 * time.Millisecond, 400 * time.Millisecond},
	}
	r, err := load.run(t.Context())
	if err != nil || r.errors() > 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	if r.Events != 40 || r.Deliveries != 80 {
		t.Errorf("%d events, %d deliveries", r.Events, r.Deliveries)
	}
	// Of 40 events, about 15 were due during the stall and waited for half of it
	// on average, so the tail shows it and so do more than the one that stalled.
	if r.Max < 149 || r.P99 < 140 {
		t.Errorf("max %.1f ms, p99 %.1f ms: the stall is not seen", r.Max, r.P99)
	}
	// The stall's first event alone would leave the upper quartile low.
	if above := load.swarm.latencyAbove(50 * time.Millisecond); above < 10 {
		t.Errorf("only %d deliveries took more than 50 ms", above)
	}
}

func TestFanoutWithTwoReadersAndLargeFrames(t *testing.T) {
	const subscribers, size = 2 * napFrom, discardFrom + 1000
	s := newStreamStub(t)
	x := milepostSystem(s.Listener.Addr().String(), stubKey, 0)
	if err := x.learnOverhead("j00000000000000000000000"); err != nil {
		t.Fatal(err)
	}
	load := fanoutLoad{
		fanoutCase: fanoutCase{Jobs: 1, Subscribers: subscribers, Size: size, Backlog: 3}, system: x,
		span: span{0, 10 * time.Millisecond},
	}
	r, err := load.run(t.Context())
	if err != nil || r.errors() > 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	if len(load.swarm.readers) != 2 || r.Events < 3 || r.Deliveries != subscribers*r.Events {
		t.Errorf("%d readers, %d events, %d deliveries", len(load.swarm.readers), r.Events, r.Deliveries)
	}
	// Chunks take a few bytes more.
	if r.FrameBytes < size || r.FrameBytes > size+50 {
		t.Errorf("%.0f bytes a frame, not %d", r.FrameBytes, size)
	}
}

// latencyAbove counts the deliveries that took more than d.
func (s *swarm) latencyAbove(d time.Duration) int {
	n := 0
	for _, r := range s.readers {
		for i, count := range r.latency.counts {
			if bucketEnd(i) > d {
				n += int(count)
			}
		}
	}
	return n
}

func TestFanoutFlags(t *testing.T) {
	for _, args := range [][]string{
		{"--subscribers", "0"}, {"--subscribers", "20000"}, {"--size", "1MB"}, {"--rate", "-1"}, {"--rate", "1", "--jobs", "2"},
		{"--jobs", "2000"}, {"--trace", "none-such.jsonl"}, {"--trace", usualTrace, "--size", "1KB"}, {"--peers", "redis"}, {"--target", "https://x:1"}, {"--peers", "none", "--alone"},
	} {
		var out, progress bytes.Buffer
		err := runFanout(t.Context(), args, &out, &progress)
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%v gives %v", args, err)
		}
	}
}

func TestFanoutReportJudges(t *testing.T) {
	run := func(rate int64, p99 float64) fanoutRun {
		return fanoutRun{Deliveries: rate, Seconds: 1, ServerCPU: 1, P99: p99}
	}
	a := series[fanoutRun]{Case: "c", System: "milepost", Runs: []fanoutRun{run(300, 1), run(500, 2), run(200, 3)}}
	b := series[fanoutRun]{Case: "c", System: "nchan", Runs: []fanoutRun{run(100, 2), run(100, 2), run(100, 2)}}
	var r report
	r.addStreams([]series[fanoutRun]{a, b})
	r.compareStreams("rate", a, b, fanoutRun.perCPUSecond, 4, 0)
	r.compareStreams("tail", a, b, func(x fanoutRun) float64 { return x.P99 }, 0, 1)
	b.Runs[1].Faults.Lost = 2
	r.compareStreams("with losses", a, b, fanoutRun.perCPUSecond, 1, 0)
	var text bytes.Buffer
	r.print(&text)
	for _, want := range []string{
		"rate: 3.00 (median of 3 pairs of runs; mean 3.11, 95 % confidence 0.99–9.72)  [wanted: at least 4, MISSED]",
		"tail: 1.00 (median of 3 pairs of runs; mean 0.91, 95 % confidence 0.23–3.61)  [wanted: at most 1, met]",
		"with losses: 3.00 (median of 3 pairs of runs; mean 3.11, 95 % confidence 0.99–9.72)  [wanted: at least 1, met]  NOT VALID: 2 errors",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
}
