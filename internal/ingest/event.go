package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	"milepost/internal/checkpoint"
)

// startRun is the event that announces a run; it carries its first checkpoint.
const startRun = "startRun"

// carries tells which events carry a checkpoint, and whether a step with it.
// The names are the runtime's.
var carries = map[string]bool{
	startRun:                    false,
	"continueToNextStep":        true,
	"completeRun":               true,
	"stopRunByInteractiveTool":  true,
	"stopRunByDelegate":         true,
	"stopRunByExceededMaxSteps": true,
	"stopRunByError":            true,
}

// Event is an event of the runtime that carries a checkpoint.
type Event struct {
	Job  string // id of the job, the runtime's and ours
	Type string // the runtime's name of the event
	ID   string // the runtime's id of the checkpoint

	// Delegator is the runtime's id of the checkpoint that delegated to this
	// one's expert, and ToolCall the id of the call with which it did; both are
	// empty if nobody delegated.
	Delegator, ToolCall string

	delegates  bool // others may name this checkpoint as their delegator
	checkpoint []member
	step       []member
}

// Parse reads an event. It returns nil for what is no event, and for an event
// that carries no checkpoint; an error for one that should carry one and does
// not, or whose job has an id that the API does not take.
func Parse(data []byte) (*Event, error) {
	// Most of what a runtime prints are small events without a checkpoint.
	if !bytes.Contains(data, []byte(`heckpoint"`)) {
		return nil, nil
	}
	all, err := members(data)
	if err != nil {
		return nil, nil
	}
	e := &Event{Type: text(all, "type"), Job: text(all, "jobId")}
	withStep, known := carries[e.Type]
	if !known {
		return nil, nil
	}
	property := "initialCheckpoint"
	if withStep {
		property = "checkpoint"
	}
	if e.checkpoint, err = members(find(all, property)); err != nil {
		return nil, fmt.Errorf("event %s: %s: %w", e.Type, property, err)
	}
	if withStep {
		if e.step, err = members(find(all, "step")); err != nil {
			return nil, fmt.Errorf("event %s: step: %w", e.Type, err)
		}
	} else {
		// A run that is resumed is announced with the checkpoint it goes on
		// from, which has been posted when it was made.
		if text(e.checkpoint, "status") != string(checkpoint.StatusInit) {
			return nil, nil
		}
		e.step = firstStep(all, e.checkpoint)
	}
	if e.Job == "" {
		e.Job = text(e.checkpoint, "jobId")
	}
	if !checkpoint.ValidID(e.Job) {
		return nil, fmt.Errorf("event %s: job id %q is none of the API (%d characters of a-z and 0-9)", e.Type, e.Job, checkpoint.IDLen)
	}
	if e.ID = text(e.checkpoint, "id"); e.ID == "" {
		return nil, fmt.Errorf("event %s: its checkpoint has no id", e.Type)
	}
	e.delegates = text(e.checkpoint, "status") == string(checkpoint.StatusStoppedByDelegate)
	if by, err := members(find(e.checkpoint, "delegatedBy")); err == nil {
		e.Delegator, e.ToolCall = text(by, "checkpointId"), text(by, "toolCallId")
	}
	return e, nil
}

// firstStep makes the step of a run's first checkpoint, in which nothing has
// happened yet: the messages that the run begins with, no tokens, and the time
// of the event.
func firstStep(event, initial []member) []member {
	return []member{
		{"stepNumber", orNull(find(initial, "stepNumber"))},
		{"inputMessages", orNull(find(event, "inputMessages"))},
		{"newMessages", json.RawMessage(`[]`)},
		{"usage", json.RawMessage(`{"inputTokens":0,"outputTokens":0,"reasoningTokens":0,"totalTokens":0,"cachedInputTokens":0}`)},
		{"startedAt", orNull(find(event, "timestamp"))},
	}
}

// orNull lets the server say that something is missing.
func orNull(value json.RawMessage) json.RawMessage {
	if value == nil {
		return json.RawMessage("null")
	}
	return value
}

// Key returns the idempotency key: the same for the same event, wherever it is
// read. The id of the event itself would not do: the runtime gives each of its
// listeners an event of its own id and time.
func (e *Event) Key() string {
	key := e.ID + "." + e.Type
	if len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Sprintf("%x", sha256.Sum256([]byte(key)))
	}
	return key
}

// size is about how many bytes the event holds.
func (e *Event) size() (n int64) {
	for _, list := range [][]member{e.checkpoint, e.step} {
		for _, m := range list {
			n += int64(len(m.name) + len(m.value) + 64)
		}
	}
	return n
}
