package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// created is what a check needs of the answer to a POST.
type created struct {
	Data struct {
		Checkpoint struct {
			Type        string `json:"type"`
			ID          string `json:"id"`
			ExpertJobID string `json:"expertJobId"`
			RunID       string `json:"runId"`
			Sequence    int64  `json:"sequence"`
			StepNumber  int    `json:"stepNumber"`
			Status      string `json:"status"`
			CreatedAt   string `json:"createdAt"`
			Action      struct {
				Type string `json:"type"`
			} `json:"action"`
			Messages    json.RawMessage `json:"messages"`
			NewMessages json.RawMessage `json:"newMessages"`
		} `json:"checkpoint"`
	} `json:"data"`
}

// checker checks the answers of one job, in order.
type checker struct {
	job string
	// next is the sequence that must come, 0 before the first answer: a job
	// that was begun earlier goes on where it was.
	next int64
	ids  map[string]bool
}

// newChecker returns a checker of the job's answers. A new job starts at 1;
// for one that may exist, any first sequence is right.
func newChecker(job string, isNew bool) *checker {
	c := &checker{job: job, ids: map[string]bool{}}
	if isNew {
		c.next = 1
	}
	return c
}

// check compares an answer with its request. The error lists all faults.
func (c *checker) check(r request, status int, body []byte) (answer, error) {
	if status != 200 {
		return answer{}, fmt.Errorf("status %d: %s", status, excerpt(body))
	}
	var got created
	if err := json.Unmarshal(body, &got); err != nil {
		return answer{}, fmt.Errorf("the answer is no JSON: %w", err)
	}
	cp := got.Data.Checkpoint
	var faults []string
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	if c.next == 0 {
		c.next = cp.Sequence
	}
	expect(cp.Type == "checkpoint", "type is %q", cp.Type)
	expect(isID(cp.ID), "id is %q", cp.ID)
	expect(!c.ids[cp.ID], "id %s was given before", cp.ID)
	expect(isID(cp.RunID), "runId is %q", cp.RunID)
	expect(cp.ExpertJobID == c.job, "expertJobId is %q, not %q", cp.ExpertJobID, c.job)
	expect(cp.Sequence == c.next, "sequence is %d, not %d", cp.Sequence, c.next)
	expect(cp.StepNumber == r.stepNumber, "stepNumber is %d, not %d", cp.StepNumber, r.stepNumber)
	expect(cp.Status == r.status, "status is %q, not %q", cp.Status, r.status)
	expect(cp.Action.Type == r.action, "action.type is %q, not %q", cp.Action.Type, r.action)
	expect(cp.CreatedAt != "", "createdAt is missing")
	expect(bytes.Equal(cp.Messages, r.messages), "messages differ from those posted")
	expect(bytes.Equal(cp.NewMessages, r.newMessages), "newMessages differ from those posted")
	// The next answer is measured against this one, so that one gap is one fault.
	c.next = cp.Sequence + 1
	c.ids[cp.ID] = true
	a := answer{id: cp.ID, sequence: cp.Sequence}
	if len(faults) > 0 {
		return a, fmt.Errorf("%s", strings.Join(faults, "; "))
	}
	return a, nil
}

// excerpt returns the start of a body for a message.
func excerpt(body []byte) string {
	const most = 300
	if len(body) > most {
		return string(body[:most]) + "…"
	}
	return string(body)
}
