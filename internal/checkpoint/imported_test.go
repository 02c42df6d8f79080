package checkpoint

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

const importable = `{"type":"checkpoint","id":"cp0000000000000000000001","action":{"type":"error"},"runId":"run000000000000000000001",` +
	`"expertJobId":"job000000000000000000001","sequence":7,"stepNumber":3,"status":"proceeding","expert":{"key":"@acme/a@1.0.0"},` +
	`"messages":[],"usage":{"inputTokens":5,"outputTokens":2.5,"reasoningTokens":1,"totalTokens":7.5,"cachedInputTokens":3},` +
	`"createdAt":"2026-01-02T03:04:05.678Z"}`

func TestParseImported(t *testing.T) {
	c, err := ParseImported([]byte(importable))
	if err != nil {
		t.Fatal(err)
	}
	if c.JobID != "job000000000000000000001" || c.RunID != "run000000000000000000001" || c.Sequence != 7 ||
		c.CreatedAt != 1767323045678 || c.Usage != (Usage{5, 2.5, 1, 7.5, 3}) || c.ID != "cp0000000000000000000001" ||
		c.Status != StatusProceeding || c.ExpertKey != "@acme/a@1.0.0" || c.Delegated {
		t.Errorf("got %+v", c)
	}
}

func TestParseImportedRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"type", `"type":"checkpoint"`, `"type":"other"`},
		{"no object with an id", `"id":"cp`, `"ID":"cp`},
		{"expertJobId", `"expertJobId":"job`, `"expertJobId":"JOB`},
		{"runId", `"runId"`, `"run"`},
		{"sequence", `"sequence":7`, `"sequence":0`},
		{"sequence", `"sequence":7`, `"sequence":"7"`},
		{"createdAt", `05.678Z`, `05Z`},
		{"createdAt", `2026-01-02`, `2026-02-30`},
		{"status", `proceeding`, `done`},
		{"expert.key", `@acme/a@1.0.0`, `No Key`},
		{"usage", `"usage":{`, `"use":{`},
		{"usage", `"inputTokens":5`, `"inputTokens":"5"`},
		{"usage", `"inputTokens":5`, `"inputTokens":1e999`},
		{"line breaks", `"messages":[]`, "\"messages\":[\n]"},
	} {
		doc := strings.Replace(importable, c.old, c.new, 1)
		if doc == importable {
			t.Fatalf("%s: nothing to replace", c.name)
		}
		if _, err := ParseImported([]byte(doc)); !errors.Is(err, ErrNotImportable) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	var syntax *SyntaxError
	for _, doc := range []string{"", importable[1:], importable + "x", strings.Replace(importable, "[]", "[\"\xff\"]", 1)} {
		if _, err := ParseImported([]byte(doc)); !errors.As(err, &syntax) {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
}

func TestUsageSince(t *testing.T) {
	got := Usage{5, 2, 1, 7, 3}.Since(Usage{2, 3, 1, 5, 0})
	if got != (Usage{3, 0, 0, 2, 3}) {
		t.Errorf("got %+v", got)
	}
}

func FuzzParseImported(f *testing.F) {
	f.Add([]byte(importable))
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := ParseImported(doc)
		if err != nil {
			return
		}
		if !ValidID(c.ID) || !ValidID(c.JobID) || !ValidID(c.RunID) || c.Sequence == 0 || c.ExpertKey == "" ||
			math.IsInf(c.Usage.Total, 0) || math.IsNaN(c.Usage.Total) {
			t.Errorf("%q was taken as %+v", doc, c)
		}
		if bytes.ContainsAny(doc, "\r\n") || !utf8.Valid(doc) {
			t.Errorf("%q was taken", doc)
		}
	})
}
