package cache

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/stream"
)

const (
	testOrganization = "orga00000000000000000000"
	testJob          = "job000000000000000000001"
)

// add appends a checkpoint of the organization's job.
func add(t *testing.T, s *store.Store, n int, status checkpoint.JobStatus) {
	t.Helper()
	j := s.Hold(testJob)
	defer j.Release()
	if err := j.Lock(); err != nil {
		t.Fatal(err)
	}
	record, _ := j.Record()
	record.Organization, record.Status = testOrganization, status
	record.Count++
	c, err := j.Append(&store.Append{
		ID: fmt.Sprintf("c%023d", n), Record: record, Doc: checkpoint.Document{JSON: fmt.Appendf(nil, `{"n":%d}`, n)},
	})
	j.Unlock()
	if err == nil {
		err = c.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The stream's view of a job: nothing of another organization's, and the status
// only where it ends the job.
func TestHistory(t *testing.T) {
	s, err := store.Open(store.Options{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	h := NewHistory(s)
	tail := func(organization string, want stream.Tail) {
		t.Helper()
		if got, err := h.Tail(organization, testJob); err != nil || got != want {
			t.Errorf("tail for %s: %+v, %v; want %+v", organization, got, err, want)
		}
	}
	tail(testOrganization, stream.Tail{})
	for n, c := range []struct {
		status checkpoint.JobStatus
		ended  string
	}{
		{checkpoint.JobProcessing, ""},
		{checkpoint.JobCompleted, "completed"},
		{checkpoint.JobRequestDelegateResult, ""},
		{checkpoint.JobRequestInteractiveToolResult, ""},
		{checkpoint.JobExceededMaxSteps, "exceededMaxSteps"},
		{checkpoint.JobFailed, "failed"},
	} {
		add(t, s, n+1, c.status)
		tail(testOrganization, stream.Tail{Sequence: uint64(n + 1), ID: fmt.Sprintf("c%023d", n+1), Ended: c.ended})
		tail("orgb00000000000000000000", stream.Tail{})
	}
	next := uint64(3)
	err = h.Read(testJob, next, func(c stream.Checkpoint) bool {
		if c.Sequence != next || c.ID != fmt.Sprintf("c%023d", next) || string(c.JSON) != fmt.Sprintf(`{"n":%d}`, next) {
			t.Errorf("checkpoint %d is %+v", next, c)
		}
		next++
		return next < 6
	})
	if err != nil || next != 6 {
		t.Errorf("stopped before %d, want 6: %v", next, err)
	}
	if err := s.Delete(testJob); err != nil {
		t.Fatal(err)
	}
	tail(testOrganization, stream.Tail{})
	if _, err := s.Tail(testJob); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the tail of a deleted job: %v", err)
	}
}
