package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// jobs asks for the page that its flags name and prints a line for each job; a
// server may leave out what it does not know.
func TestJobs(t *testing.T) {
	first := `{"id":"job000000000000000000001","status":"processing","experts":["@acme/lead@1.0.0"],"checkpoints":3,"steps":2,` +
		`"tokens":{"totalTokens":1500},"startedAt":"2026-01-02T03:04:05.000Z","lastAt":"2026-01-02T03:05:05.000Z"}`
	second := `{"id":"job000000000000000000002"}`
	queries := make(chan string, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/milepost/v1/jobs" || r.Header.Get("Authorization") != "Bearer "+secret {
			http.NotFound(w, r)
			return
		}
		queries <- r.URL.RawQuery
		_, _ = io.WriteString(w, `{"data":{"jobs":[`+first+`,`+second+`]},"meta":{"total":7,"take":2,"skip":0}}`)
	}))
	defer server.Close()
	api := strings.TrimPrefix(server.URL, "http://")
	code, out, errors := runVerb(t, api, "", "jobs", "--status", "processing", "--take=2", "--sort", "lastAt", "--order", "desc", "--skip", "0")
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 4 || !strings.Contains(errors, "2 of 7 jobs") {
		t.Fatalf("exit %d: %s%s", code, out, errors)
	}
	if query := <-queries; query != "order=desc&skip=0&sort=lastAt&status=processing&take=2" {
		t.Errorf("query %s", query)
	}
	if got := strings.Join(strings.Fields(lines[1])[:9], " "); got != "job000000000000000000001 processing @acme/lead@1.0.0 2 3 1.5k 01-02 03:04:05 1m00s" {
		t.Errorf("line %q", got)
	}
	if got := strings.Join(strings.Fields(lines[2]), " "); got != "job000000000000000000002 - - - - - - -" {
		t.Errorf("line %q", got)
	}
	if code, out, errors = runVerb(t, api, "", "jobs", "--json"); code != 0 || out != first+"\n"+second+"\n" || errors != "" {
		t.Errorf("exit %d: %s%s", code, out, errors)
	}
	if query := <-queries; query != "take=20" {
		t.Errorf("query %s", query)
	}
}
