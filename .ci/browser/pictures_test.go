//go:build pictures

package browser

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const traces = "../../internal/checkpoint/testdata/traces"

// shown is a recorded job as the pictures have it.
type shown struct {
	trace string
	job   string        // its id
	steps int           // of its checkpoints, from the first on; 0: all
	ago   time.Duration // since the last of them
	// slower stretches the recorded times, which are those of a simulated model.
	slower float64
}

// The pictures of docs/pictures, of recorded jobs. docs/pictures.sh makes them.
func TestPictures(t *testing.T) {
	dir := os.Getenv("VIEWER_PICTURES")
	if dir == "" {
		t.Fatal("VIEWER_PICTURES must name the directory of the pictures")
	}
	live := shown{"delegation", "report7k2m9x4wq8s1nd3vz5", 14, 3 * time.Second, 420}
	recorder, s := startServer(t), startServer(t)
	addPrices(t, s)
	for _, j := range []shown{
		{"short", "notes4h8c2v6b1q9z3x7m5k0", 0, 49 * time.Minute, 300},
		{"continue", "tutor9w3e7r1t5y8u2i6o4p0", 0, 26 * time.Minute, 700},
		{"error", "digest6a1s5d9f3g7h2j4k8l", 0, 3 * time.Hour, 250},
		{"max-steps", "crawl2z8x4c6v1b9n5m3q7w0", 0, 75 * time.Minute, 900},
		{"interactive-stop", "deploy5t9g3b7y1h6n2j8m4k", 0, 4 * time.Minute, 400},
		{"interactive-resume", "deploy8r4f6v2c1d9s3x7z5q", 0, 20 * time.Hour, 2000},
		{"max-steps", "crawl7p1l5o9k3i8j2u6h4y0", 5, 11 * time.Minute, 500},
		live,
	} {
		bring(t, recorder, s, j)
	}
	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.until(`document.querySelectorAll(".jobs tbody tr").length === 8`)
	v.shows(".jobs tbody", "USD")
	v.capture(dir, "jobs", 1280, 520, small)
	v.open(live.job)
	v.shows("#state", "Live")
	v.wantSequences(live.steps)
	v.shows(".runs h2", "Runs (3)")
	v.shows(".facts", "USD")
	v.capture(dir, "job", 1280, 860, small)
	v.click(`.checkpoint[data-index="11"]`)
	v.shows(".panel h2", "#")
	v.shows(".content:not(.stale)", "Against #")
	v.capture(dir, "checkpoint", 1280, 860, small)
	v.quiet()
}

// addPrices makes up what tokens cost.
func addPrices(t *testing.T, s *server) {
	t.Helper()
	f, err := os.OpenFile(s.config, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("\n[prices]\ncurrency = \"USD\"\n[[prices.experts]]\nexpert = \"*\"\ninput = 3.00\noutput = 15.00\ncached_input = 0.30\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s.signal(syscall.SIGHUP)
}

// bring posts a recorded job to a server and imports it into another, as if it had
// happened lately.
func bring(t *testing.T, from, to *server, j shown) {
	t.Helper()
	var meta struct {
		PerLine []struct{ RuntimeCheckpointID string }
	}
	readTrace := func(suffix string) []byte {
		b, err := os.ReadFile(filepath.Join(traces, j.trace+suffix))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if err := json.Unmarshal(readTrace(".meta.json"), &meta); err != nil {
		t.Fatal(err)
	}
	given := make(map[string]string) // the runtime's ids to the server's
	lines := strings.Split(strings.TrimSpace(string(readTrace(".jsonl"))), "\n")
	if j.steps > 0 {
		lines = lines[:j.steps]
	}
	for i, line := range lines {
		for theirs, ours := range given {
			line = strings.ReplaceAll(line, `"checkpointId":"`+theirs+`"`, `"checkpointId":"`+ours+`"`)
		}
		b, err := from.do("POST", checkpointsPath(j.job), line)
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Data struct{ Checkpoint json.RawMessage }
		}
		if err := json.Unmarshal(b, &answer); err != nil {
			t.Fatal(err)
		}
		c, err := parseCheckpoint(answer.Data.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		given[meta.PerLine[i].RuntimeCheckpointID] = c.id
	}
	importJob(t, to, j.job, lately(t, from.list(j.job), j))
}

// lately moves the times of a job: its last checkpoint is as long ago as is asked
// for, and each step takes longer than it did.
func lately(t *testing.T, all []checkpoint, j shown) []byte {
	t.Helper()
	type times struct{ StartedAt, FinishedAt, CreatedAt string }
	read := func(c checkpoint) (out times) {
		if err := json.Unmarshal([]byte(c.json), &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	parse := func(text string) time.Time {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	end := func(c times) string { // of a step; one that only began has no other time
		if c.FinishedAt != "" {
			return c.FinishedAt
		}
		return c.StartedAt
	}
	last, now := parse(end(read(all[len(all)-1]))), time.Now().UTC().Add(-j.ago)
	moved := func(text string) string {
		return now.Add(-time.Duration(float64(last.Sub(parse(text))) * j.slower)).Format("2006-01-02T15:04:05.000Z")
	}
	var lines bytes.Buffer
	for _, c := range all {
		was, line := read(c), c.json
		for name, at := range map[string]string{"startedAt": was.StartedAt, "finishedAt": was.FinishedAt} {
			if at != "" {
				line = strings.ReplaceAll(line, fmt.Sprintf("%q:%q", name, at), fmt.Sprintf("%q:%q", name, moved(at)))
			}
		}
		for _, name := range []string{"createdAt", "updatedAt"} {
			line = strings.ReplaceAll(line, fmt.Sprintf("%q:%q", name, was.CreatedAt), fmt.Sprintf("%q:%q", name, moved(end(was))))
		}
		lines.WriteString(line + "\n")
	}
	return lines.Bytes()
}

func importJob(t *testing.T, s *server, job string, lines []byte) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(filepath.Dir(s.config), "data", "admin-token"))
	if err != nil {
		t.Fatal(err)
	}
	query := url.Values{"job": {job}, "organization": {"organization000000000001"}}
	req, err := http.NewRequestWithContext(suite, "POST", "http://"+s.admin+"/import?"+query.Encode(), bytes.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	req.Header.Set("Content-Type", "application/x-ndjson")
	if _, err := s.ask(req); err != nil {
		t.Fatal(err)
	}
}
