package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program, built once for all tests; killRounds is how often
// TestKilledServerLosesNothing kills it.
var (
	binary     string
	killRounds = 3
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "milepost-test")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "milepost")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", out)
		os.Exit(1)
	}
	// Not configuration: the server would refuse to know it.
	if v, err := strconv.Atoi(os.Getenv("MILEPOST_KILL_ROUNDS")); err == nil {
		killRounds = v
	}
	if v, err := strconv.Atoi(os.Getenv("MILEPOST_OUTAGE_ROUNDS")); err == nil {
		outageRounds = v
	}
	// Nor is what the shell has for a server of its own, as after the README's tour.
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "MILEPOST_") {
			_ = os.Unsetenv(name)
		}
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const secret = "secret-of-the-process-test"

// process is a running server.
type process struct {
	t            *testing.T
	cmd          *exec.Cmd
	stdout, logs bytes.Buffer
	api, admin   string
	exited       chan error
}

// given are the addresses that tests have been given: the system may offer one
// again before its server listens there.
var given sync.Map

// freeAddress is one that nobody listens on and no other test has.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		_ = ln.Close()
		if _, taken := given.LoadOrStore(address, nil); !taken {
			return address
		}
	}
}

func startProcess(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	return startAt(t, dir, freeAddress(t), freeAddress(t), env...)
}

// startAt starts a server at these addresses.
func startAt(t *testing.T, dir, api, admin string, env ...string) *process {
	t.Helper()
	return startWith(t, nil, dir, api, admin, env...)
}

// startWith starts a server with more arguments.
func startWith(t *testing.T, more []string, dir, api, admin string, env ...string) *process {
	t.Helper()
	p := &process{t: t, api: api, admin: admin, exited: make(chan error, 1)}
	p.cmd = exec.Command(binary, append([]string{"--listen", p.api, "--admin-listen", p.admin, "--data", dir}, more...)...)
	p.cmd.Env = append(os.Environ(), append([]string{"MILEPOST_STORE_MIN_FREE=0B"}, env...)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if resp, err := http.Get("http://" + p.admin + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == 200 {
				return p
			}
		}
		select {
		case err := <-p.exited:
			t.Fatalf("the server ended: %v\n%s", err, p.logs.String())
		case <-deadline:
			t.Fatalf("the server did not get ready\n%s", p.logs.String())
		case <-tick.C:
		}
	}
}

// stop sends a signal and returns how the process ended.
func (p *process) stop(s syscall.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		return err
	case <-time.After(20 * time.Second):
		p.t.Fatal("the server did not end")
		return nil
	}
}

func requestBody(step int) string {
	usage := `{"inputTokens":1,"outputTokens":1,"reasoningTokens":0,"totalTokens":2,"cachedInputTokens":0}`
	return fmt.Sprintf(`{"checkpoint":{"status":"proceeding","stepNumber":%d,"messages":[{"id":"m","type":"userMessage","contents":[{"id":"c","type":"textPart","text":"%s"}]}],`+
		`"expert":{"key":"helper@1.0.0","name":"helper","version":"1.0.0"},"usage":%s},`+
		`"step":{"stepNumber":%d,"newMessages":[],"usage":%s,"startedAt":1766560657248}}`,
		step, strings.Repeat("text ", 200), usage, step, usage)
}

