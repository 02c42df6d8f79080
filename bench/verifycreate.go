package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// createChecks are those of POST.
func createChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "create", rule: "the answer has every property that the document requires, with its type", check: func(v *verifier) error {
			s, err := v.post(v.newJob(), checkBody(statusProceeding, 1))
			if err != nil {
				return err
			}
			return requiredProperties(s.raw)
		}},
		{area: "create", rule: "sequence runs 1, 2, 3 …, and createdAt is a time", beyond: true, check: func(v *verifier) error {
			_, all, err := v.seed(5)
			if err != nil {
				return err
			}
			for i, s := range all {
				var c struct {
					CreatedAt time.Time `json:"createdAt"`
				}
				if err := json.Unmarshal(s.raw, &c); err != nil || c.CreatedAt.IsZero() {
					return fmt.Errorf("createdAt: %v in %s", err, excerpt(s.raw))
				}
				if s.sequence != int64(i+1) {
					return fmt.Errorf("checkpoint %d has the sequence %d", i+1, s.sequence)
				}
			}
			return nil
		}},
		{area: "create", rule: "messages come back with the same literals, escapes and order", check: func(v *verifier) error {
			const value = `{"z":12345678901234567890,"a":1.10,"e":1E400,"s":"\u00e9\/é \ud83d\ude00","n":null,"nested":[[],{},""]}`
			body := strings.Replace(smallestBody, `"messages":[`, `"messages":[ `+value+` , `, 1)
			s, err := v.post(v.newJob(), []byte(body))
			if err != nil {
				return err
			}
			if !bytes.Contains(s.raw, []byte(`"messages":[`+value+`,{"type":"userMessage"`)) {
				return fmt.Errorf("messages are not as they were posted: %s", excerpt(s.raw))
			}
			return nil
		}},
		{area: "create", rule: "an unknown property of the checkpoint is kept, a known name is not overwritten", beyond: true, check: func(v *verifier) error {
			body := strings.Replace(smallestBody, `{"checkpoint":{`, `{"checkpoint":{"pendingToolCalls":[{"x":1.0}],"id":"mine","sequence":77,`, 1)
			s, err := v.post(v.newJob(), []byte(body))
			if err != nil {
				return err
			}
			if !bytes.Contains(s.raw, []byte(`"pendingToolCalls":[{"x":1.0}]`)) || s.sequence != 1 {
				return fmt.Errorf("the answer is %s", excerpt(s.raw))
			}
			return nil
		}},
		{area: "create", rule: "startedAt and finishedAt leave as ISO times", beyond: true, check: func(v *verifier) error {
			body := strings.Replace(smallestBody, `"startedAt":1767323045678`, `"startedAt":1767323045678,"finishedAt":1767323046000`, 1)
			s, err := v.post(v.newJob(), []byte(body))
			if err != nil {
				return err
			}
			return hasMembers(s.raw, map[string]string{"startedAt": `"2026-01-02T03:04:05.678Z"`, "finishedAt": `"2026-01-02T03:04:06.000Z"`})
		}},
		{area: "create", rule: "delegateTo comes back without its query", beyond: true, check: func(v *verifier) error {
			body := strings.Replace(string(checkBody("stoppedByDelegate", 1)), `"usage":`,
				`"delegateTo":{"expert":{"key":"d","name":"d","version":"1.0.0"},"toolCallId":"t1","toolName":"d","query":"find it"},"usage":`, 1)
			s, err := v.post(v.newJob(), []byte(body))
			if err != nil {
				return err
			}
			var c struct {
				DelegateTo map[string]json.RawMessage `json:"delegateTo"`
				Action     struct {
					Type string `json:"type"`
				} `json:"action"`
			}
			if err := json.Unmarshal(s.raw, &c); err != nil {
				return err
			}
			if c.DelegateTo["query"] != nil || c.DelegateTo["expert"] == nil || c.Action.Type != "delegate" {
				return fmt.Errorf("the answer is %s", excerpt(s.raw))
			}
			return nil
		}},
		{area: "create", rule: "recorded jobs get the actions of the reference runtime", check: func(v *verifier) error {
			for _, name := range bundledTraces {
				t, err := bundledTrace(name)
				if err != nil {
					return err
				}
				t.seed = v.rng.Uint64()
				if err := v.play(t); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
			return nil
		}},
		{area: "create", rule: "simulated jobs of every kind of call, with all endings, get the right answers", check: func(v *verifier) error {
			for e := range endings {
				j := newJob(jobOptions{seed: v.rng.Uint64(), steps: 24, ending: e, start: time.Now()})
				if err := v.play(j); err != nil {
					return fmt.Errorf("ending %d: %w", e, err)
				}
			}
			return nil
		}},
		{area: "create", rule: "64 POSTs at once to one job get 64 sequences", beyond: true, check: (*verifier).concurrentPosts},
		{area: "create", rule: "a job goes on as one run, and a new run begins after its end", beyond: true, check: func(v *verifier) error {
			_, all, err := v.seed(5, statusInit, statusProceeding, statusCompleted, statusInit, statusProceeding)
			if err != nil {
				return err
			}
			var runs []string
			for _, s := range all {
				var c struct {
					RunID string `json:"runId"`
				}
				if err := json.Unmarshal(s.raw, &c); err != nil {
					return err
				}
				runs = append(runs, c.RunID)
			}
			if !isID(runs[0]) || runs[0] != runs[1] || runs[1] != runs[2] || runs[2] == runs[3] || runs[3] != runs[4] {
				return fmt.Errorf("the runs are %v", runs)
			}
			return nil
		}},
		{area: "create", rule: "an Idempotency-Key with the same body gives the first answer and no double", beyond: true, check: func(v *verifier) error {
			job, body := v.newJob(), checkBody(statusProceeding, 1)
			first, err := v.do(http.MethodPost, collectionPath(job), body, "Idempotency-Key", "try-1")
			if err != nil {
				return err
			}
			second, err := v.do(http.MethodPost, collectionPath(job), body, "Idempotency-Key", "try-1")
			if err != nil {
				return err
			}
			if first.status != 200 || second.status != 200 || !bytes.Equal(first.body, second.body) {
				return fmt.Errorf("status %d and %d; the answers are %s and %s", first.status, second.status, excerpt(first.body), excerpt(second.body))
			}
			p, err := v.list(job, "take=10&skip=0")
			if err == nil && p.Meta.Total != 1 {
				err = fmt.Errorf("the job has %d checkpoints", p.Meta.Total)
			}
			return err
		}},
		{area: "create", rule: "an Idempotency-Key with another body, and one that is too long, are 422", beyond: true, check: func(v *verifier) error {
			job := v.newJob()
			if _, err := v.post(job, checkBody(statusProceeding, 1), "Idempotency-Key", "try-1"); err != nil {
				return err
			}
			refused := func(key string) error {
				return v.refuses(http.MethodPost, collectionPath(job), checkBody(statusProceeding, 2), isError(422, "Validation Failed", ""), "Idempotency-Key", key)
			}
			return errors.Join(refused("try-1"), refused(strings.Repeat("k", 256)))
		}},
	}
}

