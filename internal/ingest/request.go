package ingest

import (
	"encoding/json"
	"fmt"
)

// dropped are the properties of the runtime's checkpoint that the API has no
// place for: its own ids, and the action, which the server derives. Others are
// posted as they are, and the server keeps what it does not know.
var dropped = map[string]bool{"id": true, "jobId": true, "runId": true, "action": true}

// optional are the properties of a checkpoint that the API wants absent rather
// than null.
var optional = map[string]bool{"delegateTo": true, "delegatedBy": true, "contextWindow": true, "contextWindowUsage": true}

// stepNames are the properties of a step that the API knows, by the runtime's
// names for them.
var stepNames = map[string]string{
	"stepNumber": "stepNumber", "inputMessages": "inputMessages", "newMessages": "newMessages",
	"toolCalls": "toolCall", "toolResults": "toolResult", "toolCall": "toolCall", "toolResult": "toolResult",
	"usage": "usage", "startedAt": "startedAt", "finishedAt": "finishedAt",
}

// Body returns the body of the POST. delegator is the server's id of the
// checkpoint that delegated, and is not looked at if nobody did. Of several
// tool calls, results and delegations the API takes the first.
func (e *Event) Body(delegator string) ([]byte, error) {
	var c, s []member
	for _, m := range e.checkpoint {
		if dropped[m.name] || optional[m.name] && isNull(m.value) {
			continue
		}
		switch m.name {
		case "delegateTo":
			if m.value = first(m.value); m.value == nil {
				continue
			}
		case "delegatedBy":
			by, err := members(m.value)
			if err != nil {
				return nil, fmt.Errorf("delegatedBy: %w", err)
			}
			m.value = appendObject(nil, replace(by, "checkpointId", delegator))
		}
		c = append(c, m)
	}
	for _, m := range e.step {
		name, known := stepNames[m.name]
		if !known {
			continue
		}
		switch m.name {
		case "toolCalls", "toolResults":
			m.value = first(m.value)
		case "inputMessages", "toolCall", "toolResult", "finishedAt":
			if isNull(m.value) {
				m.value = nil
			}
		}
		if m.value != nil {
			s = append(s, member{name, m.value})
		}
	}
	b := append([]byte(`{"checkpoint":`), appendObject(nil, c)...)
	b = append(b, `,"step":`...)
	return append(appendObject(b, s), '}'), nil
}

// replace gives a string property another value.
func replace(list []member, name, value string) []member {
	literal, err := json.Marshal(value)
	if err != nil {
		panic(err) // of a string there is no error
	}
	changed := make([]member, len(list))
	for i, m := range list {
		if m.name == name {
			m.value = literal
		}
		changed[i] = m
	}
	return changed
}
