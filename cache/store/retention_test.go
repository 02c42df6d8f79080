package store

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// Ended jobs go by age and by size, abandoned ones as ended, live ones never.
func TestRetention(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	old, recent := now.Add(-2*time.Hour), now.Add(-time.Minute)
	tests := []struct {
		name      string
		retention Retention
		gone      []string
	}{
		{"nothing set", Retention{Abandon: time.Second}, nil},
		{"age", Retention{Age: time.Hour}, []string{"old"}},
		{"size takes all that ended, oldest first", Retention{Size: 1}, []string{"old", "recent"}},
		{"size is enough", Retention{Size: 1 << 30}, nil},
		{"abandoned", Retention{Age: time.Minute * 30, Abandon: time.Hour}, []string{"old", "silent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, vfs.NewMem())
			for _, j := range []struct {
				name   string
				status checkpoint.JobStatus
				at     time.Time
			}{
				{"old", checkpoint.JobCompleted, old}, {"recent", checkpoint.JobFailed, recent},
				{"silent", checkpoint.JobProcessing, old}, {"live", checkpoint.JobProcessing, recent},
			} {
				mustAdd(t, s, testID(j.name), testID("c"), document(j.name, message(1, 500)), func(a *Append) {
					a.Record.Status, a.Record.LastAt = j.status, j.at.UnixMilli()
					if j.status.Ended() {
						a.Record.EndedAt = a.Record.LastAt
					}
				})
			}
			var gone []string
			n, err := s.Retain(t.Context(), tt.retention, now, func(job string) { gone = append(gone, job) })
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, name := range tt.gone {
				want = append(want, testID(name))
			}
			slices.Sort(gone)
			slices.Sort(want)
			if !slices.Equal(gone, want) || n != len(want) {
				t.Errorf("%d gone: %q, want %q", n, gone, want)
			}
			for _, job := range gone {
				if _, err := s.Read(job, 1, nil); !errors.Is(err, ErrNotFound) {
					t.Errorf("checkpoint of a deleted job: %v", err)
				}
				if _, err := s.Sequence(job, testID("c")); !errors.Is(err, ErrNotFound) {
					t.Errorf("id of a deleted job: %v", err)
				}
			}
		})
	}
}

// A store opened on a backup serves what there was at its time.
func TestBackupServesTheCopy(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	job, d := testID("job"), document("first", message(1, 500))
	mustAdd(t, s, job, testID("c1"), d, nil)
	if err := s.Backup("/copy"); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, job, testID("c2"), document("second"), nil)
	if s.Backup("/copy") == nil || s.Backup("relative") == nil {
		t.Error("a backup to a directory that exists or is relative must fail")
	}
	o := testOptions(fs)
	o.Dir = "/copy"
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	wantRead(t, c, job, 1, d.JSON)
	if record, err := c.Job(job); err != nil || record.Count != 1 {
		t.Errorf("copy has %d checkpoints, %v; want 1", record.Count, err)
	}
}
