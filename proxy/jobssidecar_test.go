package proxy

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
)

// In front of an upstream the jobs are those of the copy that the upstream lets
// the caller's credential read.
func TestJobsInFrontOfAnUpstream(t *testing.T) {
	for _, auth := range []string{"forward", "local"} {
		t.Run(auth, func(t *testing.T) {
			up := startServer(t, vfs.NewMem(), "upstream", config.Default(), nil)
			a := startFront(t, vfs.NewMem(), config.Default(), auth, up)
			_, first := a.post(jobID, status("init", 0))
			_, second := a.post(jobID, status("completed", 7))
			_, unseen := up.post(jobID, status("proceeding", 7))
			_, elsewhere := up.post(jobName(2), status("init", 0)) // not in the copy

			stranger, refused := `{"jobs":[]}`, 404
			if auth == "local" { // all keys see what the sidecar's own sees
				stranger, refused = jobID, 200
			}
			diff := jobsPathOwn + "/" + jobID + "/diff?from=" + first + "&to="
			for _, c := range []struct {
				name, path, key string
				code            int
				says            string
			}{
				{"a job", jobsPathOwn + "/" + jobID, keyA, 200, `"runs":[]},"meta":{"complete":false}`},
				{"the list", jobsPathOwn, keyA, 200, `{"jobs":[{"id":"` + jobID + `","status":"completed","checkpoints":2,"steps":1,"tokens":{"inputTokens":1,`},
				{"sorted", jobsPathOwn + "?sort=lastAt", keyA, 200, `"meta":{"total":1,"take":10,"skip":0,"complete":true}`},
				{"filtered", jobsPathOwn + "?status=failed", keyA, 200, `{"jobs":[]}`},
				{"another's list", jobsPathOwn, keyB, 200, stranger},
				{"another's job", jobsPathOwn + "/" + jobID, keyB, refused, ""},
				{"a comparison", diff + second, keyA, 200, `{"name":"status","from":"init","to":"completed"}`},
				{"another's comparison", diff + second, keyB, refused, ""},
				{"a comparison with what the copy lacks", diff + unseen, keyA, 200, `{"name":"status","from":"init","to":"proceeding"}`},
				{"a comparison with another job's", diff + elsewhere, keyA, 404, "Checkpoint not found"},
				{"a fault", jobsPathOwn + "?take=0", keyA, 422, `"path":"take"`},
				{"a malformed job", jobsPathOwn + "/X", keyA, 422, `"path":"expertJobId"`},
				{"a job that is not in the copy", jobsPathOwn + "/" + jobName(9), keyA, 404, "Expert job not found"},
			} {
				r := a.do("GET", c.path, c.key, nil)
				if r.StatusCode != c.code || !strings.Contains(string(r.body), c.says) {
					t.Errorf("%s: %d %s, want %d with %q", c.name, r.StatusCode, r.body, c.code, c.says)
				}
			}
			// What is counted of the copy is what the upstream counts of its own.
			for _, line := range traceLines(t, "delegation.jsonl") {
				a.post(jobName(3), line)
			}
			theirs := jobTotals(t, up.do("GET", jobsPathOwn+"/"+jobName(3), keyA, nil).body)
			if ours := jobTotals(t, a.do("GET", jobsPathOwn+"/"+jobName(3), keyA, nil).body); ours != theirs || !strings.Contains(ours, "totalTokens") {
				t.Errorf("the copy has %s, the upstream %s", ours, theirs)
			}
			if r := a.do("POST", jobsPathOwn, keyA, []byte(`{}`)); r.StatusCode != 405 {
				t.Errorf("another method: %d %s", r.StatusCode, r.body)
			}
		})
	}
}

// jobTotals are what the answer with a job says that was used.
func jobTotals(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct {
		Data struct {
			Job struct {
				Steps           int
				Tokens, Experts json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	j := answer.Data.Job
	return fmt.Sprintf("%d steps, %s, %s", j.Steps, j.Tokens, j.Experts)
}
