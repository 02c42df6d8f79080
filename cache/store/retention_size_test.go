package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"milepost/internal/checkpoint"
)

var retentionNow = time.UnixMilli(1_800_000_000_000)

// endedJobs adds jobs of one checkpoint each that ended a minute after one
// another, in an order that is not that of their ids, and a live one. It returns
// their ids, the one that ended first in front, and what one of them takes.
func endedJobs(t *testing.T, s *Store) (ended []string, live string, each uint64) {
	t.Helper()
	for n, name := range []string{"d", "a", "c", "b"} {
		ended = append(ended, testID(name))
		end(t, s, testID(name), n, retentionNow.Add(time.Duration(n-10)*time.Minute))
	}
	live = testID("live")
	mustAdd(t, s, live, testID("c"), document("x", message(9, 1000)), func(a *Append) {
		a.Record.Status, a.Record.LastAt = checkpoint.JobProcessing, retentionNow.UnixMilli()
	})
	record, err := s.Job(ended[0])
	if err != nil {
		t.Fatal(err)
	}
	return ended, live, record.Bytes
}

// end adds the checkpoint that ends a job.
func end(t *testing.T, s *Store, job string, n int, at time.Time) {
	t.Helper()
	mustAdd(t, s, job, testID(fmt.Sprint("c", n)), document("x", message(n, 1000)), func(a *Append) {
		a.Record.Status = checkpoint.JobCompleted
		a.Record.LastAt, a.Record.EndedAt = at.UnixMilli(), at.UnixMilli()
	})
}

func jobsOf(t *testing.T, s *Store) (ids []string) {
	t.Helper()
	if err := s.Jobs(func(id string, _ JobRecord) bool { ids = append(ids, id); return true }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// By size the jobs that ended first go, and no more of them than the bound
// asks for.
func TestRetentionBySizeStopsAtTheBound(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep func(each uint64) uint64 // the bound; five jobs take five times each
		gone int
	}{
		{"all that there is", func(each uint64) uint64 { return 5*each + each/2 }, 0},
		{"a little less than all", func(each uint64) uint64 { return 5*each - each/2 }, 1},
		{"less than half", func(each uint64) uint64 { return 2*each + each/2 }, 3},
		{"only the live one", func(each uint64) uint64 { return each + each/2 }, 4},
		{"less than the live one", func(uint64) uint64 { return 1 }, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, vfs.NewMem())
			ended, live, each := endedJobs(t, s)
			var gone []string
			n, err := s.Retain(t.Context(), Retention{Size: tt.keep(each)}, retentionNow, func(job string) { gone = append(gone, job) })
			if err != nil {
				t.Fatal(err)
			}
			if n != tt.gone || !slices.Equal(gone, ended[:tt.gone]) {
				t.Errorf("%d gone: %q, want the first %d of %q", n, gone, tt.gone, ended)
			}
			want := append(slices.Clone(ended[tt.gone:]), live)
			slices.Sort(want)
			if left := jobsOf(t, s); !slices.Equal(left, want) {
				t.Errorf("left: %q, want %q", left, want)
			}
			// What went makes room, so that a second look finds nothing to do.
			if n, err := s.Retain(t.Context(), Retention{Size: max(tt.keep(each), each*2)}, retentionNow, func(string) {}); err != nil || n != 0 {
				t.Errorf("again: %d more gone, %v", n, err)
			}
		})
	}
}

// batchOfJobs adds as many jobs as are deleted at once, which ended before those
// of endedJobs.
func batchOfJobs(t *testing.T, s *Store) {
	t.Helper()
	for n := range retainBatch {
		end(t, s, testID(fmt.Sprint("batch", n)), n, retentionNow.Add(-time.Hour))
	}
}

