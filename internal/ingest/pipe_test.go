package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestPipePassesItsInputOn(t *testing.T) {
	s := newStub(t)
	in := "hello\r\n\n" + completed("a") + "\n" + strings.Repeat("x", 200<<10) + "\n" + completed("b") // no line feed
	var out bytes.Buffer
	p := s.poster(t)
	if err := Pipe(t.Context(), inPieces(in), &out, p, nil); err != nil {
		t.Fatal(err)
	}
	if out.String() != in {
		t.Error("the input is changed")
	}
	if got := s.posted(); got != "a.completeRun b.completeRun" || p.Stored != 2 || p.Refused != 0 {
		t.Errorf("posted %q, stored %d, refused %d", got, p.Stored, p.Refused)
	}
}

// inPieces gives what a runtime flushes in odd pieces.
func inPieces(s string) io.Reader { return &pieces{rest: s} }

type pieces struct {
	rest string
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, io.EOF
	}
	p.n = (p.n*7 + 1) % 1009
	n := copy(b[:min(len(b), p.n+1)], p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// A server that is away for a while costs nothing; the input goes through
// meanwhile.
func TestPipeTriesAgain(t *testing.T) {
	s := newStub(t)
	var attempts atomic.Int32
	through := make(chan struct{})
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		<-through
		if attempts.Add(1) > 2 {
			return false
		}
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return true
	}
	r, w := io.Pipe()
	out, passed := io.Pipe()
	p := s.poster(t)
	ended := make(chan error, 1)
	go func() { ended <- Pipe(t.Context(), r, passed, p, nil) }()
	go func() {
		_, _ = io.WriteString(w, completed("a")+"\n"+completed("b")+"\n")
		_ = w.Close()
	}()
	want := len(completed("a")) + len(completed("b")) + 2
	if _, err := io.ReadFull(out, make([]byte, want)); err != nil {
		t.Fatal(err)
	}
	close(through) // nothing was answered before everything had passed
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := s.posted(); got != "a.completeRun b.completeRun" {
		t.Errorf("posted %q", got)
	}
	if !s.noted("trying again: the server answered 503") || !s.noted("takes checkpoints again") {
		t.Errorf("notes %q", s.notes)
	}
}

// When there is no use in posting, the input still goes through to its end.
func TestPipeGivesUp(t *testing.T) {
	for _, tt := range []struct {
		name   string
		code   int
		giveUp time.Duration
	}{
		{"a wrong key", http.StatusUnauthorized, 0},
		{"a key that only reads", http.StatusForbidden, 0},
		{"no such route", http.StatusNotFound, 0},
		{"for too long", http.StatusServiceUnavailable, time.Nanosecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStub(t)
			s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(tt.code)
				return true
			}
			in := strings.Repeat(completed("a")+"\n", 100)
			var out bytes.Buffer
			p := s.poster(t)
			p.GiveUp = tt.giveUp
			if err := Pipe(t.Context(), strings.NewReader(in), &out, p, nil); err == nil {
				t.Error("no error")
			}
			if out.String() != in || p.Stored != 0 || !s.noted("no longer posting") {
				t.Errorf("%d of %d bytes passed on, notes %q", out.Len(), len(in), s.notes)
			}
			if p.Refused != 100 {
				t.Errorf("%d of 100 checkpoints are said not to be stored", p.Refused)
			}
		})
	}
}

// What the server will not have is said, and does not stop the others.
func TestPipeGoesOnAfterARefusal(t *testing.T) {
	s := newStub(t)
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Idempotency-Key") != "b.completeRun" {
			return false
		}
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":422,"error":"Validation Failed","reason":[{"path":"checkpoint.status","message":"is missing"}]}`)
		return true
	}
	p := s.poster(t)
	in := completed("a") + "\n" + completed("b") + "\n" + head + `"checkpoint":{},"step":{}}` + "\n" + completed("c") + "\n"
	if err := Pipe(t.Context(), strings.NewReader(in), io.Discard, p, nil); err != nil {
		t.Fatal(err)
	}
	if p.Stored != 2 || p.Refused != 2 || !s.noted("checkpoint.status: is missing") || !s.noted("no id") {
		t.Errorf("stored %d, refused %d, notes %q", p.Stored, p.Refused, s.notes)
	}
}

// A key that was used with another body is that of a checkpoint that is there.
func TestPipeTakesAReusedKeyForStored(t *testing.T) {
	s := newStub(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"code":422,"reason":[{"path":"Idempotency-Key","message":"the key was used with another body before"}]}`)
		return true
	}
	p := s.poster(t)
	if err := Pipe(t.Context(), strings.NewReader(completed("a")), io.Discard, p, nil); err != nil || p.Stored != 1 || p.Present != 1 || p.Refused != 0 {
		t.Errorf("%v, stored %d, present %d, refused %d", err, p.Stored, p.Present, p.Refused)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestPipeWithoutAReader(t *testing.T) {
	s := newStub(t)
	if err := Pipe(t.Context(), strings.NewReader(completed("a")), brokenWriter{}, s.poster(t), nil); err != nil || s.posted() != "a.completeRun" {
		t.Errorf("%v, posted %q", err, s.posted())
	}
}

func TestPipeWithABrokenInput(t *testing.T) {
	s := newStub(t)
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader(completed("a")+"\n"), failing{broken})
	if err := Pipe(t.Context(), r, io.Discard, s.poster(t), nil); !errors.Is(err, broken) || s.posted() != "a.completeRun" {
		t.Errorf("%v, posted %q", err, s.posted())
	}
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

// An event whose delegator nobody knows is posted with the runtime's id of it.
func TestPipeWithAnUnknownDelegator(t *testing.T) {
	s := newStub(t)
	in := head + `"checkpoint":{"id":"a","delegatedBy":{"checkpointId":"theirs000000000000000000","toolCallId":"call"}},"step":{}}`
	if err := Pipe(t.Context(), strings.NewReader(in), io.Discard, s.poster(t), nil); err != nil {
		t.Fatal(err)
	}
	if s.posted() != "a.completeRun" || !s.noted("posting the runtime's id") {
		t.Errorf("posted %q, notes %q", s.posted(), s.notes)
	}
}

// The queue holds no more than its limit, and one event that is larger.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Event{step: []member{{"a", make([]byte, 1000)}}}
		q := newQueue(3 * e.size())
		for range 3 {
			q.put(e)
		}
		put := make(chan bool, 1)
		go func() { put <- q.put(e) }()
		synctest.Wait()
		if len(put) > 0 {
			t.Error("a fourth event was taken")
		}
		if q.take() == nil || !<-put {
			t.Error("the fourth event has no room after the first has gone")
		}
		go func() { put <- q.put(e) }()
		synctest.Wait()
		q.refuse()
		if <-put {
			t.Error("an event was put although none will be taken")
		}
	})
	small := newQueue(1)
	e := &Event{step: []member{{"a", make([]byte, 1000)}}}
	if !small.put(e) || small.take() != e {
		t.Error("a large event has no room in an empty queue")
	}
	small.end()
	if small.take() != nil {
		t.Error("there is an event after the end")
	}
}
