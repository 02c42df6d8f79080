package store

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

const testOrganization = "orga00000000000000000000"

// addTo appends a checkpoint of an organization's job with a status after it.
func addTo(t testing.TB, s *Store, job string, n int, status checkpoint.JobStatus) checkpoint.Document {
	t.Helper()
	doc := document(fmt.Sprint(n), message(n, 300), message(n+1, 300))
	mustAdd(t, s, job, testID(fmt.Sprint("c", n)), doc, func(a *Append) {
		a.Record.Organization, a.Record.Status = testOrganization, status
	})
	return doc
}

func TestTail(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job := testID("job")
	if _, err := s.Tail(job); !errors.Is(err, ErrNotFound) {
		t.Errorf("the tail of no job: %v", err)
	}
	for n, status := range []checkpoint.JobStatus{checkpoint.JobProcessing, checkpoint.JobCompleted, checkpoint.JobProcessing} {
		addTo(t, s, job, n+1, status)
		want := Tail{Organization: testOrganization, Sequence: uint64(n + 1), ID: testID(fmt.Sprint("c", n+1)), Status: status}
		if got, err := s.Tail(job); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	if err := s.Delete(job); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tail(job); !errors.Is(err, ErrNotFound) {
		t.Errorf("the tail of a deleted job: %v", err)
	}
}

// The tail does not include what is not on disk yet, nor the status after it.
func TestTailShowsOnlyWhatIsOnDisk(t *testing.T) {
	fs := &heldFS{FS: vfs.NewMem(), gate: make(chan struct{}), hold: make(chan struct{})}
	s := openStore(t, fs)
	job := testID("job")
	addTo(t, s, job, 1, checkpoint.JobProcessing)
	close(fs.hold)
	commit, _, err := begin(s, job, testID("c2"), document("second", message(2, 300)), func(a *Append) {
		a.Record.Status = checkpoint.JobCompleted
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Tail(job); err != nil || got.Sequence != 1 || got.ID != testID("c1") || got.Status != "" {
		t.Errorf("before the sync: %+v, %v", got, err)
	}
	fresh, _, err := begin(s, testID("new"), testID("n1"), document("new"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tail(testID("new")); !errors.Is(err, ErrNotFound) {
		t.Errorf("the tail of a job without anything on disk: %v", err)
	}
	close(fs.gate)
	for _, c := range []*Commit{commit, fresh} {
		if err := c.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Tail(job); err != nil || got.Sequence != 2 || got.ID != testID("c2") || got.Status != checkpoint.JobCompleted {
		t.Errorf("after the sync: %+v, %v", got, err)
	}
}

func TestReadFrom(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	job, other := testID("job"), testID("job2")
	var docs []checkpoint.Document
	for n := range 20 {
		docs = append(docs, addTo(t, s, job, n+1, checkpoint.JobProcessing))
		addTo(t, s, other, n+100, checkpoint.JobProcessing)
	}
	for _, c := range []struct{ from, stop, last uint64 }{
		{1, 0, 20}, {0, 0, 20}, {7, 0, 20}, {20, 0, 20}, {21, 0, 20}, {1 << 63, 0, 20}, {5, 9, 9}, {20, 20, 20},
	} {
		next := max(c.from, 1)
		err := s.ReadFrom(job, c.from, func(got Checkpoint) bool {
			if got.Sequence != next || got.ID != testID(fmt.Sprint("c", next)) || string(got.JSON) != string(docs[next-1].JSON) {
				t.Errorf("from %d: checkpoint %d is %d %s", c.from, next, got.Sequence, got.ID)
			}
			next++
			return got.Sequence != c.stop
		})
		if want := max(c.last+1, c.from); err != nil || next != want {
			t.Errorf("from %d: stopped before %d, want %d: %v", c.from, next, want, err)
		}
	}
	if err := s.ReadFrom(testID("none"), 1, func(Checkpoint) bool { t.Error("a checkpoint of no job"); return true }); err != nil {
		t.Error(err)
	}
}