// A job that is continued, or ends again, while others are being deleted stays,
// also if its checkpoint is not on disk yet; so does all once the context ends.
func TestRetentionLooksAgainBeforeItDeletes(t *testing.T) {
	all := Retention{Size: 1}
	t.Run("continued", func(t *testing.T) {
		s := openStore(t, vfs.NewMem())
		batchOfJobs(t, s)
		ended, live, _ := endedJobs(t, s)
		var commits []*Commit
		n, err := s.Retain(t.Context(), all, retentionNow, func(job string) {
			if job != testID("batch0") {
				return
			}
			c, _, err := begin(s, ended[1], testID("next"), document("next"), func(a *Append) {
				a.Record.Status, a.Record.EndedAt = checkpoint.JobProcessing, 0
			})
			if err != nil {
				t.Fatal(err)
			}
			commits = append(commits, c)
			end(t, s, ended[2], 7, retentionNow)
		})
		if err != nil || n != retainBatch+2 {
			t.Errorf("%d gone, %v; want %d", n, err, retainBatch+2)
		}
		for _, c := range commits {
			if err := c.Wait(); err != nil {
				t.Error(err)
			}
		}
		want := []string{ended[1], ended[2], live}
		slices.Sort(want)
		if left := jobsOf(t, s); !slices.Equal(left, want) {
			t.Errorf("left: %q, want %q", left, want)
		}
		wantRead(t, s, ended[1], 2, document("next").JSON)
	})
	t.Run("locked by an append", func(t *testing.T) {
		s := openStore(t, vfs.NewMem())
		ended, _, _ := endedJobs(t, s)
		j := s.Hold(ended[0])
		defer j.Release()
		if err := j.Lock(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		var gone []string
		go func() {
			_, err := s.Retain(t.Context(), all, retentionNow, func(job string) { gone = append(gone, job) })
			done <- err
		}()
		until(t, "the deletion to want the job", func() bool {
			s.registry.mu.Lock()
			defer s.registry.mu.Unlock()
			return j.holders == 2
		})
		record, _ := j.Record()
		record.Count, record.Status, record.EndedAt = record.Count+1, checkpoint.JobProcessing, 0
		c, err := j.Append(&Append{ID: testID("next"), Doc: document("next"), Record: record})
		j.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if slices.Contains(gone, ended[0]) || len(gone) != 3 {
			t.Errorf("gone: %q, want all that ended but %s", gone, ended[0])
		}
		wantRead(t, s, ended[0], 2, document("next").JSON)
	})
	t.Run("stopped", func(t *testing.T) {
		s := openStore(t, vfs.NewMem())
		batchOfJobs(t, s)
		ended, live, _ := endedJobs(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		n, err := s.Retain(ctx, all, retentionNow, func(string) { cancel() })
		if err != nil || n != retainBatch {
			t.Errorf("%d gone, %v; want %d", n, err, retainBatch)
		}
		want := slices.Sorted(slices.Values(append(ended, live)))
		if left := jobsOf(t, s); !slices.Equal(left, want) {
			t.Errorf("left: %q, want %q", left, want)
		}
	})
}

// Jobs that go together share a sync, and who deletes the same ones in another
// order waits for it, and nobody for ever.
func TestJobsAreDeletedTogether(t *testing.T) {
	var syncs atomic.Int32
	s := openStore(t, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if filepath.Ext(op.Path) == ".log" && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			syncs.Add(1)
		}
		return nil
	})))
	batchOfJobs(t, s)
	before := syncs.Load()
	if n, err := s.Retain(t.Context(), Retention{Size: 1}, retentionNow, func(string) {}); n != retainBatch || err != nil {
		t.Fatalf("%d gone, %v; want %d", n, err, retainBatch)
	}
	if n := syncs.Load() - before; n == 0 || n > 4 {
		t.Errorf("%d syncs, want 1, and those of new logs", n)
	}
	for range 20 {
		ids, _, _ := endedJobs(t, s)
		var deleted atomic.Int32
		var done sync.WaitGroup
		reversed := slices.Clone(ids)
		slices.Reverse(reversed)
		for _, order := range [][]string{ids, reversed} {
			done.Go(func() {
				gone, err := s.deleteAll(order, func(string, JobRecord) bool { return true })
				if err != nil {
					t.Error(err)
				}
				deleted.Add(int32(len(gone)))
			})
		}
		if done.Wait(); int(deleted.Load()) != len(ids) {
			t.Fatalf("%d jobs deleted by two, want %d", deleted.Load(), len(ids))
		}
	}
}
