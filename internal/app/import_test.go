package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
	"milepost/internal/origin"
	"milepost/metrics"
	"milepost/stream"
)

const (
	importJob = "job000000000000000000001"
	importOrg = "org000000000000000000001"
	importAs  = "/import?organization=" + importOrg + "&job=" + importJob
)

// importTarget is a server that is imported into.
type importTarget struct {
	*importer
	t      *testing.T
	store  *store.Store
	shown  []string // ids in the order in which they were published
	ending string   // status that was published last with the end of the job
}

func memStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem(), MemTable: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newImportTarget(t *testing.T, change func(*config.Config)) *importTarget {
	t.Helper()
	cfg := config.Default()
	cfg.Server.AdminListen = "unix:" + filepath.Join(t.TempDir(), "admin")
	if change != nil {
		change(cfg)
	}
	a, err := startAdmin(cfg, metrics.New(), &readiness{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	x := &importTarget{importer: newImporter(a, cfg), t: t, store: memStore(t)}
	a.publish = func(organization, job string, c stream.Checkpoint) {
		if organization != importOrg || job != importJob {
			t.Errorf("published to %s of %s", job, organization)
		}
		x.shown, x.ending = append(x.shown, c.ID), c.Ended
	}
	a.open("token", x.store, func(string) {})
	return x
}

func (x *importTarget) post(url string, body io.Reader) (int, string) {
	r := httptest.NewRequest("POST", url, body)
	r.Header.Set("Authorization", "Bearer token")
	w := httptest.NewRecorder()
	x.ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func (x *importTarget) want(code int, says, url, body string) {
	x.t.Helper()
	if got, text := x.post(url, strings.NewReader(body)); got != code || !strings.Contains(text, says) {
		x.t.Errorf("got %d %s, want %d with %q", got, text, code, says)
	}
}

// delegation is a job with a delegate, as the origin made it, and its export.
func delegation(t *testing.T) (s *store.Store, lines []string) {
	t.Helper()
	s = memStore(t)
	o := origin.New(s, nil)
	sum := 0
	var delegating string
	for i, step := range []struct{ status, expert, by string }{
		{"init", "lead@1.0.0", ""}, {"proceeding", "lead@1.0.0", ""}, {"stoppedByDelegate", "lead@1.0.0", ""},
		{"init", "helper", "yes"}, {"proceeding", "helper", "yes"}, {"completed", "helper", "yes"},
		{"proceeding", "lead@1.0.0", ""}, {"stoppedByInteractiveTool", "lead@1.0.0", ""},
		{"proceeding", "lead@1.0.0", ""}, {"completed", "lead@1.0.0", ""},
	} {
		used := i
		if step.status == "init" {
			used = 0
		}
		sum += used
		usage := func(n int) string {
			return fmt.Sprintf(`{"inputTokens":%d,"outputTokens":%d,"reasoningTokens":0,"totalTokens":%d,"cachedInputTokens":0}`, n, n, 2*n)
		}
		by := ""
		if step.by != "" {
			by = fmt.Sprintf(`"delegatedBy":{"expert":{"key":"lead@1.0.0","name":"lead","version":"1.0.0"},"toolCallId":"c","toolName":"t","checkpointId":%q},`, delegating)
		}
		body := fmt.Sprintf(`{"checkpoint":{"status":%q,"stepNumber":%d,"messages":[%s],"expert":{"key":%q,"name":"x","version":"1.0.0"},%s"usage":%s,"new":1.10},
			"step":{"stepNumber":1,"newMessages":[],"usage":%s,"startedAt":1}}`,
			step.status, i, strings.Repeat(`{"text":"the same again"},`, i)+`{"n":12345678901234567890}`, step.expert, by, usage(sum), usage(used))
		r, err := checkpoint.ParseRequest([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.Create(origin.Creation{Organization: importOrg, Application: importOrg, JobID: importJob, Request: r})
		if err != nil {
			t.Fatal(err)
		}
		if step.status == "stoppedByDelegate" {
			delegating = c.ID
		}
		lines = append(lines, string(c.JSON)+"\n")
	}
	return s, lines
}

func runsOf(t *testing.T, s *store.Store) []store.RunRecord {
	t.Helper()
	var runs []store.RunRecord
	if err := s.Runs(importJob, func(r store.RunRecord) bool { runs = append(runs, r); return true }); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(runs, func(a, b store.RunRecord) int { return int(a.First) - int(b.First) })
	return runs
}

// What another server gave is the same job here: bytes, runs and totals.
func TestAnImportedJobIsTheSameJob(t *testing.T) {
	s, lines := delegation(t)
	x := newImportTarget(t, nil)
	header := `{"milepost":"export","version":1,"job":"` + importJob + "\"}\n"
	// The order and the time between two requests do not matter; the second
	// begins with what the first has brought.
	x.want(200, `{"job":"`+importJob+`","checkpoints":4,"present":0}`, importAs, strings.Join(lines[:4], ""))
	x.want(200, `"checkpoints":6,"present":4}`, "/import?organization="+importOrg, header+"\n"+strings.Join(lines, ""))
	x.want(200, `"checkpoints":0,"present":10}`, importAs, strings.TrimSuffix(strings.Join(lines, ""), "\n"))

	want, err := s.Job(importJob)
	if err != nil {
		t.Fatal(err)
	}
	got, err := x.store.Job(importJob)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("record\n%+v, want\n%+v", got, want)
	}
	if runs, want := runsOf(t, x.store), runsOf(t, s); len(want) != 3 || !slices.Equal(runs, want) {
		t.Errorf("runs\n%+v, want\n%+v", runs, want)
	}
	for i, line := range lines {
		c, err := x.store.Read(importJob, uint64(i+1), nil)
		if err != nil || string(c.JSON)+"\n" != line || x.shown[i] != c.ID {
			t.Errorf("checkpoint %d: %v", i+1, err)
		}
	}
	if len(x.shown) != len(lines) || x.ending != "completed" {
		t.Errorf("published %d, the last with the end %q", len(x.shown), x.ending)
	}
	if jobs := 0; x.store.JobsOf(importOrg, false, func(string) bool { jobs++; return true }) != nil || jobs != 1 {
		t.Errorf("%d jobs are listed", jobs)
	}
}

func TestImportRefuses(t *testing.T) {
	_, lines := delegation(t)
	x := newImportTarget(t, func(c *config.Config) { c.Server.MaxBody = 1 << 10 })
	all := strings.Join(lines, "")
	x.want(200, "", importAs, strings.Join(lines[:3], ""))
	other := strings.Replace(importAs, "org000", "zzz000", 1)
	for _, c := range []struct {
		name, url, body string
		code            int
		says            string
	}{
		{"no organization", "/import?job=" + importJob, all, 400, "organization: must be 24"},
		{"a job that is none", "/import?organization=" + importOrg + "&job=X", all, 400, "job: must be 24"},
		{"nothing", importAs, "\n\n", 400, "no checkpoint"},
		{"no JSON", importAs, lines[0] + "no\n", 400, "line 2: invalid JSON"},
		{"no checkpoint", importAs, lines[0] + "\n{}\n", 400, "line 3: not a checkpoint"},
		{"another job's header", importAs, `{"milepost":"export","version":1,"job":"` + importOrg + `"}`, 400, "line 1: the export is of the job"},
		{"a header of the future", importAs, `{"milepost":"export","version":2,"job":"` + importJob + `"}`, 400, "line 1: the header"},
		{"another job's checkpoint", strings.Replace(importAs, "job000", "zzz000", 1), all, 400, "line 1: the checkpoint is of the job"},
		{"a gap", importAs, lines[0] + lines[5], 400, "line 2: checkpoint 6 comes behind 3"},
		{"other bytes", importAs, lines[0] + strings.Replace(lines[1], "again", "other", 1), 409, "line 2: the job has another checkpoint 2"},
		{"another organization", other, lines[0], 409, "line 1: the job belongs to another organization"},
		{"a line without end", importAs, strings.Repeat("x", 2<<20), 413, "line 1: longer than"},
	} {
		code, text := x.post(c.url, strings.NewReader(c.body))
		if code != c.code || !strings.Contains(text, c.says) {
			t.Errorf("%s: got %d %s, want %d with %q", c.name, code, text, c.code, c.says)
		}
	}
	if record, err := x.store.Job(importJob); err != nil || record.Count != 3 {
		t.Errorf("after refusals: %d checkpoints, %v", record.Count, err)
	}
}

// brokenBody ends with an error, as a connection that is cut.
type brokenBody struct{ io.Reader }

func (b brokenBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestAnImportThatIsCutIsFinishedByTheNext(t *testing.T) {
	_, lines := delegation(t)
	x := newImportTarget(t, nil)
	all := strings.Join(lines, "")
	half := all[:len(all)-len(lines[9])-len(lines[8])/2]
	if code, text := x.post(importAs, brokenBody{strings.NewReader(half)}); code != 400 || !strings.Contains(text, "line 9: the body was cut") {
		t.Errorf("got %d %s", code, text)
	}
	x.want(200, `"checkpoints":2,"present":8}`, importAs, all)
}

func TestImportNeedsTheTokenAndTheStore(t *testing.T) {
	_, lines := delegation(t)
	x := newImportTarget(t, nil)
	for _, authorization := range []string{"", "Bearer ", "Bearer toke", "Basic token"} {
		// Whoever is refused is not read.
		r := httptest.NewRequest("POST", importAs, brokenBody{bytes.NewReader(nil)})
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		if x.ServeHTTP(w, r); w.Code != 401 {
			t.Errorf("%q: %d %s", authorization, w.Code, w.Body)
		}
	}
	x.busy <- struct{}{}
	x.want(503, "another import", importAs, lines[0])
	<-x.busy
	sidecar := newImportTarget(t, func(c *config.Config) { c.Upstream.URL = "http://127.0.0.1:1" })
	sidecar.want(409, "in front of an upstream", importAs, lines[0])
	x.admin.close()
	x.want(503, "starting or ending", importAs, lines[0])
}

// An import is a route of the admin listener.
func TestImportIsOnTheAdminListener(t *testing.T) {
	_, c := testAdmin(t, &readiness{})
	if code, _ := ask(t, c, "POST", importAs, "", ""); code != http.StatusServiceUnavailable {
		t.Errorf("POST: %d", code)
	}
	if code, _ := ask(t, c, "GET", importAs, "", ""); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
}

// However long the export is, an import holds a bounded part of it.
func TestImportReadsInParts(t *testing.T) {
	_, lines := delegation(t)
	x := newImportTarget(t, nil)
	j := importedJob{importer: x.importer, id: importJob}
	j.setBody(strings.NewReader(strings.Repeat(lines[0], 3*importLines+1)))
	var sizes []int
	for !j.ended {
		part, err := j.part()
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, len(part))
	}
	if fmt.Sprint(sizes) != "[64 64 64 1]" {
		t.Errorf("parts of %v lines", sizes)
	}
	large := strings.Replace(lines[0], "12345678901234567890", `"`+strings.Repeat("x", importBytes/2)+`"`, 1)
	j = importedJob{importer: x.importer, id: importJob}
	j.setBody(strings.NewReader(strings.Repeat(large, 5)))
	if part, err := j.part(); err != nil || len(part) != 2 {
		t.Errorf("a part of %d large lines, %v", len(part), err)
	}
}
