package store

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// tableBytes is what the tables and the values kept apart from them take.
func tableBytes(t *testing.T, fs vfs.FS) (n int64) {
	t.Helper()
	names, err := fs.List("/data/db")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if ext := filepath.Ext(name); ext != ".sst" && ext != ".blob" {
			continue
		}
		// One that has gone meanwhile takes nothing.
		if info, err := fs.Stat(filepath.Join("/data/db", name)); err == nil {
			n += info.Size()
		}
	}
	return n
}

// addJob adds a job of 64 checkpoints of one size, with messages from a number on,
// brings it to the last level, and waits until no more is there than that.
func addJob(t *testing.T, s *Store, fs vfs.FS, job string, from, size int, status checkpoint.JobStatus) {
	t.Helper()
	for n := range 64 {
		mustAdd(t, s, job, testID(fmt.Sprint("c", n)), document("x", message(from+n, size)), func(a *Append) {
			a.Record.Status, a.Record.LastAt = status, retentionNow.UnixMilli()
			if status.Ended() {
				a.Record.EndedAt = a.Record.LastAt
			}
		})
	}
	if err := s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	until(t, "what was compacted to go", func() bool {
		m := s.db.Metrics()
		return tableBytes(t, fs) == int64(m.Table.Local.LiveSize+m.BlobFiles.Local.LiveSize)
	})
}

// The space of a deleted job comes back without anything being written after it,
// and what is beside it stays.
func TestSpaceOfADeletedJobComesBack(t *testing.T) {
	for _, size := range []int{1 << 10, 16 << 10} { // in the tables, and apart from them
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			fs := vfs.NewMem()
			s := openStore(t, fs)
			goes, stays := testID("goes"), testID("stays")
			addJob(t, s, fs, stays, 0, size, checkpoint.JobProcessing)
			addJob(t, s, fs, goes, 64, size, checkpoint.JobProcessing)
			with := tableBytes(t, fs)
			if err := s.Delete(goes); err != nil {
				t.Fatal(err)
			}
			until(t, "the space of the job", func() bool { return tableBytes(t, fs) < with*2/3 })
			wantRead(t, s, stays, 64, document("x", message(63, size)).JSON)
		})
	}
}

// Where there is little space, that of the jobs that retention deletes comes back
// at once; where there is so little that a compaction could take the rest, none is
// begun.
func TestRetentionGivesSpaceBackWhereItIsShort(t *testing.T) {
	const minFree = 32 << 20
	for _, tt := range []struct {
		name  string
		free  uint64
		comes bool
	}{
		{"below the watermark", minFree - 1, true},
		{"nearly none", minFree/2 + 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fs := vfs.NewMem()
			free := func(n uint64) { fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: n, TotalBytes: 1 << 30}) }
			free(1 << 30)
			var logged logBuffer
			o := testOptions(fs)
			o.MinFree, o.CheckInterval, o.Logger = minFree, time.Hour, logged.logger()
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			addJob(t, s, fs, testID("stays"), 0, 1<<10, checkpoint.JobProcessing)
			addJob(t, s, fs, testID("goes"), 64, 1<<10, checkpoint.JobCompleted)
			with := tableBytes(t, fs)
			free(tt.free)
			s.disk.check()
			if n, err := s.Retain(t.Context(), Retention{Size: 1}, retentionNow, func(string) {}); n != 1 || err != nil {
				t.Fatalf("%d gone, %v; want 1", n, err)
			}
			if tt.comes {
				until(t, "the space of the job", func() bool { return tableBytes(t, fs) < with*2/3 })
				return
			}
			until(t, "the refusal", func() bool { return logged.has("too little free space to compact") })
		})
	}
}

// A deletion is flushed within a minute, also where nothing is written after it.
func TestDeletionsAreFlushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(testOptions(vfs.NewMem()))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		start, end := dataRange(testID("job"))
		if err := s.db.DeleteRange(start, end, pebble.Sync); err != nil {
			t.Fatal(err)
		}
		before := s.db.Metrics().Flush.Count
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := s.db.Metrics().Flush.Count; after != before+1 {
			t.Errorf("%d flushes in the minute after a deletion, want 1", after-before)
		}
	})
}
