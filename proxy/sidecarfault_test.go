package proxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// impatient gives an upstream little time.
func impatient(c *config.Config) {
	c.Upstream.ConnectTimeout, c.Upstream.HeaderTimeout = config.Duration(time.Second), config.Duration(150*time.Millisecond)
	c.Upstream.RequestTimeout, c.Upstream.MaxBackoff = config.Duration(300*time.Millisecond), config.Duration(20*time.Millisecond)
	c.Upstream.StreamIdle, c.Upstream.MaxEvent = config.Duration(500*time.Millisecond), 16<<20
}

// However the upstream fails, each caller gets a 502, 503 or 504 in the API's
// body, in time, and what hung leaves nothing behind.
func TestMisbehavingUpstream(t *testing.T) {
	up := upstreamtest.Start(t)
	a := startAt(t, up.URL, "forward", impatient)
	requests := []struct{ method, path string }{
		{"GET", collection(jobID) + unknownJob}, {"GET", collection(jobID)}, {"POST", collection(jobID)}, {"GET", streamPath(jobID)},
		{"GET", streamsOf([]string{jobID})}, {"GET", "/anything"}, {"POST", "/anything"},
	}
	check := func(name string, codes ...int) {
		t.Helper()
		crowd(len(requests), func(i int) {
			r := requests[i]
			l := a.dial()
			defer l.Close()
			text := head(r.method, r.path, keyA, "")
			if r.method == "POST" {
				b := body(nil)
				text = head(r.method, r.path, keyA, fmt.Sprintf("Content-Length: %d\r\n", len(b))) + string(b)
			}
			l.send(text)
			got, err := http.ReadResponse(l.reader, &http.Request{Method: r.method})
			if err != nil {
				t.Errorf("%s: %s %s: %v", name, r.method, r.path, err)
				return
			}
			b, err := io.ReadAll(got.Body)
			if err != nil {
				t.Errorf("%s: %s %s: %v", name, r.method, r.path, err)
				return
			}
			var e struct{ Code int }
			ok := false
			for _, code := range codes {
				ok = ok || got.StatusCode == code
			}
			if err := json.Unmarshal(b, &e); err != nil || e.Code != got.StatusCode || !ok || got.Header.Get("Retry-After") == "" {
				t.Errorf("%s: %s %s: %d %v %s, want %d", name, r.method, r.path, got.StatusCode, got.Header, b, codes)
			}
		})
	}
	for _, c := range []struct {
		name  string
		mode  upstreamtest.Mode
		codes []int
	}{
		{"closes without an answer", upstreamtest.Drop, []int{502}},
		{"hangs before the head", upstreamtest.Hang, []int{504}},
		{"hangs in the head", upstreamtest.HangInHead, []int{504}},
		{"closes in the head", upstreamtest.CutInHead, []int{502}},
		{"hangs in a body", upstreamtest.HangInBody, []int{504}},
		{"closes in a body", upstreamtest.CutInBody, []int{502}},
		{"closes its half", upstreamtest.HalfClose, []int{502}},
		{"speaks no HTTP", upstreamtest.Garbage, []int{502}},
		{"gives two lengths", upstreamtest.TwoLengths, []int{502}},
		{"sends an endless head", upstreamtest.Endless, []int{502, 504}},
	} {
		up.Misbehave(c.mode)
		check(c.name, c.codes...)
		up.Release()
	}
	up.Down()
	check("is down", 503)
	up.Up()
	up.Misbehave(upstreamtest.Behave)
	for _, code := range []int{500, 502, 503, 504} {
		up.Answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
			_, _ = fmt.Fprintf(w, `{"code":%d,"error":"…","reason":"…"}`, code)
		})
		check(fmt.Sprintf("answers %d", code), code)
	}
	a.stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); up.Open() > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections to the upstream are left", up.Open())
		}
	}
}

// With a breaker, what is down costs nothing to ask.
func TestBreakerAnswersAtOnce(t *testing.T) {
	up := upstreamtest.Start(t)
	a := startAt(t, up.URL, "forward", func(c *config.Config) { impatient(c); c.Upstream.BreakerFailures = 3 })
	up.Misbehave(upstreamtest.Drop)
	for range 3 {
		a.wants(collection(jobID), keyA, 502)
	}
	n := len(up.Requests())
	crowd(50, func(int) {
		if code, b := a.get(collection(jobID), keyA); code != 503 && code != 502 {
			t.Errorf("%d %s", code, b)
		}
	})
	if more := len(up.Requests()) - n; more > 20 {
		t.Errorf("%d requests of 50 went past an open breaker", more)
	}
}

// scripted is an upstream of one job whose streams go wrong.
type scripted struct {
	mu   sync.Mutex
	all  []string // checkpoints
	turn int
}

