package ingest

import (
	"bytes"
	"strings"
	"testing"

	"milepost/internal/ingest/ingesttest"
)

const traces = "../checkpoint/testdata/traces"

var traceNames = []string{"short", "delegation", "interactive-stop", "interactive-resume", "error", "max-steps", "continue"}

// Events made from the recorded jobs give the recorded bodies, byte for byte.
func TestEventsGiveTheRecordedBodies(t *testing.T) {
	for _, name := range traceNames {
		t.Run(name, func(t *testing.T) {
			trace := ingesttest.Read(t, traces, name)
			keys := make(map[string]bool)
			for i, made := range trace.Events {
				e, err := Parse(made.JSON)
				if err != nil || e == nil {
					t.Fatalf("event %d: %v %v", i+1, e, err)
				}
				body, err := e.Body(e.Delegator)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(body, trace.Bodies[i]) {
					t.Errorf("body %d:\n got %.600s\nwant %.600s", i+1, body, trace.Bodies[i])
				}
				if keys[e.Key()] {
					t.Errorf("key %s occurs twice", e.Key())
				}
				keys[e.Key()] = true
				if e.Job != trace.Job || e.ID != made.ID {
					t.Errorf("event %d is of job %s, checkpoint %s", i+1, e.Job, e.ID)
				}
			}
		})
	}
}

const (
	job    = "job000000000000000000001"
	head   = `{"type":"completeRun","jobId":"` + job + `",`
	expert = `"expert":{"key":"a"}`
)

func TestWhatIsNoCheckpoint(t *testing.T) {
	for name, line := range map[string]string{
		"empty":               ``,
		"text":                `Saved the "checkpoint" to disk`,
		"another event":       `{"type":"callTools","jobId":"` + job + `","checkpoint":{}}`,
		"no type":             `{"checkpoint":{"id":"a"},"step":{}}`,
		"array":               `["checkpoint"]`,
		"cut":                 head + `"checkpoint":{"id":"a"`,
		"a run that goes on":  `{"type":"startRun","jobId":"` + job + `","initialCheckpoint":{"id":"a","status":"completed"},"inputMessages":[]}`,
		"no run's checkpoint": `{"type":"skillStderr","message":"checkpoint"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := Parse([]byte(line)); e != nil || err != nil {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
}

func TestEventsWithFaults(t *testing.T) {
	for _, tt := range []struct{ name, line, says string }{
		{"no checkpoint", head + `"nextCheckpoint":{}}`, "completeRun: checkpoint: not a JSON object"},
		{"no step", head + `"checkpoint":{"id":"a"}}`, "completeRun: step: not a JSON object"},
		{"no id", head + `"checkpoint":{},"step":{}}`, "no id"},
		{"no job", `{"type":"completeRun","checkpoint":{"id":"a"},"step":{}}`, `job id ""`},
		{"strange job", `{"type":"completeRun","jobId":"A","checkpoint":{"id":"a"},"step":{}}`, `job id "A"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if e, err := Parse([]byte(tt.line)); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%+v %v, want %q", e, err, tt.says)
			}
		})
	}
}

func TestBody(t *testing.T) {
	for _, tt := range []struct{ name, checkpoint, step, want string }{
		{
			"own ids go, the rest stays as it is",
			`{"id":"a","jobId":"b","runId":"c","action":{},"status":"x","n":1.10,"pendingToolCalls":[{}],"metadata":{"id":"é\u00e9"}}`, `{}`,
			`{"checkpoint":{"status":"x","n":1.10,"pendingToolCalls":[{}],"metadata":{"id":"é\u00e9"}},"step":{}}`,
		},
		{
			"of several the first", `{"id":"a","delegateTo":[{"n":1},{"n":2}]}`, `{"toolCalls":[{"n":3},{"n":4}],"toolResults":[{"n":5}]}`,
			`{"checkpoint":{"delegateTo":{"n":1}},"step":{"toolCall":{"n":3},"toolResult":{"n":5}}}`,
		},
		{
			"none is absent", `{"id":"a","delegateTo":[],"contextWindow":null}`, `{"toolCalls":[],"toolResults":null,"finishedAt":null,"newMessages":[]}`,
			`{"checkpoint":{},"step":{"newMessages":[]}}`,
		},
		{
			"the API's own form is taken", `{"id":"a","delegateTo":{"n":1}}`, `{"toolCall":{"n":3}}`,
			`{"checkpoint":{"delegateTo":{"n":1}},"step":{"toolCall":{"n":3}}}`,
		},
		{
			"the delegator's id is the server's", `{"id":"a","delegatedBy":{` + expert + `,"toolCallId":"t","checkpointId":"theirs"}}`, `{}`,
			`{"checkpoint":{"delegatedBy":{` + expert + `,"toolCallId":"t","checkpointId":"ours"}},"step":{}}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Parse([]byte(head + `"checkpoint":` + tt.checkpoint + `,"step":` + tt.step + `}`))
			if err != nil {
				t.Fatal(err)
			}
			if body, err := e.Body("ours"); err != nil || string(body) != tt.want {
				t.Errorf("got  %s %v\nwant %s", body, err, tt.want)
			}
		})
	}
}

// The key is a valid one whatever the runtime's id is.
func TestKey(t *testing.T) {
	for _, id := range []string{"abc", "a b", "é", strings.Repeat("x", 300), "a\x00"} {
		key := (&Event{ID: id, Type: "completeRun"}).Key()
		if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Errorf("%q: key %q", id, key)
		}
	}
	if got := (&Event{ID: "abc", Type: "completeRun"}).Key(); got != "abc.completeRun" {
		t.Errorf("key %q", got)
	}
}

// Whatever is read, Parse and Body do not fail in another way than by an error,
// and a body that is made is an object.
func FuzzParse(f *testing.F) {
	f.Add([]byte(head + `"checkpoint":{"id":"a","delegateTo":[],"delegatedBy":{}},"step":{"toolCalls":[1]}}`))
	f.Add([]byte(`{"type":"startRun","jobId":"` + job + `","initialCheckpoint":{"id":"a","status":"init"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := Parse(line)
		if e == nil || err != nil {
			return
		}
		body, err := e.Body("ours")
		if err != nil {
			return
		}
		if list, err := members(body); err != nil || len(list) != 2 {
			t.Errorf("body %s: %v", body, err)
		}
	})
}
