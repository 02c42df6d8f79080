package checkpoint

import (
	"bytes"
	"os"
	"testing"
	"time"
)

var testTime = time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)

// traces are the jobs under testdata/traces, one POST body a line.
var traces = []string{"short", "delegation", "interactive-stop", "interactive-resume", "error", "max-steps", "continue"}

// traceLines returns the bodies of a trace.
func traceLines(t testing.TB, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/traces/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

func mustParse(t testing.TB, body []byte) *Request {
	t.Helper()
	r, err := ParseRequest(body)
	if err != nil {
		t.Fatalf("%v in %.300s", err, body)
	}
	return r
}
