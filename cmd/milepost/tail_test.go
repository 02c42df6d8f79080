package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// verb is a running verb of the terminal.
type verb struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	in     io.WriteCloser
	errors locked
	exited chan error
}

// locked is a buffer that is written to while it is read.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// until waits until the words have been written.
func (l *locked) until(t *testing.T, words string) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(l.String(), words) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %q in %q", words, l.String())
		}
	}
}

// terminalEnv is the environment with which verbs find a server.
func terminalEnv(api string) []string {
	return append(os.Environ(), "MILEPOST_URL=http://"+api, "MILEPOST_API_KEY="+secret, "TZ=UTC")
}

// startVerb starts a verb that talks to the server at api. Its output must be
// read to the end.
func startVerb(t *testing.T, api string, args ...string) *verb {
	t.Helper()
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	v := launchVerb(t, api, w, args...)
	v.out = bufio.NewReader(out)
	return v
}

// launchVerb starts a verb whose output goes to a file, which is closed here.
func launchVerb(t *testing.T, api string, w *os.File, args ...string) *verb {
	t.Helper()
	v := &verb{cmd: exec.Command(binary, args...), exited: make(chan error, 1)}
	v.cmd.Env = terminalEnv(api)
	v.cmd.Stdout, v.cmd.Stderr = w, &v.errors
	var err error
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	go func() { v.exited <- v.cmd.Wait() }()
	t.Cleanup(func() { _ = v.cmd.Process.Kill() })
	return v
}

// line returns the next line of the output.
func (v *verb) line(t *testing.T) string {
	t.Helper()
	s, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the output ended: %v\n%s", err, v.errors.String())
	}
	return s
}

// ends waits for the verb and returns its exit status.
func (v *verb) ends(t *testing.T) int {
	t.Helper()
	select {
	case <-v.exited:
		return v.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		t.Fatalf("the verb did not end\n%s", v.errors.String())
		return 0
	}
}

// runVerb runs a verb to its end.
func runVerb(t *testing.T, api, input string, args ...string) (code int, out, errors string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = terminalEnv(api)
	cmd.Stdin = strings.NewReader(input)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

// restart starts a server again at the addresses that it had.
func (p *process) restart(dir string) *process {
	p.t.Helper()
	q := &process{t: p.t, api: p.api, admin: p.admin, exited: make(chan error, 1)}
	q.cmd = exec.Command(binary, "--listen", p.api, "--admin-listen", p.admin, "--data", dir)
	q.cmd.Env = append(os.Environ(), "MILEPOST_STORE_MIN_FREE=0B", "MILEPOST_API_KEY="+secret)
	q.cmd.Stdout, q.cmd.Stderr = &q.stdout, &q.logs
	if err := q.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { q.exited <- q.cmd.Wait() }()
	p.t.Cleanup(func() { _ = q.cmd.Process.Kill() })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if resp, err := http.Get("http://" + q.admin + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == 200 {
				return q
			}
		}
		select {
		case err := <-q.exited:
			p.t.Fatalf("the server ended: %v\n%s", err, q.logs.String())
		case <-deadline:
			p.t.Fatalf("the server did not get ready\n%s", q.logs.String())
		case <-tick.C:
		}
	}
}

// post stores the checkpoint of a step with a status.
func (p *process) post(job string, step int, status string) {
	p.t.Helper()
	body := strings.Replace(requestBody(step), `"proceeding"`, fmt.Sprintf("%q", status), 1)
	if code, b, err := p.do("POST", path(job), secret, body, ""); err != nil || code != 200 {
		p.t.Fatalf("POST: %d %s %v", code, b, err)
	}
}

// One tail sees every checkpoint once, over a server that is killed and one
// that drains, and ends with the job.
func TestTailOverCuts(t *testing.T) {
	const job = "tail00000000000000000001"
	dir := filepath.Join(t.TempDir(), "data")
	// The variable of the terminal's verbs is nothing to a server.
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret, "MILEPOST_URL=http://127.0.0.1:1")
	p.post(job, 1, "init")
	v := startVerb(t, p.api, "tail", job)
	step := 1
	see := func() {
		t.Helper()
		if got := strings.Fields(v.line(t)); len(got) < 5 || got[2] != fmt.Sprint(step) || got[3] != "helper@1.0.0" {
			t.Errorf("step %d: %q", step, got)
		}
		step++
	}
	see()
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		p.post(job, step, "proceeding")
		see()
		_ = p.stop(how)
		p = p.restart(dir)
		p.post(job, step, "proceeding")
		see()
	}
	p.post(job, step, "completed")
	see()
	if rest, err := io.ReadAll(v.out); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q %v", rest, err)
	}
	if code := v.ends(t); code != 0 || !strings.HasSuffix(v.errors.String(), "ended: completed\n") {
		t.Errorf("exit %d: %s", code, v.errors.String())
	}
}

