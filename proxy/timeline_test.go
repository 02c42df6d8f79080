package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/config"
)

func timelineOf(job string) string { return jobsPathOwn + "/" + job + "/timeline" }

func TestTimelineGolden(t *testing.T) {
	a := start(t, nil)
	for _, line := range traceLines(t, "delegation.jsonl")[:7] {
		a.post(jobID, line)
	}
	golden(t, "timeline.golden", a.script(keyRead,
		timelineOf(jobID),
		timelineOf(jobID)+"?take=2&skip=1&order=desc",
		timelineOf(jobID)+"?skip=7",
		timelineOf(jobID)+"?take=1001&skip=-1&order=up&take=1",
	))
}

// briefs are the checkpoints of a page of a timeline, with what its meta says.
func (a *api) briefs(query string) (all []map[string]any, meta string) {
	a.t.Helper()
	r := a.do("GET", timelineOf(jobID)+query, keyA, nil)
	var v struct {
		Data struct{ Timeline []map[string]any }
		Meta json.RawMessage
	}
	if err := json.Unmarshal(r.body, &v); err != nil || r.StatusCode != 200 {
		a.t.Fatalf("%d %v %.300s", r.StatusCode, err, r.body)
	}
	return v.Data.Timeline, string(v.Meta)
}

// The pages of a timeline are the job's checkpoints, each once and in order.
func TestTimelineIsPaged(t *testing.T) {
	a := start(t, nil)
	var want []string
	for range 7 {
		_, id := a.post(jobID, body(nil))
		want = append(want, id)
	}
	reversed := slices.Clone(want)
	slices.Reverse(reversed)
	for order, want := range map[string][]string{"asc": want, "desc": reversed} {
		for take := 1; take <= 8; take++ {
			var got []string
			for skip := 0; skip < len(want); skip += take {
				page, meta := a.briefs(fmt.Sprintf("?order=%s&take=%d&skip=%d", order, take, skip))
				if says := fmt.Sprintf(`{"total":7,"take":%d,"skip":%d,"complete":true}`, take, skip); meta != says {
					t.Errorf("meta %s, want %s", meta, says)
				}
				for _, c := range page {
					got = append(got, c["id"].(string))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s by %d: %v, want %v", order, take, got, want)
			}
		}
	}
}

// However much a checkpoint holds, its line is short.
func TestTimelineHasNoBodies(t *testing.T) {
	a := start(t, nil)
	large := strings.Repeat("large ", 50_000)
	a.post(jobID, body(func(c, s map[string]any) {
		c["messages"] = []any{large, map[string]any{"text": large}}
		s["newMessages"] = []any{large}
		s["toolCall"] = map[string]any{"id": "c", "skillName": "s", "toolName": "search", "args": map[string]any{"query": large}}
		s["toolResult"] = map[string]any{"id": "c", "skillName": "s", "toolName": "search", "result": []any{map[string]any{"id": "p", "type": "textPart", "text": large}}}
	}))
	r := a.do("GET", timelineOf(jobID), keyA, nil)
	if r.StatusCode != 200 || len(r.body) > 1500 || strings.Contains(string(r.body), "large") {
		t.Errorf("%d, %d bytes: %.1500s", r.StatusCode, len(r.body), r.body)
	}
	if !strings.Contains(string(r.body), `"toolName":"search"`) {
		t.Errorf("the tool is missing: %s", r.body)
	}
}

func TestTimelineIsTheCallersOwn(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	for _, c := range []struct {
		name, method, path, key string
		code                    int
		says                    string
	}{
		{"its own", "GET", timelineOf(jobID), keyRead, 200, `"timeline":[{"id":"`},
		{"another organization", "GET", timelineOf(jobID), keyB, 404, "Expert job not found"},
		{"an unknown job", "GET", timelineOf(jobName(9)), keyA, 404, "Expert job not found"},
		{"no key", "GET", timelineOf(jobID), "", 401, "Failed to authenticate"},
		{"a key that writes", "GET", timelineOf(jobID), keyWrite, 403, "scope read"},
		{"a malformed job", "GET", timelineOf("X"), keyA, 422, `"path":"expertJobId"`},
		{"faults before existence", "GET", timelineOf(jobName(9)) + "?take=0", keyA, 422, `"path":"take"`},
		{"another method", "POST", timelineOf(jobID), keyA, 405, "does not take this method"},
		{"a slash", "GET", timelineOf(jobID) + "/", keyA, 404, "No such route"},
	} {
		var b []byte
		if c.method == "POST" {
			b = []byte(`{}`)
		}
		if r := a.do(c.method, c.path, c.key, b); r.StatusCode != c.code || !strings.Contains(string(r.body), c.says) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, r.StatusCode, r.body, c.code, c.says)
		}
	}
}

