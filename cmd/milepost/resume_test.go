package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// resuming is a subscriber that comes back after each cut, with the id of the
// last event that it has.
type resuming struct {
	api, job string
	last     string
	ids      []string
	done     bool
	cuts     int
}

// read reads one connection to its end.
func (r *resuming) read() error {
	c, err := net.Dial("tcp", r.api)
	if err != nil {
		return err
	}
	defer c.Close()
	head := "GET " + path(r.job) + "stream HTTP/1.1\r\nHost: milepost\r\nAuthorization: Bearer " + secret + "\r\n"
	if r.last != "" {
		head += "Last-Event-ID: " + r.last + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	id, event := "", ""
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "id: "):
			id = line[len("id: "):]
		case strings.HasPrefix(line, "event: "):
			event = line[len("event: "):]
		case line == "" && event == "message":
			r.ids, r.last, event = append(r.ids, id), id, ""
		case line == "" && event == "complete":
			r.done = true
			return nil
		}
	}
	return lines.Err()
}

func TestSubscribersResumeOverKills(t *testing.T) {
	const (
		subscribers = 500
		steps       = 120
		kills       = 3
	)
	dir, job := t.TempDir(), "resumeresumeresumeresume"
	env := []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STREAM_UNKNOWN_JOB=wait"}
	p := startProcess(t, dir, env...)

	all := make([]*resuming, subscribers)
	var readers sync.WaitGroup
	var over atomic.Bool
	t.Cleanup(func() { over.Store(true) })
	for i := range all {
		all[i] = &resuming{api: p.api, job: job}
		readers.Go(func() {
			// A client waits before it comes back; here a little, and never longer.
			pause := time.NewTicker(20 * time.Millisecond)
			defer pause.Stop()
			for r := all[i]; !r.done && !over.Load(); <-pause.C {
				_ = r.read()
				r.cuts++
			}
		})
	}
	for step := range steps {
		if step > 0 && step%(steps/(kills+1)) == 0 {
			_ = p.stop(syscall.SIGKILL)
			p = p.restart(dir)
		}
		body := requestBody(step + 1)
		if step == steps-1 {
			body = strings.Replace(body, `"proceeding"`, `"completed"`, 1)
		}
		if code, answer, err := p.do("POST", path(job), secret, body, fmt.Sprintf("step-%d", step)); err != nil || code != 200 {
			t.Fatalf("step %d: %d %s %v", step, code, answer, err)
		}
	}
	readers.Wait()

	var want []string
	for skip := 0; skip < steps; skip += 100 {
		code, body, err := p.do("GET", fmt.Sprintf("%s?take=100&skip=%d", path(job), skip), secret, "", "")
		var page struct {
			Data struct {
				Checkpoints []struct {
					ID string `json:"id"`
				} `json:"checkpoints"`
			} `json:"data"`
		}
		if err != nil || code != 200 || json.Unmarshal(body, &page) != nil {
			t.Fatalf("list: %d %v", code, err)
		}
		for _, c := range page.Data.Checkpoints {
			want = append(want, c.ID)
		}
	}
	cut := 0
	for i, r := range all {
		if strings.Join(r.ids, " ") != strings.Join(want, " ") {
			t.Errorf("subscriber %d has %d checkpoints, the server %d, or others", i, len(r.ids), len(want))
		}
		cut += r.cuts - 1
	}
	if cut < subscribers {
		t.Errorf("%d subscribers were cut only %d times", subscribers, cut)
	}
}
