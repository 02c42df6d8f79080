package proxy

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

var update = flag.Bool("update", false, "write the golden files anew")

const jobsPathOwn = "/api/milepost/v1/jobs"

// golden holds what an exchange said against a file in testdata. Ids and times,
// which are new each time, are named in the order in which they come.
func golden(t *testing.T, name string, got string) {
	t.Helper()
	names := map[string]string{}
	got = regexp.MustCompile(`\b[a-z][a-z0-9]{23}\b|\d{4}-\d\d-\d\dT[0-9:.]+Z`).ReplaceAllStringFunc(got, func(s string) string {
		switch {
		case strings.HasSuffix(s, "Z"):
			return "<time>"
		case strings.Contains(s, "0000000000"):
			return s // one of the test's own
		case names[s] == "":
			names[s] = fmt.Sprintf("<id %d>", len(names)+1)
		}
		return names[s]
	})
	path := "testdata/" + name
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s does not match; if it should differ, run: go test ./proxy -run %s -update\ngot:\n%s", path, t.Name(), got)
	}
}

// script makes requests and writes down what they were answered with.
func (a *api) script(key string, paths ...string) string {
	a.t.Helper()
	var b strings.Builder
	for _, path := range paths {
		r := a.do("GET", path, key, nil)
		fmt.Fprintf(&b, "GET %s\n%d\n", path, r.StatusCode)
		if !json.Valid(r.body) {
			a.t.Fatalf("no JSON: %s", r.body)
		}
		var out strings.Builder
		indent(&out, r.body)
		fmt.Fprintf(&b, "%s\n\n", out.String())
		if r.Header.Get("Cache-Control") != "no-store" {
			a.t.Errorf("%s: Cache-Control %q", path, r.Header.Get("Cache-Control"))
		}
		head := a.do("HEAD", path, key, nil)
		if head.StatusCode != r.StatusCode || len(head.body) > 0 || head.ContentLength != r.ContentLength {
			a.t.Errorf("HEAD %s: %d with %d bytes, %d announced", path, head.StatusCode, len(head.body), head.ContentLength)
		}
	}
	return b.String()
}

// indent breaks JSON into a line for each element of the outer levels.
func indent(b *strings.Builder, doc []byte) {
	depth, text := 0, false
	for i, c := range doc {
		b.WriteByte(c)
		switch {
		case c == '"' && (i == 0 || doc[i-1] != '\\'):
			text = !text
		case text:
		case c == '{' || c == '[':
			if depth++; depth <= 4 {
				b.WriteString("\n" + strings.Repeat("  ", depth))
			}
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth <= 4:
			b.WriteString("\n" + strings.Repeat("  ", depth))
		}
	}
}

func prices(c *config.Config) {
	c.Prices.Experts = []config.Price{
		{Expert: "@acme/project-lead", Input: 3, Output: 15, CachedInput: 0.3, Reasoning: 15},
		{Expert: "@acme/researcher@0.4.0", Input: 1, Output: 5, CachedInput: 1, Reasoning: 5},
	}
}

// jobName is the id of a test's job.
func jobName(n int) string { return fmt.Sprintf("job%021d", n) }

// status makes a body of that status, of one step with some tokens.
func status(status string, tokens int) []byte {
	return body(func(c, s map[string]any) {
		c["status"] = status
		s["usage"] = map[string]any{"inputTokens": tokens, "outputTokens": 0, "reasoningTokens": 0, "totalTokens": tokens, "cachedInputTokens": 0}
	})
}

