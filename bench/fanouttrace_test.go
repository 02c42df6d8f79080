package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFanoutOfATraceReportsAServerThatIsWrong(t *testing.T) {
	// Subscriber 5 does not compare, as subscriber 1 does.
	for name, c := range map[string]struct {
		alter func(n, i int, frame string) []string
		want  faults
		says  string
	}{
		"one is lost": {alter: func(n, i int, f string) []string {
			if n == 5 && i == 3 {
				return nil
			}
			return []string{f}
		}, want: faults{Lost: 1}},
		"one is twice": {alter: func(n, i int, f string) []string {
			if n == 5 && i == 3 {
				return []string{f, f}
			}
			return []string{f}
		}, want: faults{Doubled: 1}},
		"a byte of one is changed": {alter: func(_, i int, f string) []string {
			if i == 4 {
				// Behind the sequence; whoever compares must see it.
				f = strings.Replace(f, `"startedAt"`, `"startedat"`, 1)
			}
			return []string{f}
		}, want: faults{Failed: 1}, says: "is not the one that was published"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStreamStub(t)
			s.alter = c.alter
			r, text, err := s.runAgainst(t, fanoutCommand(t, "fanout"), "--trace", usualTrace, "--subscribers", "12", "--rate", "20")
			if !errors.Is(err, errReported) || len(r.Streams) != 1 {
				t.Fatalf("%v\n%s", err, text)
			}
			if got := r.Streams[0].Runs[0].Faults; got != c.want || !strings.Contains(text, c.says) {
				t.Errorf("found %+v, not %+v\n%s", got, c.want, text)
			}
		})
	}
}

func TestPeersGetWhatFramesOfATraceHold(t *testing.T) {
	s := newStreamStub(t)
	api := milepostSystem(s.Listener.Addr().String(), stubKey, 0)
	const job = "j00000000000000000000000"
	trace, err := readTraceEvents(usualTrace)
	if err != nil {
		t.Fatal(err)
	}
	if err := trace.learn(api, job); err != nil {
		t.Fatal(err)
	}
	if len(trace.bodies) != 6 || trace.recorded != 7 || len(trace.checkpoints) != 6 {
		t.Errorf("%d bodies of %d, %d checkpoints", len(trace.bodies), trace.recorded, len(trace.checkpoints))
	}
	var posted [][]byte
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		if _, err := b.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		posted = append(posted, b.Bytes())
	}))
	defer peer.Close()
	p, err := plainSystem("peer", peer.Listener.Addr().String(), 0, `"`, `"`, 0).newPublisher()
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.close()
	for i, want := range s.rest.jobs[job].checkpoints {
		if _, err := p.publishTrace("topic", marker{sequence: uint32(i + 1)}, trace); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(posted[i], want) {
			t.Errorf("event %d is\n%s\nnot\n%s", i+1, posted[i], want)
		}
	}
}

func TestTracesThatAreNone(t *testing.T) {
	for name, text := range map[string]string{
		"ends at once":   `{"checkpoint":{"status":"completed"}}`,
		"not JSON":       "{\n",
		"another order":  `{"step":{},"checkpoint":{"status":"proceeding"}}`,
		"holds a marker": `{"checkpoint":{"status":"proceeding","x":"^mp:"}}`,
	} {
		path := filepath.Join(t.TempDir(), "trace.jsonl")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var usage usageError
		if _, err := readTraceEvents(path); !errors.As(err, &usage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStreamComparesWithATrace(t *testing.T) {
	before := []byte(`data: {"sequence":1,"text":"^m and ^mp; ^","createdAt":"2026-01-02T03:04:05.678Z",` + traceMarker)
	constant, err := constantOf(before)
	if err != nil {
		t.Fatal(err)
	}
	trace := &traceEvents{constant: [][]byte{constant}}
	frame := func(text []byte, sequence uint32) string {
		return string(appendMarker(text[:len(text):len(text)], marker{sequence: sequence})) + "\"}\n\n"
	}
	later := bytes.Replace(before, []byte("05.678Z"), []byte("06.789Z"), 1)
	later = bytes.Replace(later, []byte(":1,"), []byte(":22,"), 1)
	right := "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + frame(before, 1) + frame(later, 2)
	feed := func(pieces ...string) (events int, err error) {
		s := sseStream{verify: true, trace: trace}
		for _, p := range pieces {
			if err = s.feed([]byte(p), func(marker) { events++ }); err != nil {
				return events, err
			}
		}
		return events, nil
	}
	for i := range len(right) {
		if n, err := feed(right[:i], right[i:]); n != 2 || err != nil {
			t.Fatalf("cut at %d: %d events, %v", i, n, err)
		}
	}
	for _, wrong := range []string{strings.Replace(right, "and", "und", 1), strings.Replace(right, "^mp; ", "", 1)} {
		if n, err := feed(wrong); err == nil {
			t.Errorf("%d events and no fault in %s", n, wrong)
		}
	}
}