func TestTimelineTakesABoundedTime(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	_, err := a.server.appendBriefs(nil, jobID, 1, &pageQuery{take: 10}, time.Now().Add(-time.Second))
	if errorFor(err) != errScanTimeout || a.metric("limit_rejections_total", "scan_timeout") != 1 {
		t.Errorf("got %v, counted %v times", err, a.metric("limit_rejections_total", "scan_timeout"))
	}
}

// A job that is deleted while its timeline is read is not found.
func TestTimelineOfADeletedJob(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	_, err := a.server.appendBriefs(nil, jobID, 2, &pageQuery{take: 10}, time.Now().Add(time.Hour))
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// A job that is begun anew by another organization after a look at who may see it
// is not shown: a request may wait for its turn in between.
func TestAJobBegunAnewIsNotShown(t *testing.T) {
	for name, answer := range map[string]func(*Server, *fasthttp.RequestCtx, target, jobSource) error{
		"timeline": (*Server).timeline, "job": (*Server).showJob,
	} {
		t.Run(name, func(t *testing.T) {
			a := start(t, nil)
			a.post(jobID, body(nil))
			source := jobSource{sees: func(*store.JobRecord) bool {
				if err := a.server.DeleteJob(jobID); err != nil {
					t.Error(err)
				}
				if r := a.do("POST", collection(jobID), keyB, body(nil)); r.StatusCode != 200 {
					t.Errorf("the other's: %d %s", r.StatusCode, r.body)
				}
				return true
			}}
			var ctx fasthttp.RequestCtx
			if err := answer(a.server, &ctx, target{job: []byte(jobID)}, source); err != errJobNotFound {
				t.Errorf("got %v and %s", err, ctx.Response.Body())
			}
		})
	}
}

// In front of an upstream the timeline is that of the copy, up to its first hole,
// for those whom the upstream lets read the job.
func TestTimelineInFrontOfAnUpstream(t *testing.T) {
	for _, auth := range []string{"forward", "local"} {
		t.Run(auth, func(t *testing.T) {
			up := startServer(t, vfs.NewMem(), "upstream", config.Default(), nil)
			a := startFront(t, vfs.NewMem(), config.Default(), auth, up)
			_, first := a.post(jobID, status("init", 0))
			_, second := a.post(jobID, status("proceeding", 1))
			_, unseen := up.post(jobID, status("proceeding", 2))
			_, beyond := a.post(jobID, status("completed", 3))
			r := a.do("GET", timelineOf(jobID), keyA, nil)
			text := string(r.body)
			if r.StatusCode != 200 || !strings.Contains(text, first) || !strings.Contains(text, second) || strings.Contains(text, unseen) ||
				strings.Contains(text, beyond) || !strings.Contains(text, `"meta":{"total":2,"take":100,"skip":0,"complete":false}`) {
				t.Errorf("%d %s", r.StatusCode, text)
			}
			refused := 404
			if auth == "local" { // all keys see what the sidecar's own sees
				refused = 200
			}
			if r := a.do("GET", timelineOf(jobID), keyB, nil); r.StatusCode != refused {
				t.Errorf("another's: %d %s", r.StatusCode, r.body)
			}
			if r := a.do("GET", timelineOf(jobName(9)), keyA, nil); r.StatusCode != 404 {
				t.Errorf("a job that is not in the copy: %d %s", r.StatusCode, r.body)
			}
			if r := a.do("GET", timelineOf(jobID)+"?take=0", keyA, nil); r.StatusCode != 422 {
				t.Errorf("a fault: %d %s", r.StatusCode, r.body)
			}
		})
	}
}