func TestJobsGolden(t *testing.T) {
	a := start(t, prices)
	if got := a.do("GET", jobsPathOwn, keyA, nil); got.StatusCode != 200 || !strings.Contains(string(got.body), `{"jobs":[]}`) {
		t.Errorf("without jobs: %d %s", got.StatusCode, got.body)
	}
	for _, line := range traceLines(t, "delegation.jsonl") {
		a.post(jobID, line)
	}
	a.post(jobName(2), status("init", 0))
	a.post(jobName(2), status("stoppedByError", 7))
	golden(t, "jobs.golden", a.script(keyRead,
		jobsPathOwn,
		jobsPathOwn+"?status=failed&status=processing&sort=lastAt&order=asc&take=1",
		jobsPathOwn+"/"+jobName(2),
		jobsPathOwn+"?take=0&skip=-1&sort=size&order=up&status=done&filter=&take=1",
	))
}

func TestJobWithItsRunsGolden(t *testing.T) {
	a := start(t, prices)
	lead := map[string]any{"key": "@acme/project-lead@1.0.0", "name": "@acme/project-lead", "version": "1.0.0"}
	var delegating string
	for _, step := range []struct{ status, expert, by string }{
		{"init", "@acme/project-lead@1.0.0", ""}, {"stoppedByDelegate", "@acme/project-lead@1.0.0", ""},
		{"init", "@acme/researcher@0.4.0", "call"}, {"proceeding", "@acme/researcher@0.4.0", "call"},
		{"completed", "@acme/researcher@0.4.0", "call"}, {"completed", "@acme/project-lead@1.0.0", ""},
		{"proceeding", "@acme/unpriced", ""},
	} {
		_, id := a.post(jobID, body(func(c, s map[string]any) {
			c["status"], c["expert"] = step.status, map[string]any{"key": step.expert, "name": "x", "version": "1.0.0"}
			if step.by != "" {
				c["delegatedBy"] = map[string]any{"expert": lead, "toolCallId": step.by, "toolName": "t", "checkpointId": delegating}
			}
			if step.status != "init" {
				s["usage"] = map[string]any{"inputTokens": 1000, "outputTokens": 100, "reasoningTokens": 40, "totalTokens": 1100, "cachedInputTokens": 500}
			}
		}))
		if step.status == "stoppedByDelegate" {
			delegating = id
		}
	}
	golden(t, "job.golden", a.script(keyA, jobsPathOwn+"/"+jobID))

	// Prices can be changed while the server runs, and taken away.
	cfg := *a.config
	cfg.Prices.Experts = nil
	a.server.Reload(&cfg, testKeys())
	if r := a.do("GET", jobsPathOwn+"/"+jobID, keyA, nil); strings.Contains(string(r.body), "cost") {
		t.Errorf("a cost without prices: %s", r.body)
	}
}

// listed returns the ids of a list of jobs, and meta.
func (a *api) listed(query string) (ids []string, total int, complete bool) {
	a.t.Helper()
	r := a.do("GET", jobsPathOwn+query, keyA, nil)
	var v struct {
		Data struct{ Jobs []struct{ ID string } }
		Meta struct {
			Total    int
			Complete bool
		}
	}
	if err := json.Unmarshal(r.body, &v); err != nil || r.StatusCode != 200 {
		a.t.Fatalf("%s: %d %s", query, r.StatusCode, r.body)
	}
	for _, j := range v.Data.Jobs {
		ids = append(ids, strings.TrimLeft(strings.TrimPrefix(j.ID, "job"), "0"))
	}
	return ids, v.Meta.Total, v.Meta.Complete
}

