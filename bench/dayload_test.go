package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestShares(t *testing.T) {
	s, err := parseShares(usualShares.String())
	if err != nil || s != usualShares {
		t.Errorf("%v, %v", s, err)
	}
	if s, err = parseShares("get=99, list=1"); err != nil || s != (dayShares{dayGet: 99, dayList: 1}) {
		t.Errorf("%v, %v", s, err)
	}
	for _, text := range []string{"", "get=99", "get=50,put=50", "get=101,list=-1", "get"} {
		var usage usageError
		if _, err := parseShares(text); !errors.As(err, &usage) {
			t.Errorf("%q gives %v", text, err)
		}
	}
	var drawn dayShares
	for rng, i := newRand(1, 1), 0; i < 10000; i++ {
		drawn[usualShares.pick(rng)]++
	}
	for kind, n := range drawn {
		if want := 100 * usualShares[kind]; n < want*8/10 || n > want*12/10 {
			t.Errorf("%d of 10000 are %s, not about %d", n, dayNames[kind], want)
		}
	}
}

func TestMixedReportsAServerThatIsWrong(t *testing.T) {
	for name, c := range map[string]struct {
		breaks func(*streamStub)
		says   string
	}{
		"a stream loses an event": {func(s *streamStub) {
			s.alter = func(n, i int, frame string) []string {
				// The first 24 are those that watch all the time.
				if n <= 24 && i == 3 {
					return nil
				}
				return []string{frame}
			}
		}, ""},
		"writes are refused": {func(s *streamStub) {
			s.rest.before = func(n int, w http.ResponseWriter) bool {
				if n > 80 {
					w.WriteHeader(http.StatusInsufficientStorage)
				}
				return n > 80
			}
		}, "507"},
		"a sequence is skipped": {func(s *streamStub) {
			s.rest.alter = func(n int, created map[string]any) {
				if n == 30 {
					created["sequence"] = 4000
				}
			}
		}, "4000"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreamStub(t)
			c.breaks(s)
			r, text, err := s.runAgainst(t, fanoutCommand(t, "mixed"), "--shares", "write=60,get=10,list=10,stream=20")
			if !errors.Is(err, errReported) || !r.Failed {
				t.Errorf("error %v, failed %v", err, r.Failed)
			}
			if !strings.Contains(text, "FIGURES NOT VALID") || !strings.Contains(text, c.says) {
				t.Errorf("the report does not say %q\n%s", c.says, text)
			}
		})
	}
}

func TestSoakComparesItsEndWithItsBeginning(t *testing.T) {
	sample := func(seconds, pss float64, p99 int) *soakSample {
		x := &soakSample{Seconds: seconds, PSS: pss, Goroutines: 10, Descriptors: 20}
		for range 100 {
			x.latency.add(time.Millisecond)
		}
		for range 10 {
			x.latency.add(time.Duration(p99) * time.Millisecond)
		}
		return x
	}
	s := &fanoutScenario{scenario: &scenario{}}
	var all []*soakSample
	for i := 1; i <= 60; i++ {
		pss, p99 := 100.0, 10
		if i > 50 {
			pss, p99 = 150, 30
		}
		all = append(all, sample(float64(60*i), pss, p99))
	}
	s.judgeSoak(all, 600, 1000)
	got := map[string]figure{}
	for _, f := range s.report.Figures {
		name, _, _ := strings.Cut(f.Name, ":")
		got[name] = f
	}
	if f := got["p99"]; f.Value < 2.9 || f.Value > 3.1 || f.AtMost != 1.2 {
		t.Errorf("p99: %+v", f)
	}
	if f := got["memory (PSS)"]; f.Value != 1.5 || f.AtMost != 1.1 {
		t.Errorf("memory: %+v", f)
	}
	if f := got["goroutines"]; f.Value != 1 {
		t.Errorf("goroutines: %+v", f)
	}
	if len(s.report.Timeline) != 60 {
		t.Errorf("%d samples", len(s.report.Timeline))
	}
}
