package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const (
	runtimeKey   = "runtime-of-the-browser-test"
	dashboardKey = "dashboard-of-the-browser-test"
)

// server is a milepost process that can be ended and started again on its
// address and its data.
type server struct {
	t          *testing.T
	api, admin string // host:port
	config     string // file
	client     *http.Client

	cmd    *exec.Cmd
	logs   *bytes.Buffer
	exited chan error
}

// startServer starts a server for one test, which ends with it.
func startServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{t: t, api: freeAddress(t), admin: freeAddress(t), config: filepath.Join(dir, "milepost.toml")}
	text := fmt.Sprintf(`
[server]
listen = %q
admin_listen = %q
cors_origins = [%q]
drain_spread = "3s"

[store]
dir = %q
min_free = "0B"
ballast = "0B"
`, s.api, s.admin, namedOrigin, filepath.Join(dir, "data"))
	for _, k := range []struct{ name, secret, scopes string }{
		{"runtime", runtimeKey, `"read", "write"`},
		{"dashboard", dashboardKey, `"read"`},
	} {
		text += fmt.Sprintf(`
[[auth.keys]]
name = %q
secret = %q
organization_id = "organization000000000001"
application_id = "application0000000000001"
scopes = [%s]
`, k.name, k.secret, k.scopes)
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); s.wait() })
	return s
}

// given are the addresses that tests have been given: the system may offer one
// again before its server listens there.
var given sync.Map

// freeAddress is one that nobody listens on, and that nothing takes while a
// server is down: connections on this machine come from 127.0.0.1.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.2:0")
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

// start returns when the server says that it serves.
func (s *server) start() {
	s.t.Helper()
	s.client = &http.Client{Transport: &http.Transport{}}
	s.logs, s.exited = new(bytes.Buffer), make(chan error, 1)
	s.cmd = exec.CommandContext(suite, binary, "--config", s.config)
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	serves := make(chan string, 1)
	go func() {
		lines := bufio.NewReader(out)
		line, _ := lines.ReadString('\n')
		serves <- line
		_, _ = io.Copy(io.Discard, lines)
		s.exited <- s.cmd.Wait()
		close(s.exited)
	}()
	if line := <-serves; !strings.HasPrefix(line, "milepost serves ") {
		err := s.wait()
		s.t.Fatalf("the server did not start: %q, %v\n%s", line, err, s.logs)
	}
}

// signal begins the end of the process.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// wait returns how the process ended.
func (s *server) wait() error {
	s.client.CloseIdleConnections()
	return <-s.exited
}

// checkpoint is one as the server returned it.
type checkpoint struct {
	id   string
	json string
}

func parseCheckpoint(raw json.RawMessage) (checkpoint, error) {
	var c struct{ ID string }
	err := json.Unmarshal(raw, &c)
	return checkpoint{c.ID, string(raw)}, err
}

func checkpointsPath(job string) string {
	return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/"
}

// body is a checkpoint of about size bytes, with what a line of an event stream
// could stumble over.
func body(status string, size int) string {
	text, _ := json.Marshal(strings.Repeat("line\r\n\u2028\u00a0ü😀data: x\n\n", 1+size/40))
	usage := `{"inputTokens":1,"outputTokens":1,"reasoningTokens":0,"totalTokens":2,"cachedInputTokens":0}`
	return fmt.Sprintf(`{"checkpoint":{"status":%q,"stepNumber":1,"messages":[{"id":"m","type":"userMessage","contents":[{"id":"c","type":"textPart","text":%s}]}],`+
		`"expert":{"key":"helper@1.0.0","name":"helper","version":"1.0.0"},"usage":%s},`+
		`"step":{"stepNumber":1,"newMessages":[],"usage":%s,"startedAt":1766560657248}}`, status, text, usage, usage)
}

// post adds a checkpoint of about size bytes to a job.
func (s *server) post(job, status string, size int) (checkpoint, error) {
	b, err := s.do("POST", checkpointsPath(job), body(status, size))
	if err != nil {
		return checkpoint{}, err
	}
	var answer struct {
		Data struct{ Checkpoint json.RawMessage }
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return checkpoint{}, err
	}
	return parseCheckpoint(answer.Data.Checkpoint)
}

// mustPost adds n checkpoints and returns them.
func (s *server) mustPost(job, status string, n int) []checkpoint {
	s.t.Helper()
	var posted []checkpoint
	for range n {
		c, err := s.post(job, status, 1<<10)
		if err != nil {
			s.t.Fatal(err)
		}
		posted = append(posted, c)
	}
	return posted
}

// list returns all checkpoints of a job.
func (s *server) list(job string) []checkpoint {
	s.t.Helper()
	var all []checkpoint
	for {
		b, err := s.do("GET", fmt.Sprintf("%s?take=100&skip=%d", checkpointsPath(job), len(all)), "")
		if err != nil {
			s.t.Fatal(err)
		}
		var answer struct {
			Data struct{ Checkpoints []json.RawMessage }
			Meta struct{ Total int }
		}
		if err := json.Unmarshal(b, &answer); err != nil {
			s.t.Fatal(err)
		}
		for _, raw := range answer.Data.Checkpoints {
			c, err := parseCheckpoint(raw)
			if err != nil {
				s.t.Fatal(err)
			}
			all = append(all, c)
		}
		if len(all) >= answer.Meta.Total || len(answer.Data.Checkpoints) == 0 {
			return all
		}
	}
}

// do makes a request with the runtime's key; an answer other than 200 is an
// error.
func (s *server) do(method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(suite, method, "http://"+s.api+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+runtimeKey)
	req.Header.Set("Content-Type", "application/json")
	return s.ask(req)
}

func (s *server) ask(req *http.Request) ([]byte, error) {
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s %s: %d %s", req.Method, req.URL.Path, resp.StatusCode, b)
	}
	return b, err
}

// requests returns how many requests of a route got a status, "" for none.
func (s *server) requests(route string, code int) string {
	s.t.Helper()
	return s.series(fmt.Sprintf(`milepost_http_requests_total{code="%d",method="GET",route=%q}`, code, route))
}

// series returns the value of a metric, "" if there is none.
func (s *server) series(name string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(suite, "GET", "http://"+s.admin+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := s.ask(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+name+" ")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// streamURL is the stream of one job with a ticket.
func (s *server) streamURL(job, ticket string) string {
	return "http://" + s.api + checkpointsPath(job) + "stream?ticket=" + ticket
}

// newJob is an id that no other test uses.
func newJob(name string) string { return fmt.Sprintf("%s%0*d", name, 24-len(name), 1) }