// What tail prints with --json is what get prints of each, and what the server
// gave; --from leaves out what was seen.
func TestTailJSONAndGet(t *testing.T) {
	const job = "json00000000000000000001"
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	for step, status := range []string{"init", "proceeding", "stoppedByError"} {
		p.post(job, step+1, status)
	}
	code, out, errors := runVerb(t, p.api, "", "tail", job, "--json")
	all := strings.SplitAfter(strings.TrimSuffix(out, "\n"), "\n")
	if code != 1 || len(all) != 3 || !strings.Contains(errors, "ended: failed") {
		t.Fatalf("exit %d, %d lines: %s", code, len(all), errors)
	}
	var ids []string
	for i, line := range all {
		_, id, _ := strings.Cut(line, `"id":"`)
		ids = append(ids, id[:24])
		code, got, errors := runVerb(t, p.api, "", "get", job, ids[i])
		if strings.TrimSuffix(got, "\n") != strings.TrimSuffix(line, "\n") || code != 0 {
			t.Errorf("get %d: exit %d %s\n%.200s\n%.200s", i, code, errors, got, line)
		}
		status, answer, err := p.do("GET", path(job)+ids[i], secret, "", "")
		if want := `{"data":{"checkpoint":` + strings.TrimSuffix(line, "\n") + `}}`; string(answer) != want || status != 200 || err != nil {
			t.Errorf("the server gives %.200s", answer)
		}
	}
	if _, last, _ := runVerb(t, p.api, "", "get", job); strings.TrimSuffix(last, "\n") != all[2] {
		t.Errorf("the last is %.200s", last)
	}
	if _, out, _ := runVerb(t, p.api, "", "tail", job, "--json", "--from", ids[1]); strings.TrimSuffix(out, "\n") != all[2] {
		t.Errorf("--from: %.200s", out)
	}
}

// What is wrong is said, with the exit status of its kind.
func TestTerminalFaults(t *testing.T) {
	const job = "json00000000000000000002"
	p := startProcess(t, filepath.Join(t.TempDir(), "data"), "MILEPOST_API_KEY="+secret)
	p.post(job, 1, "init")
	nobody := freeAddress(t)
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"tail", 2, "tail takes 1 argument(s), got 0"},
		{"tail short", 2, "24 characters"},
		{"tail " + job + " --from x", 2, "--from"},
		{"tail " + job + " --from aaaaaaaaaaaaaaaaaaaaaaaa", 1, "404"},
		{"tail aaaaaaaaaaaaaaaaaaaaaaaa", 1, "404: Expert job not found"},
		{"tail " + job + " --target http://" + nobody, 1, "cannot reach the server"},
		{"tail " + job + " --key wrong", 1, "401: Failed to authenticate"},
		{"tail " + job + " --target nowhere", 2, "no http or https URL"},
		{"get " + job + " aaaaaaaaaaaaaaaaaaaaaaaa", 1, "404: Checkpoint not found"},
		{"get aaaaaaaaaaaaaaaaaaaaaaaa", 1, "404: Expert job not found"},
		{"get " + job + " x", 2, "24 characters"},
		{"export aaaaaaaaaaaaaaaaaaaaaaaa", 1, "404: Expert job not found"},
		{"export x", 2, "24 characters"},
		{"jobs more", 2, "jobs takes 0 argument(s)"},
		{"ingest --once", 2, "--once belongs to --dir"},
		{"ingest --give-up -1s", 2, "negative"},
		{"ingest --dir /nowhere", 1, "no such file"},
		{"import --organization x", 2, "24 characters"},
		{"import --unknown", 2, "unknown"},
		{"completion tcsh", 2, "bash, zsh or fish"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			code, out, errors := runVerb(t, p.api, "", strings.Fields(tt.args)...)
			if code != tt.code || !strings.Contains(errors, tt.says) || out != "" {
				t.Errorf("exit %d, want %d: %s%s", code, tt.code, out, errors)
			}
		})
	}
}
