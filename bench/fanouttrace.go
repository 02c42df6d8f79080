package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// usualTrace is the recorded job whose events fan out if no other is named.
const usualTrace = "max-steps"

// traceMarker begins the property of a checkpoint that holds the marker. The
// API keeps what it does not know; a name behind all others comes last too
// where properties are sorted.
const traceMarker = `"zzMarker":"`

// traceEvents are the checkpoints of a recorded job as events: of many sizes,
// each with a marker, again and again in their order. The ones that end the job
// are left out, since a stream ends with its job.
type traceEvents struct {
	name string
	// recorded is how many checkpoints the trace has.
	recorded int
	// bodies are what a runtime posts.
	bodies []markedText
	// checkpoints are what milepost makes of them, which is what its frames hold
	// and what the peers publish. learn sets them.
	checkpoints []markedText
	// constant is the part of each checkpoint up to the marker that is the same
	// whenever it is posted, with 0 for the bytes that are not.
	constant [][]byte
}

// markedText is a text around a marker.
type markedText struct{ before, behind []byte }

// append appends the text with m.
func (t markedText) append(b []byte, m marker) []byte {
	return append(appendMarker(append(b, t.before...), m), t.behind...)
}

// readTraceEvents reads one of bundledTraces by its name, or a file that has a
// body on each line.
func readTraceEvents(name string) (*traceEvents, error) {
	read, path := os.ReadFile, name
	if slices.Contains(bundledTraces, name) {
		read, path = bundledFiles.ReadFile, "testdata/"+name+".jsonl"
	}
	raw, err := read(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("cannot read the trace: %w", err)}
	}
	t := &traceEvents{name: name}
	for line := range bytes.Lines(raw) {
		t.recorded++
		if err := t.add(bytes.TrimRight(line, "\n")); err != nil {
			return nil, usageError{fmt.Errorf("line %d of the trace %s: %w", t.recorded, name, err)}
		}
	}
	if len(t.bodies) == 0 {
		return nil, usageError{fmt.Errorf("the trace %s has no checkpoint that does not end its job", name)}
	}
	return t, nil
}

// add takes over the body of a checkpoint, unless the checkpoint ends its job.
func (t *traceEvents) add(body []byte) error {
	var b struct {
		Checkpoint struct {
			Status      string          `json:"status"`
			DelegatedBy json.RawMessage `json:"delegatedBy"`
		} `json:"checkpoint"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return fmt.Errorf("cannot read the body: %w", err)
	}
	switch b.Checkpoint.Status {
	case statusExceededMaxSteps, statusError:
		return nil
	case statusCompleted:
		if b.Checkpoint.DelegatedBy == nil {
			return nil
		}
	}
	head := []byte(`{"checkpoint":{`)
	if !bytes.HasPrefix(body, head) || bytes.Contains(body, []byte(markerMagic)) {
		return fmt.Errorf("a body begins with %s and does not hold %s", head, markerMagic)
	}
	t.bodies = append(t.bodies, markedText{
		before: append(head, traceMarker...), behind: append([]byte(`",`), body[len(head):]...),
	})
	return nil
}

// learn posts the checkpoints to x, which speaks the API, under a job that
// nobody has, to see what is made of them.
func (t *traceEvents) learn(x *fanoutSystem, job string) error {
	p, err := x.newPublisher()
	if err != nil {
		return err
	}
	defer p.conn.close()
	for i, body := range t.bodies {
		m := marker{sequence: uint32(i + 1)}
		answer, _, err := p.send(job, m.sequence, body.append(nil, m))
		if err != nil {
			return err
		}
		checkpoint, err := checkpointOf(answer)
		if err != nil {
			return err
		}
		before, behind, _ := bytes.Cut(checkpoint, appendMarker(nil, m))
		if bytes.Count(checkpoint, []byte(markerMagic)) != 1 || !bytes.HasSuffix(before, []byte(traceMarker)) {
			return fmt.Errorf("the answer does not hold the marker of the trace %s once", t.name)
		}
		constant, err := constantOf(before)
		if err != nil {
			return err
		}
		t.checkpoints = append(t.checkpoints, markedText{bytes.Clone(before), bytes.Clone(behind)})
		t.constant = append(t.constant, constant)
	}
	return nil
}

// serverTimes are the values of a checkpoint that depend on when it was posted.
var serverTimes = regexp.MustCompile(`"(?:createdAt|updatedAt)":"([^"]*)"`)

// constantOf returns what follows the sequence in the text before a marker,
// with 0 for the times.
func constantOf(before []byte) ([]byte, error) {
	const name = `"sequence":`
	at := bytes.Index(before, []byte(name))
	if at < 0 {
		return nil, fmt.Errorf("no %s before the marker in %s", name, excerpt(before))
	}
	text := bytes.Clone(bytes.TrimLeft(before[at+len(name):], "0123456789"))
	for _, place := range serverTimes.FindAllSubmatchIndex(text, -1) {
		clear(text[place[2]:place[3]])
	}
	return text, nil
}

// event returns the event with that sequence among texts.
func (t *traceEvents) event(texts []markedText, sequence uint32) markedText {
	return texts[(int(sequence)-1)%len(texts)]
}

// check compares what a stream had before the marker m with what was published.
func (t *traceEvents) check(m marker, got []byte) error {
	want := t.constant[(int(m.sequence)-1)%len(t.constant)]
	same := len(got) >= len(want)
	if same {
		got = got[len(got)-len(want):]
		for i, c := range want {
			same = same && (c == 0 || c == got[i])
		}
	}
	if !same {
		return m.differs()
	}
	return nil
}

// sizes returns the least, the mean and the most bytes of a checkpoint.
func (t *traceEvents) sizes() (least, mean, most int) {
	for i, c := range t.checkpoints {
		n := len(c.before) + markerLength + len(c.behind)
		if i == 0 {
			least = n
		}
		least, most, mean = min(least, n), max(most, n), mean+n
	}
	return least, mean / max(1, len(t.checkpoints)), most
}