func path(job string) string { return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/" }

func (p *process) do(method, path, key, body, idempotency string) (int, []byte, error) {
	req, err := http.NewRequest(method, "http://"+p.api+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	if idempotency != "" {
		req.Header.Set("Idempotency-Key", idempotency)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

// acknowledged is a checkpoint that the server said it has.
type acknowledged struct {
	job, key, body string
	step           int
	answer         []byte
}

// TestKilledServerLosesNothing kills the server under load, again and again.
// MILEPOST_KILL_ROUNDS sets how often (default 3).
func TestKilledServerLosesNothing(t *testing.T) {
	rounds := killRounds
	dir := filepath.Join(t.TempDir(), "data")
	const writers = 8
	var (
		all  []acknowledged
		mu   sync.Mutex
		next [writers]int
	)
	for round := range rounds {
		p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
		var wait sync.WaitGroup
		enough := make(chan struct{})
		var once sync.Once
		got := 0
		for w := range writers {
			wait.Add(1)
			go func() {
				defer wait.Done()
				// Two writers a job, so that syncs are shared within one, too.
				job := fmt.Sprintf("kill%020d", w/2)
				for {
					next[w]++
					a := acknowledged{job: job, step: next[w], body: requestBody(next[w]), key: fmt.Sprintf("w%d-%d", w, next[w])}
					code, answer, err := p.do("POST", path(job), secret, a.body, a.key)
					if err != nil {
						return // killed
					}
					if code != 200 {
						t.Errorf("POST: %d %s", code, answer)
						return
					}
					a.answer = answer
					mu.Lock()
					all = append(all, a)
					if got++; got >= 200+10*round%100 {
						once.Do(func() { close(enough) })
					}
					mu.Unlock()
				}
			}()
		}
		<-enough
		_ = p.stop(syscall.SIGKILL)
		wait.Wait()
	}

	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	for i, a := range all {
		// Every tenth is asked for again by its key, every one is read.
		if i%10 == 0 {
			code, again, err := p.do("POST", path(a.job), secret, a.body, a.key)
			if err != nil || code != 200 || !bytes.Equal(again, a.answer) {
				t.Fatalf("key %s was forgotten: %d %s %v", a.key, code, again, err)
			}
		}
		var v struct {
			Data struct{ Checkpoint struct{ ID string } }
		}
		if err := json.Unmarshal(a.answer, &v); err != nil {
			t.Fatal(err)
		}
		code, read, err := p.do("GET", path(a.job)+v.Data.Checkpoint.ID, secret, "", "")
		if err != nil || code != 200 || !bytes.Equal(read, a.answer) {
			t.Fatalf("acknowledged checkpoint %s is not what it was: %d %v", v.Data.Checkpoint.ID, code, err)
		}
	}
	for j := range writers / 2 {
		job := fmt.Sprintf("kill%020d", j)
		for seen := 0; ; {
			code, b, err := p.do("GET", path(job)+fmt.Sprintf("?take=100&skip=%d", seen), secret, "", "")
			var l struct {
				Data struct{ Checkpoints []struct{ Sequence int } }
				Meta struct{ Total int }
			}
			if err != nil || code != 200 || json.Unmarshal(b, &l) != nil {
				t.Fatalf("list: %d %v", code, err)
			}
			for _, c := range l.Data.Checkpoints {
				if seen++; c.Sequence != seen {
					t.Fatalf("job %s: sequence %d where %d should be", job, c.Sequence, seen)
				}
			}
			if seen == l.Meta.Total {
				break
			}
		}
	}
	_, b, err := get("http://" + p.admin + "/metrics")
	if err != nil || !strings.Contains(string(b), fmt.Sprintf("milepost_unclean_shutdowns_total %d\n", rounds)) {
		t.Errorf("unclean shutdowns are not counted: %v", err)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.logs.String())
	}
	t.Logf("%d acknowledged checkpoints over %d kills", len(all), rounds)
}

func get(url string) (int, []byte, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, b, err
}

func TestFirstStartShowsItsKeyOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir)
	job := "first0000000000000000001"
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	_, after, found := strings.Cut(p.stdout.String(), "only its hash is kept): ")
	if !found {
		t.Fatalf("no key in %q", p.stdout.String())
	}
	key, _, _ := strings.Cut(after, "\n")
	if strings.Contains(p.logs.String(), key) {
		t.Error("the key is in the log")
	}
	p = startProcess(t, dir)
	if code, b, err := p.do("POST", path(job), key, requestBody(1), ""); err != nil || code != 200 {
		t.Errorf("the key of the first start: %d %s %v", code, b, err)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	if strings.Contains(p.stdout.String(), "only its hash") {
		t.Error("the second start shows a key again")
	}
}

func TestBackupAndDelete(t *testing.T) {
	base := t.TempDir()
	dir, copied := filepath.Join(base, "data"), filepath.Join(base, "copy")
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	job := "backup000000000000000001"
	_, answer, err := p.do("POST", path(job), secret, requestBody(1), "")
	if err != nil {
		t.Fatal(err)
	}
	verb := func(args ...string) (string, error) {
		out, err := exec.Command(binary, append(args, "--data", dir, "--admin-listen", p.admin)...).CombinedOutput()
		return string(out), err
	}
	if out, err := verb("backup", copied); err != nil {
		t.Fatalf("backup: %v %s", err, out)
	}
	if out, err := verb("backup", copied); err == nil {
		t.Errorf("a second backup to the same directory: %s", out)
	}
	if out, err := verb("delete", job); err != nil {
		t.Fatalf("delete: %v %s", err, out)
	}
	if out, err := verb("delete", job); err == nil {
		t.Errorf("deleted twice: %s", out)
	}
	if code, _, _ := p.do("GET", path(job), secret, "", ""); code != 404 {
		t.Errorf("the deleted job: %d", code)
	}
	for _, path := range []string{"/backup", "/delete"} {
		resp, err := http.Post("http://"+p.admin+path, "application/json", strings.NewReader(`{"job":"`+job+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("%s without the token: %d", path, resp.StatusCode)
		}
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p = startProcess(t, copied) // the default key is in the backup
	if code, b, err := p.do("GET", path(job), secret, "", ""); err != nil || code != 200 || !bytes.Contains(b, answer[22:len(answer)-2]) {
		t.Errorf("the backup: %d %v", code, err)
	}
}

func TestReload(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "config.toml")
	write := func(body, listen string) {
		t.Helper()
		text := fmt.Sprintf("[server]\nmax_body = %q\nidle_timeout = %q\n", body, listen)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("64MiB", "1m")
	p := &process{t: t, api: freeAddress(t), admin: freeAddress(t), exited: make(chan error, 1)}
	read, log, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	p.cmd = exec.Command(binary, "--config", file, "--listen", p.api, "--admin-listen", p.admin, "--data", filepath.Join(base, "data"))
	p.cmd.Env = append(os.Environ(), "MILEPOST_API_KEY="+secret, "MILEPOST_STORE_MIN_FREE=0B")
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = log.Close()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	lines := newLines(read)
	lines.until(t, "msg=serving")
	job := "reload000000000000000001"
	if code, _, err := p.do("POST", path(job), secret, requestBody(1), ""); err != nil || code != 200 {
		t.Fatalf("before: %d %v", code, err)
	}
	write("1KiB", "2m")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	lines.until(t, "server.idle_timeout") // refused by name
	lines.until(t, "msg=reloaded")
	if code, _, err := p.do("POST", path(job), secret, requestBody(2), ""); err != nil || code != 413 {
		t.Errorf("after: %d %v", code, err)
	}
	if err := os.WriteFile(file, []byte("[server]\nno_such_key = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	lines.until(t, "reload refused")
	if code, _, err := p.do("GET", path(job), secret, "", ""); err != nil || code != 200 {
		t.Errorf("after a refused reload: %d %v", code, err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
}

func TestExitStatuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := startProcess(t, dir, "MILEPOST_API_KEY="+secret)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"version"}, 0, "milepost"},
		{[]string{"keys", "new"}, 0, "secret_sha256"},
		{[]string{"check-config", "--config", "../../config.example.toml"}, 0, "sound"},
		{[]string{"check-config", "--config", "no-such-file"}, 2, "no-such-file"},
		{[]string{"nonsense"}, 2, "unknown command"},
		{[]string{"serve", "--nonsense"}, 2, "nonsense"},
		{[]string{"backup"}, 2, "takes 1 argument(s)"},
		{[]string{"tail"}, 2, "\nusage: milepost tail JOB"},
		{[]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--admin-listen", ""}, 1, "another process has it open"},
		{[]string{"serve", "--data", t.TempDir(), "--listen", p.api, "--admin-listen", ""}, 1, "server.listen: cannot listen"},
	} {
		cmd := exec.Command(binary, c.args...)
		cmd.Env = append(os.Environ(), "MILEPOST_STORE_MIN_FREE=0B")
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(out), c.says) {
			t.Errorf("%v: exit %d, want %d with %q:\n%s", c.args, code, c.code, c.says, out)
		}
	}
}
