package checkpoint

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
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

// fullBody has every property of the document's table.
const fullBody = `{"checkpoint":{"status":"proceeding","stepNumber":1.10,"messages":[{"n":12345678901234567890},"two"],` +
	`"expert":{"key":"@acme/a@1.0.0","name":"@acme/a","version":"1.0.0"},` +
	`"delegateTo":{"expert":{"key":"b@latest","name":"b","version":"0.1.0"},"toolCallId":"c1","toolName":"b","query":"do"},` +
	`"delegatedBy":{"expert":{"key":"boss","name":"boss","version":"x"},"toolCallId":"c0","toolName":"a","checkpointId":"test12345678901234567890"},` +
	`"usage":{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":4,"cachedInputTokens":5},` +
	`"contextWindow":200000,"contextWindowUsage":0.5},` +
	`"step":{"stepNumber":1,"inputMessages":[null],"newMessages":[[1E400]],` +
	`"toolCall":{"id":"t1","skillName":"web","toolName":"get","args":{"b":1.0,"a":"\u00e9"}},` +
	`"toolResult":{"id":"t1","skillName":"web","toolName":"get","result":[{"type":"textPart","text":"ok"}]},` +
	`"usage":{"inputTokens":6,"outputTokens":7,"reasoningTokens":8,"totalTokens":9,"cachedInputTokens":10},` +
	`"startedAt":1767323045678,"finishedAt":1767323045679.9}}`

// smallBody has the required properties only.
const smallBody = `{"checkpoint":{"status":"init","stepNumber":1,"messages":[],` +
	`"expert":{"key":"a","name":"a","version":"1.0.0"},` +
	`"usage":{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":4,"cachedInputTokens":5}},` +
	`"step":{"stepNumber":1,"newMessages":[],` +
	`"usage":{"inputTokens":1,"outputTokens":2,"reasoningTokens":3,"totalTokens":4,"cachedInputTokens":5},` +
	`"startedAt":0}}`

// edit replaces the first old in body, which must be there.
func edit(t testing.TB, body, old, new string) []byte {
	t.Helper()
	if !strings.Contains(body, old) {
		t.Fatalf("%q is not in the body", old)
	}
	return []byte(strings.Replace(body, old, new, 1))
}

// readJSON decodes a file of testdata.
func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}