func TestJobsAreSortedFilteredAndPaged(t *testing.T) {
	a := start(t, nil)
	// Begun in the order of their numbers; the clock may stand still meanwhile, so
	// that the order of ids is the order of time, too.
	for n, steps := range []int{3, 1, 2} {
		for range steps {
			a.post(jobName(n+1), status("proceeding", (3-n)*100))
		}
	}
	a.post(jobName(4), status("completed", 1))
	a.post(jobName(5), body(func(c, _ map[string]any) {
		c["expert"] = map[string]any{"key": "other@latest", "name": "other", "version": "1.0.0"}
	}))
	for _, c := range []struct {
		query, want string
		total       int
	}{
		{"", "5 4 3 2 1", 5},
		{"?order=asc", "1 2 3 4 5", 5},
		{"?take=2", "5 4", 5},
		{"?take=2&skip=3", "2 1", 5},
		{"?take=2&skip=3&order=asc", "4 5", 5},
		{"?skip=9", "", 5},
		{"?sort=lastAt&order=desc&take=1", "5", 5},
		{"?sort=steps&take=2", "1 3", 5},
		{"?sort=steps&order=asc&take=3", "5 4 2", 5},
		{"?sort=tokens&take=3", "1 3 2", 5}, // 900, 200, 200: of equals the later first
		{"?sort=tokens&skip=3", "5 4", 5},
		{"?status=completed", "4", 1},
		{"?status=completed&status=processing&status=completed", "5 4 3 2 1", 5},
		{"?status=failed", "", 0},
		{"?filter=OTHER", "5", 1},
		{"?filter=0000003", "3", 1},
		{"?filter=helper&status=processing&sort=steps&take=1", "1", 3},
		{"?unknown=1", "5 4 3 2 1", 5},
	} {
		ids, total, complete := a.listed(c.query)
		if got := strings.Join(ids, " "); got != c.want || total != c.total || !complete {
			t.Errorf("%q: %s of %d, want %s of %d; complete %t", c.query, got, total, c.want, c.total, complete)
		}
	}
	if err := a.store.Delete(jobName(5)); err != nil {
		t.Fatal(err)
	}
	if ids, total, _ := a.listed(""); slices.Contains(ids, "5") || total != 4 {
		t.Errorf("after its deletion: %v of %d", ids, total)
	}
}

