package ingest

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"milepost/internal/ingest/ingesttest"
)

const otherJob = "job000000000000000000002"

// write puts a file into the runtime's directory.
func write(t *testing.T, root, path, text string) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func event(job, run, name string) string {
	return "jobs/" + job + "/runs/" + run + "/event-" + name + ".json"
}

// newDir returns a Dir whose clock stands still until the test moves it.
func newDir(t *testing.T, s *stub, root string) (d *Dir, clock *time.Time) {
	t.Helper()
	d, err := NewDir(root, s.poster(t), func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	clock = new(time.Time)
	*clock = time.Unix(1e9, 0)
	d.now = func() time.Time { return *clock }
	return d, clock
}

func pass(t *testing.T, d *Dir) {
	t.Helper()
	if err := d.pass(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDirGoesByTime(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	write(t, root, event(job, "z", "1000-2-completeRun"), completed("b"))
	write(t, root, event(job, "a", "999-10-continueToNextStep"), strings.Replace(completed("a"), "completeRun", "continueToNextStep", 1))
	write(t, root, event(job, "a", "1000-2-startRun"), `{"type":"startRun","timestamp":1,"jobId":"`+job+`","initialCheckpoint":{"id":"i","status":"init"},"inputMessages":[]}`)
	write(t, root, event(job, "a", "2-1-callTools"), completed("no"))
	write(t, root, event(job, "a", "x-1-completeRun"), completed("no"))
	write(t, root, "jobs/"+job+"/runs/a/run-setting.json", `{}`)
	write(t, root, "jobs/"+job+"/job.json", `{}`)
	d, _ := newDir(t, s, root)
	if err := d.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.posted(); got != "a.continueToNextStep i.startRun b.completeRun" {
		t.Errorf("posted %q", got)
	}
}

// A half-written file holds up its job, and no other, until it is whole.
func TestDirWaitsForAHalfWrittenFile(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	d, clock := newDir(t, s, root)
	pass(t, d) // there is nothing yet
	half := event(job, "r", "1-1-completeRun")
	write(t, root, half, completed("a")[:60])
	write(t, root, event(job, "r", "2-2-completeRun"), completed("b"))
	write(t, root, event(otherJob, "r", "3-1-completeRun"), strings.Replace(completed("c"), job, otherJob, 1))
	pass(t, d)
	if got := s.posted(); got != "c.completeRun" {
		t.Errorf("posted %q", got)
	}
	*clock = clock.Add(patience - 1)
	write(t, root, half, completed("a")[:61]) // it grows, so somebody is at it
	pass(t, d)
	*clock = clock.Add(patience - 1)
	pass(t, d)
	if got := s.posted(); got != "c.completeRun" {
		t.Errorf("posted %q", got)
	}
	write(t, root, half, completed("a"))
	pass(t, d)
	if got := s.posted(); got != "c.completeRun a.completeRun b.completeRun" || d.Poster.Refused != 0 {
		t.Errorf("posted %q, refused %d", got, d.Poster.Refused)
	}
	pass(t, d)
	if d.Poster.Stored != 3 {
		t.Errorf("%d stored", d.Poster.Stored)
	}
}

// A file that stays half-written (the runtime was killed) is given up and told.
func TestDirGivesAHalfWrittenFileUp(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	d, clock := newDir(t, s, root)
	write(t, root, event(job, "r", "1-1-completeRun"), "")
	write(t, root, event(job, "r", "2-2-completeRun"), completed("b"))
	pass(t, d)
	*clock = clock.Add(patience)
	pass(t, d)
	if got := s.posted(); got != "b.completeRun" || d.Poster.Refused != 1 || !s.noted("event-1-1-completeRun.json: the file is half-written") {
		t.Errorf("posted %q, refused %d, notes %q", got, d.Poster.Refused, s.notes)
	}
}

// A delegate's events wait for the event that delegated, which may be seen
// later, in the directory of another run.
func TestDirWaitsForTheDelegator(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	d, clock := newDir(t, s, root)
	trace := ingesttest.Read(t, traces, "delegation")
	for i, e := range trace.Events {
		if i == 2 { // it delegates to the next two
			continue
		}
		write(t, root, e.Path, string(e.JSON))
	}
	pass(t, d)
	*clock = clock.Add(patience - 1)
	pass(t, d)
	if d.Poster.Stored != 2 {
		t.Errorf("%d stored, want those before the delegate", d.Poster.Stored)
	}
	write(t, root, trace.Events[2].Path, string(trace.Events[2].JSON))
	pass(t, d)
	var want []string
	for _, e := range trace.Events {
		parsed, err := Parse(e.JSON)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, parsed.Key())
	}
	if got := s.posted(); got != strings.Join(want, " ") || len(s.notes) > 0 {
		t.Errorf("posted %q\nwant   %q\nnotes %q", got, strings.Join(want, " "), s.notes)
	}
}

// What could not be posted is posted at the next attempt, and nothing else.
func TestDirKeepsWhatIsNotPosted(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	d, _ := newDir(t, s, root)
	for _, id := range []string{"1", "2", "3"} {
		write(t, root, event(job, "r", id+"-1-completeRun"), completed(id))
	}
	s.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Idempotency-Key") != "2.completeRun" {
			return false
		}
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
	if err := d.pass(t.Context()); err == nil {
		t.Error("no error")
	}
	s.answer = nil
	pass(t, d)
	if got := s.posted(); got != "1.completeRun 2.completeRun 3.completeRun" {
		t.Errorf("posted %q", got)
	}
}

func TestDirMustBeOne(t *testing.T) {
	s, root := newStub(t), t.TempDir()
	write(t, root, "file", "")
	for _, path := range []string{filepath.Join(root, "missing"), filepath.Join(root, "file")} {
		if _, err := NewDir(path, s.poster(t), nil); err == nil {
			t.Errorf("%s: no error", path)
		}
	}
	if _, err := NewDir(filepath.Join(root, "missing"), s.poster(t), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}
