package terminal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// script is a server whose streams are written beforehand: the n-th request
// gets the n-th answer.
type script struct {
	answers []func(w http.ResponseWriter)
	from    []string // Last-Event-ID of each request
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := len(s.from)
	s.from = append(s.from, r.Header.Get("Last-Event-ID"))
	if n >= len(s.answers) {
		panic(fmt.Sprintf("request %d was not expected", n+1))
	}
	s.answers[n](w)
}

func frame(n int) string { return fmt.Sprintf("id: cp%d\ndata: {\"sequence\":%d}\n\n", n, n) }

func stream(parts ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = w.Write([]byte(":\n\n" + strings.Join(parts, ""))) }
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

// cutOff ends the connection in the middle of the answer.
func cutOff(parts ...string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		_, _ = w.Write([]byte(strings.Join(parts, "")))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

const complete = "id: complete-x\nevent: complete\ndata: {\"status\":\"completed\"}\n\n"

func TestFollow(t *testing.T) {
	for _, tt := range []struct {
		name         string
		answers      []func(http.ResponseWriter)
		from         []string
		got          string
		status, says string
	}{
		{
			"to the end", []func(http.ResponseWriter){stream(frame(1), frame(2), complete)},
			[]string{""}, "1 2", "completed", "",
		},
		{
			"a stream that ends is resumed", []func(http.ResponseWriter){stream(frame(1)), stream(frame(2)), stream(complete)},
			[]string{"", "cp1", "cp2"}, "1 2", "completed", "",
		},
		{
			"a cut frame is asked for again", []func(http.ResponseWriter){cutOff(frame(1), frame(2)[:20]), stream(frame(2), complete)},
			[]string{"", "cp1"}, "1 2", "completed", "",
		},
		{
			"what is repeated is dropped", []func(http.ResponseWriter){stream(frame(1), frame(2)), stream(frame(1), frame(2), frame(3), complete)},
			[]string{"", "cp2"}, "1 2 3", "completed", "",
		},
		{
			"the server ends it for a reason",
			[]func(http.ResponseWriter){
				stream(frame(1), "retry: 1\n\nevent: error\ndata: {\"type\":\"shutting_down\"}\n\n"),
				status(503), stream(frame(2), complete),
			},
			[]string{"", "cp1", "cp1"}, "1 2", "completed", "",
		},
		{
			"there is nothing more", []func(http.ResponseWriter){stream(frame(1)), status(204)},
			[]string{"", "cp1"}, "1", "", "",
		},
		{"no such job", []func(http.ResponseWriter){status(404)}, []string{""}, "", "", "404"},
		{"refused meanwhile", []func(http.ResponseWriter){stream(frame(1)), status(401)}, []string{"", "cp1"}, "1", "", "401"},
		{"down from the beginning", []func(http.ResponseWriter){status(503)}, []string{""}, "", "", "503"},
		{"no checkpoints", []func(http.ResponseWriter){stream("data: hello\n\n")}, []string{""}, "", "", "no checkpoints"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{answers: tt.answers}
			server := httptest.NewServer(s)
			defer server.Close()
			f := Follower{Client: newClient(t, server.URL), Job: job}
			var got []string
			status, err := f.Run(t.Context(), func(data []byte) error {
				got = append(got, strings.Trim(string(data), `{"sequnc:}`))
				return nil
			})
			if strings.Join(got, " ") != tt.got || status != tt.status || !slices.Equal(s.from, tt.from) {
				t.Errorf("checkpoints %q, status %q, resumed from %q", got, status, s.from)
			}
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %q", err, tt.says)
			}
		})
	}
}

func TestFollowFrom(t *testing.T) {
	s := &script{answers: []func(http.ResponseWriter){stream(frame(6), complete)}}
	server := httptest.NewServer(s)
	defer server.Close()
	f := Follower{Client: newClient(t, server.URL), Job: job, From: "cp5"}
	n := 0
	if _, err := f.Run(t.Context(), func([]byte) error { n++; return nil }); err != nil || n != 1 || s.from[0] != "cp5" {
		t.Errorf("%d checkpoints after %q: %v", n, s.from, err)
	}
}

// The notes say when the stream is lost and when it is back, once each.
func TestFollowNotes(t *testing.T) {
	s := &script{answers: []func(http.ResponseWriter){stream(frame(1)), status(503), status(503), stream(complete)}}
	server := httptest.NewServer(s)
	defer server.Close()
	var notes []string
	f := Follower{Client: newClient(t, server.URL), Job: job, Note: func(s string) { notes = append(notes, s) }}
	if _, err := f.Run(t.Context(), func([]byte) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if len(notes) != 2 || !strings.Contains(notes[0], "lost") || !strings.Contains(notes[1], "back") {
		t.Errorf("notes %q", notes)
	}
}

func TestFollowEndsWithItsReader(t *testing.T) {
	server := httptest.NewServer(&script{answers: []func(http.ResponseWriter){stream(frame(1), frame(2))}})
	defer server.Close()
	full := errors.New("no space left")
	f := Follower{Client: newClient(t, server.URL), Job: job}
	if _, err := f.Run(t.Context(), func([]byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func TestFollowEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(&script{answers: []func(http.ResponseWriter){stream(frame(1))}})
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	f := Follower{Client: newClient(t, server.URL), Job: job}
	if _, err := f.Run(ctx, func([]byte) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