// Another organization sees nothing of a job, and a key that writes nothing at
// all; whoever has no key learns less.
func TestJobsAreTheCallersOwn(t *testing.T) {
	a := start(t, nil)
	_, id := a.post(jobID, body(nil))
	_, other := a.post(jobName(2), body(nil))
	diff := jobsPathOwn + "/" + jobID + "/diff?from=" + id + "&to=" + id
	for _, c := range []struct {
		name, method, path, key string
		code                    int
		says                    string
	}{
		{"another organization lists", "GET", jobsPathOwn, keyB, 200, `{"jobs":[]},"meta":{"total":0`},
		{"another organization sorts", "GET", jobsPathOwn + "?sort=lastAt", keyB, 200, `{"jobs":[]},"meta":{"total":0`},
		{"another organization gets", "GET", jobsPathOwn + "/" + jobID, keyB, 404, "Expert job not found"},
		{"another organization compares", "GET", diff, keyB, 404, "Expert job not found"},
		{"its own", "GET", diff, keyRead, 200, `"added":[]`},
		{"a checkpoint of another job", "GET", strings.Replace(diff, "to="+id, "to="+other, 1), keyA, 404, "Checkpoint not found"},
		{"an unknown job", "GET", jobsPathOwn + "/" + jobName(9), keyA, 404, "Expert job not found"},
		{"an unknown job is compared", "GET", strings.Replace(diff, jobID, jobName(9), 1), keyA, 404, "Expert job not found"},
		{"no key", "GET", jobsPathOwn, "", 401, "Failed to authenticate"},
		{"no key for one", "GET", jobsPathOwn + "/" + jobID, "", 401, "Failed to authenticate"},
		{"no key for a comparison", "GET", diff, "", 401, "Failed to authenticate"},
		{"a key that writes", "GET", jobsPathOwn, keyWrite, 403, "scope read"},
		{"a key that writes, for one", "GET", jobsPathOwn + "/" + jobID, keyWrite, 403, "scope read"},
		{"a key that writes, for a comparison", "GET", diff, keyWrite, 403, "scope read"},
		{"a malformed job", "GET", jobsPathOwn + "/X", keyA, 422, `"path":"expertJobId"`},
		{"malformed checkpoints", "GET", jobsPathOwn + "/" + jobID + "/diff?from=X", keyA, 422, `{"path":"to"`},
		{"two checkpoints for one", "GET", diff + "&to=" + id, keyA, 422, "several"},
		{"another method", "POST", jobsPathOwn, keyA, 405, "does not take this method"},
		{"another method on one", "DELETE", jobsPathOwn + "/" + jobID, keyA, 405, "does not take this method"},
		{"another path", "GET", jobsPathOwn + "/" + jobID + "/", keyA, 404, "No such route"},
		{"a path below", "GET", jobsPathOwn + "/" + jobID + "/diff/x", keyA, 404, "No such route"},
		{"no job", "GET", jobsPathOwn + "/", keyA, 404, "No such route"},
		{"a path beside", "GET", jobsPathOwn + "x", keyA, 404, "No such route"},
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

// What the lists say of a job is what its checkpoints say.
func TestTotalsAreThoseOfTheTrace(t *testing.T) {
	for _, trace := range []string{"short.jsonl", "delegation.jsonl"} {
		a := start(t, nil)
		lines := traceLines(t, trace)
		var total, steps float64
		for _, line := range lines {
			a.post(jobID, line)
			var v struct {
				Checkpoint struct{ Status string }
				Step       struct{ Usage struct{ TotalTokens float64 } }
			}
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			total += v.Step.Usage.TotalTokens
			if v.Checkpoint.Status != "init" {
				steps++
			}
		}
		var v struct {
			Data struct {
				Job struct {
					Checkpoints int
					Steps       float64
					Runs        int
					Tokens      struct{ TotalTokens float64 }
				}
				Runs []struct {
					Checkpoints int
					Tokens      struct{ TotalTokens float64 }
				}
			}
		}
		r := a.do("GET", jobsPathOwn+"/"+jobID, keyA, nil)
		if err := json.Unmarshal(r.body, &v); err != nil {
			t.Fatal(err)
		}
		j := v.Data.Job
		if j.Checkpoints != len(lines) || j.Steps != steps || j.Tokens.TotalTokens != total || j.Runs != len(v.Data.Runs) {
			t.Errorf("%s: %+v with %d runs, want %d checkpoints, %v steps, %v tokens", trace, j, len(v.Data.Runs), len(lines), steps, total)
		}
		checkpoints, tokens := 0, 0.0
		for _, run := range v.Data.Runs {
			checkpoints, tokens = checkpoints+run.Checkpoints, tokens+run.Tokens.TotalTokens
		}
		if checkpoints != len(lines) || tokens != total {
			t.Errorf("%s: the runs have %d checkpoints and %v tokens", trace, checkpoints, tokens)
		}
	}
}

// fakeJobs is a source of jobs that are not there.
func fakeJobs(ordered bool, n int) jobSource {
	return jobSource{ordered: ordered, sees: func(*store.JobRecord) bool { return true }, each: func(_ bool, visit func(string) bool) error {
		for i := range n {
			if !visit(jobName(i + 1)) {
				break
			}
		}
		return nil
	}}
}

func TestAListLooksAtABoundedNumberOfJobs(t *testing.T) {
	a := start(t, nil)
	for n := range 3 {
		a.post(jobName(n+1), status("init", 0))
	}
	for _, c := range []struct {
		limit    int
		total    uint64
		complete bool
	}{{2, 2, false}, {3, 3, true}, {4, 3, true}} {
		for _, sort := range []string{sortStartedAt, sortTokens} {
			p := jobsPage{server: a.server, source: fakeJobs(true, 3), query: jobsQuery{pageQuery: pageQuery{take: 10}, sort: sort}, limit: c.limit, complete: true}
			if err := p.find(time.Now().Add(time.Hour)); err != nil || p.total != c.total || p.complete != c.complete {
				t.Errorf("at most %d by %s: %d, complete %t, %v", c.limit, sort, p.total, p.complete, err)
			}
		}
	}
}

func TestAListTakesABoundedTime(t *testing.T) {
	a := start(t, nil)
	p := jobsPage{server: a.server, source: fakeJobs(false, 1000), query: jobsQuery{pageQuery: pageQuery{take: 10}, sort: sortLastAt}, limit: maxListedJobs}
	if err := p.find(time.Now().Add(-time.Second)); errorFor(err) != errScanTimeout {
		t.Errorf("got %v", err)
	}
	if n := a.metric("limit_rejections_total", "scan_timeout"); n != 1 {
		t.Errorf("counted %v times", n)
	}
}

// Of very many runs the first are shown, in their order, each with its parent.
func TestShownRunsAreBounded(t *testing.T) {
	var s shownRuns
	const all = 3*maxShownRuns + 1
	for i := range all {
		n := uint64(i*7919%all) + 1 // in no order
		s.add(store.RunRecord{Run: checkpoint.Run{ID: jobName(int(n))}, First: n, Parent: n - 1})
	}
	doc := append(s.appendJSON([]byte{'['}, nil), ']')
	var runs []struct{ ID, ParentRunID string }
	if err := json.Unmarshal(doc, &runs); err != nil {
		t.Fatal(err)
	}
	if len(runs) != maxShownRuns || !s.cut {
		t.Fatalf("%d runs, cut %t", len(runs), s.cut)
	}
	for i, r := range runs {
		if r.ID != jobName(i+1) || i > 0 && r.ParentRunID != jobName(i) {
			t.Fatalf("run %d: %+v", i+1, r)
		}
	}
}

func FuzzJobsQuery(f *testing.F) {
	f.Add("status=failed&status=completed&sort=lastAt&order=asc&take=100&skip=9007199254740991&filter=%C3%A4")
	f.Add("from=a&take=&filter=%ff&status=")
	f.Fuzz(func(t *testing.T, query string) {
		var args fasthttp.Args
		args.Parse(query)
		q, faults := parseJobsQuery(&args)
		if len(faults) > checkpoint.MaxFaults {
			t.Errorf("%d faults", len(faults))
		}
		if len(faults) == 0 && (q.take < 1 || q.take > maxTake || q.skip > maxSkip || len(q.statuses) > len(jobStatuses)) {
			t.Errorf("%q was taken as %+v", query, q)
		}
		_, _ = parseDiffQuery(&args)
	})
}

// BenchmarkListJobs lists as many jobs as a list looks at.
func BenchmarkListJobs(b *testing.B) {
	a := start(b, nil)
	for n := range maxListedJobs {
		j := a.store.Hold(jobName(n))
		if err := j.Lock(); err != nil {
			b.Fatal(err)
		}
		c, err := j.Append(&store.Append{ID: jobName(n), Doc: checkpoint.Document{JSON: []byte(`{}`)}, Run: checkpoint.Run{ID: jobName(n)},
			Summary: checkpoint.Summary{Status: "init", ActionType: "error", ExpertKey: "@acme/helper@1.0.0"},
			Record:  store.JobRecord{Organization: orgA, Count: 1, Status: checkpoint.JobProcessing, FirstAt: int64(n), LastAt: int64(n * 7919 % maxListedJobs)}})
		j.Unlock()
		if err == nil {
			err = c.Wait()
		}
		if err != nil {
			b.Fatal(err)
		}
		j.Release()
	}
	for name, q := range map[string]jobsQuery{
		"startedAt": {sort: sortStartedAt}, "lastAt": {sort: sortLastAt}, "status": {statuses: jobStatuses[1:2]},
	} {
		q.take, q.descending = maxTake, true
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := jobsPage{server: a.server, source: a.server.ownJobs(&caller{Key: testKeys()[0]}), query: q, limit: maxListedJobs}
				err := p.find(time.Now().Add(time.Minute))
				if err == nil {
					_, err = p.appendJSON(nil)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
