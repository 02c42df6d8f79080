package openapitest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// value decodes JSON as the validator does.
func value(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// traceLines reads the request bodies of a recorded job.
func traceLines(t *testing.T, name string) [][]byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSpace(data), []byte("\n"))
}

func TestRecordedRequestsMatch(t *testing.T) {
	d := open(t)
	for _, name := range []string{"short", "delegation"} {
		for i, line := range traceLines(t, name) {
			if err := d.validate("/components/schemas/CheckpointCreate", value(t, line)); err != nil {
				t.Errorf("%s line %d: %v", name, i+1, err)
			}
		}
	}
}

// recordedActions reads the actions that the reference function gives.
func recordedActions(t *testing.T) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/actions.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name   string
		Action json.RawMessage
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	actions := map[string]map[string]any{}
	for _, vector := range vectors {
		actions[vector.Name] = value(t, vector.Action).(map[string]any)
	}
	return actions
}

func TestRecordedActionsMatch(t *testing.T) {
	d := open(t)
	types := map[any]bool{}
	for name, action := range recordedActions(t) {
		types[action["type"]] = true
		if err := d.validate("/components/schemas/Action", action); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(types) != 20 {
		t.Errorf("%d action types occur, want 20", len(types))
	}
}

// The form of each action is closed and its properties are typed: a null, and a
// property that is not its own, are refused in every action.
func TestSpoiltActionsAreRefused(t *testing.T) {
	d := open(t)
	for name, action := range recordedActions(t) {
		for property := range action {
			spoilt := maps.Clone(action)
			spoilt[property] = nil
			if d.validate("/components/schemas/Action", spoilt) == nil {
				t.Errorf("%s: null for %s was not refused", name, property)
			}
		}
		more := maps.Clone(action)
		more["unheardOf"] = "x"
		if d.validate("/components/schemas/Action", more) == nil {
			t.Errorf("%s: a property too many was not refused", name)
		}
	}
}
