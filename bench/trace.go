package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// trace is a recorded job: its bodies as a runtime made them.
type trace struct {
	lines [][]byte
	meta  []traceLine
	seed  uint64
	// stream tells apart the jobs that replay the same trace.
	stream uint64
}

// traceLine is what the trace's meta file tells of one body.
type traceLine struct {
	RuntimeCheckpointID string `json:"runtimeCheckpointId"`
	ActionType          string `json:"actionType"`
}

// readTrace reads NAME.jsonl and NAME.meta.json beside it.
func readTrace(path string) (*trace, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the trace: %w", err)
	}
	metaPath := strings.TrimSuffix(path, ".jsonl") + ".meta.json"
	rawMeta, err := os.ReadFile(metaPath)
	if err != nil {
		return nil, fmt.Errorf("cannot read what belongs to the trace %s: %w", path, err)
	}
	return parseTrace(path, raw, metaPath, rawMeta)
}

// bundledTraces are recorded jobs that this program holds.
var bundledTraces = []string{"delegation", "interactive-resume", "max-steps"}

//go:embed testdata/*.jsonl testdata/*.meta.json
var bundledFiles embed.FS

// bundledTrace returns one of bundledTraces.
func bundledTrace(name string) (*trace, error) {
	path, metaPath := "testdata/"+name+".jsonl", "testdata/"+name+".meta.json"
	raw, err := bundledFiles.ReadFile(path)
	rawMeta, metaErr := bundledFiles.ReadFile(metaPath)
	if err := errors.Join(err, metaErr); err != nil {
		return nil, err
	}
	return parseTrace(path, raw, metaPath, rawMeta)
}

// parseTrace reads the bodies of a trace and what its meta file tells of them.
func parseTrace(path string, raw []byte, metaPath string, rawMeta []byte) (*trace, error) {
	var meta struct {
		PerLine []traceLine `json:"perLine"`
	}
	if err := json.Unmarshal(rawMeta, &meta); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", metaPath, err)
	}
	lines := bytes.Split(bytes.TrimRight(raw, "\n"), []byte("\n"))
	if len(lines) != len(meta.PerLine) {
		return nil, fmt.Errorf("%s has %d bodies, %s tells of %d", path, len(lines), metaPath, len(meta.PerLine))
	}
	return &trace{lines: lines, meta: meta.PerLine}, nil
}

// play posts the bodies in order. The recorded runtime chose its own
// checkpoint ids; where a delegate's body names one, the id that this server
// answered for that checkpoint takes its place.
func (t *trace) play(post postFunc) error {
	given := map[string]string{}
	for i, line := range t.lines {
		body, err := replaceDelegatingID(line, given)
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		r, err := traceRequest(body)
		if err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		r.action = t.meta[i].ActionType
		r.idempotencyKey = fmt.Sprintf("bench-%x-%d-%d", t.seed, t.stream, i+1)
		a, err := post(r)
		if err != nil {
			return err
		}
		given[t.meta[i].RuntimeCheckpointID] = a.id
	}
	return nil
}

// traceRequest reads from a body what its answer must repeat.
func traceRequest(body []byte) (request, error) {
	var b struct {
		Checkpoint struct {
			Status     string          `json:"status"`
			StepNumber int             `json:"stepNumber"`
			Messages   json.RawMessage `json:"messages"`
		} `json:"checkpoint"`
		Step struct {
			NewMessages json.RawMessage `json:"newMessages"`
		} `json:"step"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return request{}, fmt.Errorf("cannot read the body: %w", err)
	}
	return request{
		body: body, status: b.Checkpoint.Status, stepNumber: b.Checkpoint.StepNumber,
		messages: b.Checkpoint.Messages, newMessages: b.Step.NewMessages,
	}, nil
}

// replaceDelegatingID returns body with the value of
// checkpoint.delegatedBy.checkpointId replaced by what given maps it to. All
// other bytes stay.
func replaceDelegatingID(body []byte, given map[string]string) ([]byte, error) {
	var b struct {
		Checkpoint struct {
			DelegatedBy json.RawMessage `json:"delegatedBy"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return nil, fmt.Errorf("cannot read the body: %w", err)
	}
	old := b.Checkpoint.DelegatedBy
	if old == nil {
		return body, nil
	}
	var by struct {
		CheckpointID string `json:"checkpointId"`
	}
	if err := json.Unmarshal(old, &by); err != nil {
		return nil, fmt.Errorf("cannot read delegatedBy: %w", err)
	}
	id, ok := given[by.CheckpointID]
	if !ok {
		return nil, fmt.Errorf("delegatedBy names the checkpoint %s, which no earlier line has", by.CheckpointID)
	}
	member := append([]byte(`"delegatedBy":`), old...)
	if n := bytes.Count(body, member); n != 1 {
		return nil, fmt.Errorf("delegatedBy stands %d times in the body as one text, not once", n)
	}
	replaced := bytes.Replace(member, mustJSON(by.CheckpointID), mustJSON(id), 1)
	return bytes.Replace(body, member, replaced, 1), nil
}
