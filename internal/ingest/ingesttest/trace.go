// Package ingesttest turns recorded jobs into the events from which a runtime
// would have made them, for the tests of package ingest and of the command.
package ingesttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Trace is a recorded job as bodies and as events.
type Trace struct {
	Job    string
	Bodies [][]byte // of the POSTs
	Events []Event  // one for each body
}

// Event is an event of the runtime that carries a checkpoint.
type Event struct {
	ID   string // the runtime's id of the checkpoint
	JSON []byte
	Path string // of its file within the runtime's directory
}

// meta is what a trace's meta file tells.
type meta struct {
	JobID   string `json:"jobId"`
	PerLine []struct {
		Event               string `json:"event"`
		RuntimeCheckpointID string `json:"runtimeCheckpointId"`
		RunID               string `json:"runId"`
		StepNumber          int    `json:"stepNumber"`
	} `json:"perLine"`
}

// body is what the making of an event needs of a POST.
type body struct {
	Checkpoint json.RawMessage `json:"checkpoint"`
	Step       json.RawMessage `json:"step"`
}

type parts struct {
	DelegateTo    json.RawMessage `json:"delegateTo"`
	InputMessages json.RawMessage `json:"inputMessages"`
	ToolCall      json.RawMessage `json:"toolCall"`
	ToolResult    json.RawMessage `json:"toolResult"`
	StartedAt     int64           `json:"startedAt"`
	FinishedAt    int64           `json:"finishedAt"`
}

// Read reads NAME.jsonl and NAME.meta.json in a directory.
func Read(t *testing.T, dir, name string) *Trace {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rawMeta, err := os.ReadFile(filepath.Join(dir, name+".meta.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m meta
	if err := json.Unmarshal(rawMeta, &m); err != nil {
		t.Fatal(err)
	}
	trace := &Trace{Job: m.JobID, Bodies: bytes.Split(bytes.TrimSpace(raw), []byte("\n"))}
	for i, line := range trace.Bodies {
		l := m.PerLine[i]
		var b body
		var c, s parts
		for _, err := range []error{json.Unmarshal(line, &b), json.Unmarshal(b.Checkpoint, &c), json.Unmarshal(b.Step, &s)} {
			if err != nil {
				t.Fatalf("%s line %d: %v", name, i+1, err)
			}
		}
		at := max(s.StartedAt, s.FinishedAt)
		// The runtime's checkpoint has ids of its own, and may have an action.
		checkpoint := fmt.Appendf(nil, `{"id":%q,"jobId":%q,"runId":%q,"action":{"type":"error"},%s`,
			l.RuntimeCheckpointID, m.JobID, l.RunID, b.Checkpoint[1:])
		checkpoint = several(checkpoint, "delegateTo", "delegateTo", c.DelegateTo)
		event := fmt.Appendf(nil, `{"type":%q,"id":"event%d","expertKey":"x","timestamp":%d,"jobId":%q,"runId":%q,"stepNumber":%d,`,
			l.Event, i, at, m.JobID, l.RunID, l.StepNumber)
		if l.Event == "startRun" {
			event = fmt.Appendf(event, `"initialCheckpoint":%s,"inputMessages":%s}`, checkpoint, s.InputMessages)
		} else {
			step := several(b.Step, "toolCall", "toolCalls", s.ToolCall)
			step = several(step, "toolResult", "toolResults", s.ToolResult)
			step = fmt.Appendf(nil, `%s,"pendingToolCalls":[]}`, step[:len(step)-1])
			event = fmt.Appendf(event, `"checkpoint":%s,"step":%s,"nextCheckpoint":%s}`, checkpoint, step, checkpoint)
		}
		trace.Events = append(trace.Events, Event{l.RuntimeCheckpointID, event,
			fmt.Sprintf("jobs/%s/runs/%s/event-%d-%d-%s.json", m.JobID, l.RunID, at, l.StepNumber, l.Event)})
	}
	return trace
}

// several replaces an object by an array of it and of another that must not be
// taken.
func several(in []byte, was, name string, object json.RawMessage) []byte {
	if object == nil {
		return in
	}
	from := fmt.Appendf(nil, `,%q:%s`, was, object)
	to := fmt.Appendf(nil, `,%q:[%s,{"id":"second","toolCallId":"second"}]`, name, object)
	return bytes.Replace(in, from, to, 1)
}

// Pipe returns what the runtime prints: events with and without a checkpoint,
// resumed runs, and lines that are no events.
func (tr *Trace) Pipe() []byte {
	out := []byte("runtime 1.2.3 is starting\r\n")
	for i, e := range tr.Events {
		out = fmt.Appendf(out, `{"type":"startGeneration","jobId":%q,"messages":[{"text":"a checkpoint\""}]}`+"\n", tr.Job)
		out = fmt.Appendf(out, `{"type":"startRun","jobId":%q,"initialCheckpoint":{"id":"resumed%d","status":"stoppedByDelegate"}}`+"\n\n", tr.Job, i)
		out = append(append(out, e.JSON...), '\n')
	}
	return append(out, "bye, without a line feed"...)
}