// play posts a job and checks each answer.
func (v *verifier) play(job source) error {
	check := newChecker(v.newJob(), true)
	return job.play(func(r request) (answer, error) {
		a, err := v.do(http.MethodPost, collectionPath(check.job), r.body)
		if err != nil {
			return answer{}, err
		}
		got, err := check.check(r, a.status, a.body)
		if err != nil {
			err = fmt.Errorf("step %d (%s): %w", r.stepNumber, r.status, err)
		}
		return got, err
	})
}

// concurrentPosts posts from many goroutines to one job.
func (v *verifier) concurrentPosts() error {
	const writers, each = 16, 4
	job := v.newJob()
	sequences := make([]int64, writers*each)
	faults := make([]error, writers)
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				s, err := v.post(job, checkBody(statusProceeding, w*each+i+1))
				if err != nil {
					faults[w] = err
					return
				}
				sequences[w*each+i] = s.sequence
			}
		})
	}
	all.Wait()
	if err := errors.Join(faults...); err != nil {
		return err
	}
	slices.Sort(sequences)
	for i, n := range sequences {
		if n != int64(i+1) {
			return fmt.Errorf("the sequences are %v", sequences)
		}
	}
	return nil
}

// requiredProperties checks the required properties of the document's table of
// a checkpoint, by their first level and that of the expert.
func requiredProperties(raw json.RawMessage) error {
	return errors.Join(
		hasKinds(raw, "", map[string]byte{
			"type": '"', "id": '"', "action": '{', "runId": '"', "expertJobId": '"', "stepNumber": '0', "status": '"',
			"expert": '{', "messages": '[', "newMessages": '[', "usage": '{', "startedAt": '"',
		}),
		hasKinds(raw, "expert", map[string]byte{
			"type": '"', "id": '"', "key": '"', "name": '"', "minRuntimeVersion": '"', "description": '"', "owner": '{',
			"createdAt": '"', "updatedAt": '"', "tags": '[',
		}),
		hasKinds(raw, "usage", map[string]byte{
			"inputTokens": '0', "outputTokens": '0', "reasoningTokens": '0', "totalTokens": '0', "cachedInputTokens": '0',
		}))
}

// hasKinds checks that the object raw, or its member name, has members whose
// values begin with the given characters, 0 standing for any digit.
func hasKinds(raw json.RawMessage, name string, kinds map[string]byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("no object: %s", excerpt(raw))
	}
	if name != "" {
		return hasKinds(members[name], "", kinds)
	}
	for member, kind := range kinds {
		value := members[member]
		ok := len(value) > 0 && value[0] == kind
		if kind == '0' {
			ok = len(value) > 0 && value[0] >= '0' && value[0] <= '9'
		}
		if !ok {
			return fmt.Errorf("%s is %s", member, excerpt(value))
		}
	}
	return nil
}

// hasMembers checks members of the object raw against their JSON.
func hasMembers(raw json.RawMessage, want map[string]string) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return fmt.Errorf("no object: %s", excerpt(raw))
	}
	for name, value := range want {
		if string(members[name]) != value {
			return fmt.Errorf("%s is %s, not %s", name, excerpt(members[name]), value)
		}
	}
	return nil
}
