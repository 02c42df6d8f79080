package proxy

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func streamPath(job string) string { return collection(job) + "stream" }

// event is one event of a stream, or a comment.
type event struct {
	id, name, data string
	comment        bool
}

// watcher is a client of a stream.
type watcher struct {
	t    testing.TB
	resp *http.Response
	body *bufio.Reader
	stop context.CancelFunc
}

// watch opens a stream.
func (a *api) watch(path, key string, header ...string) *watcher {
	a.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", a.base+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		b, _ := io.ReadAll(resp.Body)
		a.t.Fatalf("GET %s: %d %s", path, resp.StatusCode, b)
	}
	w := &watcher{a.t, resp, bufio.NewReader(resp.Body), stop}
	a.t.Cleanup(w.close)
	return w
}

// close leaves the stream.
func (w *watcher) close() {
	w.stop()
	_ = w.resp.Body.Close()
}

// read returns the next event or comment; the error is io.EOF at a clean end.
func (w *watcher) read() (event, error) {
	var e event
	for {
		line, err := w.body.ReadString('\n')
		if err == io.EOF && (line != "" || e != event{}) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "":
			return e, nil
		case ":":
			e.comment = true
		case "retry":
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		default:
			return e, fmt.Errorf("line %q", line)
		}
	}
}

// next returns the next event that is no comment.
func (w *watcher) next() event {
	w.t.Helper()
	for {
		e, err := w.read()
		if err != nil {
			w.t.Fatalf("no event: %v", err)
		}
		if !e.comment {
			return e
		}
	}
}

// messages reads as many events as there are checkpoints, which must be theirs.
func (w *watcher) messages(want ...json.RawMessage) (lastID string) {
	w.t.Helper()
	for i, raw := range want {
		e := w.next()
		if e.name != "message" || e.data != string(raw) {
			w.t.Fatalf("message %d is %.200v, want %.100s", i+1, e, raw)
		}
		lastID = e.id
	}
	return lastID
}

// complete reads the end of a job.
func (w *watcher) complete(job, status string) (id string) {
	w.t.Helper()
	e := w.next()
	if want := fmt.Sprintf(`{"status":%q,"expertJobId":%q}`, status, job); e.name != "complete" || e.data != want || e.id == "" {
		w.t.Fatalf("got %.200v, want complete with %s", e, want)
	}
	return e.id
}

// failed reads an error event and the end.
func (w *watcher) failed(kind string) {
	w.t.Helper()
	if e := w.next(); e.name != "error" || !strings.Contains(e.data, fmt.Sprintf(`"type":%q`, kind)) || e.id != "" {
		w.t.Fatalf("got %.200v, want an error of type %s", e, kind)
	}
	w.ended()
}

// ended reads the clean end of the body.
func (w *watcher) ended() {
	w.t.Helper()
	for {
		e, err := w.read()
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return
		}
		if err != nil || !e.comment {
			w.t.Fatalf("got %.200v, %v instead of the end", e, err)
		}
	}
}

// silent reads comments, of which the quiet stream must not lack any.
func (w *watcher) silent(comments int) {
	w.t.Helper()
	for range comments {
		if e, err := w.read(); err != nil || !e.comment {
			w.t.Fatalf("got %.200v, %v instead of silence", e, err)
		}
	}
}

// withStatus is a body of a checkpoint with a status.
func withStatus(status string) []byte {
	return body(func(c, _ map[string]any) { c["status"] = status })
}

// jobs returns n ids of jobs.
func jobs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("job%021d", i)
	}
	return ids
}

// streamsOf is the address of the stream of jobs.
func streamsOf(jobs []string) string {
	return string(streamsPath) + "?job=" + strings.Join(jobs, "&job=")
}
