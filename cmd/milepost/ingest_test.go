package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"milepost/internal/ingest/ingesttest"
)

const recorded = "../../internal/checkpoint/testdata/traces"

// list returns a job's checkpoints (up to 100), as the server gives them.
func (p *process) list(job string) []map[string]any {
	p.t.Helper()
	code, b, err := p.do("GET", path(job)+"?take=100", secret, "", "")
	if err != nil || code != 200 {
		p.t.Fatalf("list of %s: %d %s %v", job, code, b, err)
	}
	var answer struct {
		Data struct {
			Checkpoints []map[string]any `json:"checkpoints"`
		} `json:"data"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		p.t.Fatal(err)
	}
	return answer.Data.Checkpoints
}

// comparable replaces what the server chose by what it stands for: ids of
// checkpoints by their place, runs by their number; times and the job go.
func comparable(checkpoints []map[string]any) []map[string]any {
	places, runs := make(map[any]int), make(map[any]int)
	for i, c := range checkpoints {
		places[c["id"]] = i + 1
		if runs[c["runId"]] == 0 {
			runs[c["runId"]] = len(runs) + 1
		}
		c["runId"] = runs[c["runId"]]
		delete(c, "id")
		experts := []any{c}
		for _, name := range []string{"delegateTo", "delegatedBy"} {
			if other, ok := c[name].(map[string]any); ok {
				experts = append(experts, other)
				if id, ok := other["checkpointId"]; ok {
					other["checkpointId"] = places[id]
				}
			}
		}
		for _, e := range experts {
			delete(e.(map[string]any)["expert"].(map[string]any), "updatedAt")
		}
		for _, name := range []string{"expertJobId", "createdAt", "updatedAt"} {
			delete(c, name)
		}
	}
	return checkpoints
}

// postTrace posts a recorded job as a runtime would that knows the server's ids.
func (p *process) postTrace(trace *ingesttest.Trace, job string) {
	p.t.Helper()
	given := make(map[string]string)
	for i, body := range trace.Bodies {
		for theirs, ours := range given {
			body = bytes.ReplaceAll(body, []byte(`"checkpointId":"`+theirs+`"`), []byte(`"checkpointId":"`+ours+`"`))
		}
		code, answer, err := p.do("POST", path(job), secret, string(body), "")
		if err != nil || code != 200 {
			p.t.Fatalf("POST %d: %d %s %v", i+1, code, answer, err)
		}
		var made struct {
			Data struct {
				Checkpoint struct {
					ID string `json:"id"`
				} `json:"checkpoint"`
			} `json:"data"`
		}
		if err := json.Unmarshal(answer, &made); err != nil {
			p.t.Fatal(err)
		}
		given[trace.Events[i].ID] = made.Data.Checkpoint.ID
	}
}

// same compares what was ingested with what was posted.
func (p *process) same(trace *ingesttest.Trace, posted string) {
	p.t.Helper()
	got, want := comparable(p.list(trace.Job)), comparable(p.list(posted))
	if len(got) != len(trace.Bodies) {
		p.t.Errorf("%d checkpoints, want %d", len(got), len(trace.Bodies))
	}
	for i := range min(len(got), len(want)) {
		if !reflect.DeepEqual(got[i], want[i]) {
			g, _ := json.Marshal(got[i])
			w, _ := json.Marshal(want[i])
			p.t.Errorf("checkpoint %d:\n got %.1500s\nwant %.1500s", i+1, g, w)
		}
	}
}

// The events of each recorded job, through a pipe whose server is killed in the
// middle, come out as the checkpoints that the job's own requests make; the
// input comes out unchanged; and doing it again adds nothing.
func TestIngestPipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	for n, name := range []string{"short", "delegation", "interactive-stop", "interactive-resume", "error", "max-steps", "continue"} {
		trace := ingesttest.Read(t, recorded, name)
		posted := fmt.Sprintf("posted%018d", n)
		p.postTrace(trace, posted)
		input := trace.Pipe()
		half := bytes.Index(input, trace.Events[len(trace.Events)/2].JSON) + 100 // within an event
		v := startVerb(t, p.api, "ingest")
		output := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(v.out)
			output <- b
		}()
		if _, err := v.in.Write(input[:half]); err != nil {
			t.Fatal(err)
		}
		cut := name == "delegation" || name == "continue"
		if cut {
			_ = p.stop(syscall.SIGKILL)
		}
		if _, err := v.in.Write(input[half:]); err != nil {
			t.Fatal(err)
		}
		if err := v.in.Close(); err != nil {
			t.Fatal(err)
		}
		if cut {
			v.errors.until(t, "trying again")
			p = p.restart(dir)
		}
		if got := <-output; !bytes.Equal(got, input) {
			t.Errorf("%s: %d bytes came out of %d", name, len(got), len(input))
		}
		if code := v.ends(t); code != 0 {
			t.Errorf("%s: exit %d: %s", name, code, v.errors.String())
		}
		p.same(trace, posted)
		if code, _, errors := runVerb(t, p.api, string(input), "ingest"); code != 0 || !strings.Contains(errors, fmt.Sprintf("%d checkpoints stored (0 new), 0 not", len(trace.Bodies))) {
			t.Errorf("%s again: exit %d: %s", name, code, errors)
		}
		p.same(trace, posted)
	}
}

// A delegate whose events come in a pipe of their own is under the checkpoint
// that delegated to it, which an earlier pipe has posted.
func TestIngestFindsTheDelegator(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	trace := ingesttest.Read(t, recorded, "delegation")
	const posted = "posted000000000000000001"
	p.postTrace(trace, posted)
	var parts [3][]byte
	for i, e := range trace.Events {
		part := &parts[min(2, i/5)] // a delegate's events are in two parts
		*part = append(append(*part, e.JSON...), '\n')
	}
	for _, part := range append(parts[:], parts[1]) {
		if code, _, errors := runVerb(t, p.api, string(part), "ingest"); code != 0 || strings.Contains(errors, "runtime's id") {
			t.Errorf("exit %d: %s", code, errors)
		}
	}
	p.same(trace, posted)
}

// Of several delegations that one checkpoint makes at once, each delegate is
// under that checkpoint and in a run of its own, wherever its events are read.
func TestIngestParallelDelegates(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	trace := ingesttest.Read(t, recorded, "delegation")
	run := func(events ...[]byte) {
		t.Helper()
		if code, _, errors := runVerb(t, p.api, string(bytes.Join(events, []byte("\n"))), "ingest"); code != 0 || strings.Contains(errors, "runtime's id") {
			t.Fatalf("exit %d: %s", code, errors)
		}
	}
	const call, second = "toolu_01qubb5rjnsod0c0et9qaqkp", "second_call"
	parent := trace.Events[2].JSON
	part := fmt.Sprintf(`"toolCallId":%q,`, call)
	at := bytes.LastIndex(parent[:bytes.Index(parent, []byte(`"toolCalls":`))], []byte(part))
	open := bytes.LastIndexByte(parent[:at], '{')
	both := append(parent[:open:open], fmt.Sprintf(`{"type":"toolCallPart","id":"another","toolCallId":%q},`, second)...)
	both = append(both, parent[open:]...)
	run(trace.Events[0].JSON, trace.Events[1].JSON, both)
	// Each in a pipe of its own, so that the server has to be asked.
	first := trace.Events[3].JSON
	other := bytes.ReplaceAll(first, []byte(call), []byte(second))
	other = bytes.Replace(other, []byte(`"initialCheckpoint":{"id":"`), []byte(`"initialCheckpoint":{"id":"other`), 1)
	run(first)
	run(other)
	list := p.list(trace.Job)
	if len(list) != 5 {
		t.Fatalf("%d checkpoints", len(list))
	}
	for i, c := range list[3:] {
		by := c["delegatedBy"].(map[string]any)
		if by["checkpointId"] != list[2]["id"] || by["toolCallId"] != [2]string{call, second}[i] {
			t.Errorf("delegate %d is delegated by %v", i+1, by)
		}
	}
	if list[3]["runId"] == list[4]["runId"] {
		t.Error("the delegates share a run")
	}
}

// The same files as in a directory: all at once, with the files of a pipe that
// was posted before, and then followed while they are written, over a server
// that is killed.
func TestIngestDir(t *testing.T) {
	base := t.TempDir()
	dir, workspace := filepath.Join(base, "data"), filepath.Join(base, "perstack")
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	write := func(e ingesttest.Event, data []byte) {
		t.Helper()
		file := filepath.Join(workspace, e.Path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	delegation, steps := ingesttest.Read(t, recorded, "delegation"), ingesttest.Read(t, recorded, "max-steps")
	const postedDelegation, postedSteps = "posted000000000000000001", "posted000000000000000002"
	p.postTrace(delegation, postedDelegation)
	p.postTrace(steps, postedSteps)
	for _, e := range delegation.Events {
		write(e, e.JSON)
	}
	piped := string(delegation.Events[0].JSON) + "\n" + string(delegation.Events[1].JSON) + "\n"
	if code, _, errors := runVerb(t, p.api, piped, "ingest"); code != 0 {
		t.Fatalf("exit %d: %s", code, errors)
	}
	if code, out, errors := runVerb(t, p.api, "", "ingest", "--dir", workspace, "--once"); code != 0 || out != "" || !strings.Contains(errors, "15 checkpoints stored (13 new), 0 not") {
		t.Errorf("exit %d: %s%s", code, out, errors)
	}
	p.same(delegation, postedDelegation)

	v := startVerb(t, p.api, "ingest", "--dir", workspace)
	for _, e := range steps.Events[:3] {
		write(e, e.JSON)
	}
	p.until(steps.Job, 3)
	write(steps.Events[3], steps.Events[3].JSON[:200])
	write(steps.Events[4], steps.Events[4].JSON)
	_ = p.stop(syscall.SIGKILL)
	write(steps.Events[3], steps.Events[3].JSON)
	v.errors.until(t, "trying again")
	p = p.restart(dir)
	for _, e := range steps.Events[5:] {
		write(e, e.JSON)
	}
	p.until(steps.Job, len(steps.Events))
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := v.ends(t); code != 0 || !strings.Contains(v.errors.String(), "22 checkpoints stored (7 new), 0 not") {
		t.Errorf("exit %d: %s", code, v.errors.String())
	}
	p.same(delegation, postedDelegation)
	p.same(steps, postedSteps)
}

// until waits for a job to have n checkpoints.
func (p *process) until(job string, n int) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		code, b, err := p.do("GET", fmt.Sprintf("%s?take=1&skip=%d", path(job), n-1), secret, "", "")
		if err == nil && code == 200 && !strings.Contains(string(b), `"checkpoints":[]`) {
			return
		}
		select {
		case <-deadline:
			p.t.Fatalf("job %s has not got %d checkpoints: %d %s", job, n, code, b)
		case <-tick.C:
		}
	}
}

// The output's reader may go; every event is stored all the same. An interrupt
// waits for the end of the input.
func TestIngestOutlivesItsReader(t *testing.T) {
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	trace := ingesttest.Read(t, recorded, "short")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	v := launchVerb(t, p.api, w, "ingest")
	input := trace.Pipe()
	begun := bytes.Index(input, trace.Events[1].JSON)
	if _, err := v.in.Write(input[:begun]); err != nil {
		t.Fatal(err)
	}
	p.until(trace.Job, 1)
	if err := v.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	v.errors.until(t, "reading on to the end of the input")
	if _, err := v.in.Write(input[begun:]); err != nil {
		t.Fatal(err)
	}
	if err := v.in.Close(); err != nil {
		t.Fatal(err)
	}
	if code := v.ends(t); code != 0 || len(p.list(trace.Job)) != len(trace.Bodies) {
		t.Errorf("exit %d: %s", code, v.errors.String())
	}
}