func (s *scripted) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, "/stream") {
		s.stream(w, all)
		return
	}
	var skip, take int
	_, _ = fmt.Sscan(r.URL.Query().Get("skip"), &skip)
	if _, err := fmt.Sscan(r.URL.Query().Get("take"), &take); err != nil {
		take = 10
	}
	list := all[min(skip, len(all)):min(skip+take, len(all))]
	if r.URL.Query().Get("order") == "desc" {
		list = all[len(all)-1:]
	}
	_, _ = fmt.Fprintf(w, `{"data":{"checkpoints":[%s]},"meta":{"total":%d,"take":%d,"skip":%d}}`, strings.Join(list, ","), len(all), take, skip)
}

// stream goes wrong in another way each time, and ends well at last.
func (s *scripted) stream(w http.ResponseWriter, all []string) {
	s.mu.Lock()
	s.turn++
	turn := s.turn
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	flush := func() { _ = http.NewResponseController(w).Flush() }
	frame := func(i int) string { return fmt.Sprintf("id: %s\nevent: message\ndata: %s\n\n", scriptedID(i), all[i]) }
	_, _ = io.WriteString(w, ":\n\nretry: 10\n\n")
	flush()
	switch turn {
	case 1: // cut within a frame
		_, _ = io.WriteString(w, frame(0)+frame(1)[:60])
	case 2: // from the beginning again, whatever was asked for, and some twice
		_, _ = io.WriteString(w, frame(0)+frame(0)+frame(1)+frame(0))
	case 3: // with a hole
		_, _ = io.WriteString(w, frame(4)+frame(5))
	case 4: // something that is no checkpoint
		_, _ = io.WriteString(w, "event: message\ndata: {\"no\": [}\n\nevent: other\ndata: x\n\ndata\n\n")
	case 5: // an error of its own
		_, _ = io.WriteString(w, "event: error\ndata: {\"type\":\"storage\"}\n\n")
	case 6: // one in pieces, with carriage returns
		f := strings.ReplaceAll(frame(6), "\n", "\r\n")
		for i := 0; i < len(f); i += 1 + len(f)/7 {
			_, _ = io.WriteString(w, f[i:min(len(f), i+1+len(f)/7)])
			flush()
		}
	case 7: // no stream at all
		flush()
	default:
		for i := range all {
			_, _ = io.WriteString(w, frame(i))
		}
		_, _ = fmt.Fprintf(w, "event: complete\ndata: {\"status\":\"completed\",\"expertJobId\":%q}\n\n", jobID)
	}
}

func scriptedID(i int) string { return fmt.Sprintf("script%018d", i+1) }

// Whatever the upstream's stream repeats, skips, breaks or makes huge, subscribers
// get each checkpoint once and in order, on one connection.
func TestSubscribersSeeNoneOfIt(t *testing.T) {
	s := new(scripted)
	for i := range 9 {
		note := "x"
		if i == 7 {
			note = strings.Repeat("huge ", 1<<20)
		}
		status := "proceeding"
		if i == 8 {
			status = "completed"
		}
		s.all = append(s.all, fmt.Sprintf(`{"type":"checkpoint","id":%q,"sequence":%d,"status":%q,"note":%q,"unknown":[1.10,{}]}`, scriptedID(i), i+1, status, note))
	}
	up := upstreamtest.Start(t)
	up.Answer(s.serve)
	a := startAt(t, up.URL, "forward", func(c *config.Config) { impatient(c); c.Upstream.RequestTimeout = config.Duration(10 * time.Second) })
	var want []json.RawMessage
	for _, c := range s.all {
		want = append(want, json.RawMessage(c))
	}
	watchers := make([]*watcher, 20)
	for i := range watchers {
		watchers[i] = a.watch(streamPath(jobID), keyA)
	}
	for _, w := range watchers {
		w.messages(want...)
		w.complete(jobID, "completed")
		w.ended()
	}
	if r := a.do("GET", collection(jobID)+scriptedID(7), keyA, nil); r.StatusCode != 200 || string(r.body) != envelopeStart+s.all[7]+envelopeEnd {
		t.Errorf("the huge one: %d, %d bytes", r.StatusCode, len(r.body))
	}
}

// When the upstream stays away for give_up, subscribers are told so.
func TestSubscribersAreToldWhenTheUpstreamStaysAway(t *testing.T) {
	cfg := func(c *config.Config) { impatient(c); c.Upstream.GiveUp = config.Duration(300 * time.Millisecond) }
	up := upstreamtest.Start(t)
	s := &scripted{all: []string{fmt.Sprintf(`{"id":%q,"sequence":1,"status":"init"}`, scriptedID(0))}, turn: 100}
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/stream") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.serve(w, r)
	})
	a := startAt(t, up.URL, "forward", cfg)
	w := a.watch(streamPath(jobID), keyA)
	w.messages(json.RawMessage(s.all[0])) // known from the question whether the job may be seen
	w.failed("upstream_unavailable")
	if n := a.metric("stream_closed_total", "upstream"); n != 1 {
		t.Errorf("stream_closed_total{upstream} is %v", n)
	}
}
