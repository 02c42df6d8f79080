package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// actionTypes are the 20 types of the API document's action union.
var actionTypes = []string{
	"appendTextFile", "attemptCompletion", "createDirectory", "delegate", "deleteFile", "editTextFile", "error",
	"generalTool", "getFileInfo", "interactiveTool", "listDirectory", "moveFile", "readImageFile", "readPdfFile",
	"readTextFile", "retry", "testUrl", "think", "todo", "writeTextFile",
}

// record plays s against nothing and returns its requests.
func record(t *testing.T, s source) []request {
	t.Helper()
	var all []request
	err := s.play(func(r request) (answer, error) {
		all = append(all, r)
		return answer{id: fmt.Sprintf("c%023d", len(all)), sequence: int64(len(all))}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func testJob(seed uint64, steps int, e ending) *job {
	return newJob(jobOptions{seed: seed, steps: steps, ending: e, start: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)})
}

func TestJobShowsEveryActionType(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range record(t, testJob(1, 32, endCompleted)) {
		seen[r.action] = true
	}
	for _, a := range actionTypes {
		if !seen[a] {
			t.Errorf("no checkpoint has the action %s", a)
		}
	}
	if len(seen) != len(actionTypes) {
		t.Errorf("%d action types, the document has %d", len(seen), len(actionTypes))
	}
}

func TestJobActionsFollowTheRules(t *testing.T) {
	for seed := range uint64(4) {
		for e := range endings {
			for i, r := range record(t, testJob(seed, 40, e)) {
				if got := actionOf(r.body); got != r.action {
					t.Errorf("seed %d ending %d checkpoint %d (%s): the rules give %s, expected %s", seed, e, i+1, r.status, got, r.action)
				}
			}
		}
	}
}

func TestJobHasTheStepsAndTheEndingAskedFor(t *testing.T) {
	last := map[ending][]string{
		endCompleted:   {statusCompleted},
		endError:       {statusError},
		endMaxSteps:    {statusExceededMaxSteps},
		endInteractive: {statusInteractive, statusProceeding, statusCompleted},
	}
	for e, want := range last {
		for _, steps := range []int{minSteps, 6, 7, 10, 33, 100} {
			all := record(t, testJob(7, steps, e))
			if len(all) != steps {
				t.Errorf("ending %d: %d checkpoints, asked for %d", e, len(all), steps)
			}
			var got []string
			for _, r := range all[len(all)-len(want):] {
				got = append(got, r.status)
			}
			if !slices.Equal(got, want) {
				t.Errorf("ending %d with %d steps ends %v, not %v", e, steps, got, want)
			}
			if all[0].status != statusInit {
				t.Errorf("ending %d begins with %s", e, all[0].status)
			}
		}
	}
}

func TestJobDependsOnItsSeedAlone(t *testing.T) {
	a, b, other := record(t, testJob(3, 40, endCompleted)), record(t, testJob(3, 40, endCompleted)), record(t, testJob(4, 40, endCompleted))
	same := 0
	for i := range a {
		if !bytes.Equal(a[i].body, b[i].body) || a[i].idempotencyKey != b[i].idempotencyKey {
			t.Errorf("checkpoint %d differs between two runs of one seed", i+1)
		}
		if bytes.Equal(a[i].body, other[i].body) {
			same++
		}
	}
	if same > 0 {
		t.Errorf("%d bodies are equal with another seed", same)
	}
}

func TestJobBodies(t *testing.T) {
	type body struct {
		Checkpoint struct {
			Messages    []json.RawMessage
			DelegatedBy *delegatedBy
			DelegateTo  *delegateTo
			Expert      expert
			StepNumber  int
		}
		Step struct {
			NewMessages []json.RawMessage
			StepNumber  int
		}
	}
	all := record(t, testJob(5, 60, endCompleted))
	known := map[string][]json.RawMessage{}
	delegating := ""
	for i, r := range all {
		var b body
		if err := json.Unmarshal(r.body, &b); err != nil {
			t.Fatalf("checkpoint %d is no JSON: %v", i+1, err)
		}
		if !json.Valid(r.messages) || !json.Valid(r.newMessages) {
			t.Errorf("checkpoint %d: the spans of the messages are wrong", i+1)
		}
		if b.Checkpoint.StepNumber != r.stepNumber || b.Step.StepNumber != r.stepNumber {
			t.Errorf("checkpoint %d: step numbers %d, %d and %d", i+1, b.Checkpoint.StepNumber, b.Step.StepNumber, r.stepNumber)
		}
		run := b.Checkpoint.Expert.Key
		if by := b.Checkpoint.DelegatedBy; by != nil {
			run += by.CheckpointID
			if by.CheckpointID != delegating {
				t.Errorf("checkpoint %d is delegated by %s, the delegating one got %s", i+1, by.CheckpointID, delegating)
			}
		}
		before := known[run]
		if len(b.Checkpoint.Messages) < len(before) {
			t.Fatalf("checkpoint %d has lost messages of its run", i+1)
		}
		for k, m := range before {
			if !bytes.Equal(b.Checkpoint.Messages[k], m) {
				t.Errorf("checkpoint %d changes message %d of its run", i+1, k)
			}
		}
		tail := b.Checkpoint.Messages[len(b.Checkpoint.Messages)-len(b.Step.NewMessages):]
		for k, m := range b.Step.NewMessages {
			if !bytes.Equal(tail[k], m) {
				t.Errorf("checkpoint %d: new message %d does not end its messages", i+1, k)
			}
		}
		known[run] = b.Checkpoint.Messages
		if r.status == statusDelegate {
			delegating = fmt.Sprintf("c%023d", i+1)
		}
	}
	if delegating == "" {
		t.Error("nothing was delegated")
	}
}
