package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fullDisk is a file system on which the writes to files of one extension meet
// a full disk while full is set.
type fullDisk struct {
	*errorfs.FS
	mem  *vfs.MemFS
	full atomic.Bool
	met  chan struct{} // takes one for the first write that met it
}

func newFullDisk(extension string) *fullDisk {
	d := &fullDisk{mem: vfs.NewCrashableMem(), met: make(chan struct{}, 1)}
	d.mem.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 1 << 30})
	d.FS = errorfs.Wrap(d.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		write := op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpReuseForWrite
		if !d.full.Load() || !write || filepath.Ext(op.Path) != extension {
			return nil
		}
		select {
		case d.met <- struct{}{}:
		default:
		}
		return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
	}))
	return d
}

// openFullDisk opens a store that looks at the free space only when the test
// does.
func openFullDisk(t *testing.T, fs *fullDisk, fatal func(error)) *Store {
	t.Helper()
	o := testOptions(fs)
	o.CheckInterval, o.Ballast, o.Fatal = time.Hour, 1<<20, fatal
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A commit that meets a full disk in the log waits for space: it is not
// acknowledged, nobody sees it, later appends are refused, and it ends well
// once there is room.
func TestLogWaitsForSpace(t *testing.T) {
	fs := newFullDisk(".log")
	s := openFullDisk(t, fs, func(err error) { t.Errorf("the store ended: %v", err) })
	job, first, second := testID("job"), document("first", message(1, 500)), document("second", message(2, 500))
	mustAdd(t, s, job, testID("c1"), first, nil)

	fs.full.Store(true)
	done := make(chan error, 1)
	c, _, err := begin(s, job, testID("c2"), second, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- c.Wait() }()
	<-fs.met
	until(t, "the state of a full disk", s.LowSpace)
	if _, err := add(s, job, testID("c3"), document("third"), nil); !errors.Is(err, ErrLowSpace) {
		t.Errorf("append to a full disk: %v, want ErrLowSpace", err)
	}
	if record, err := s.Job(job); err != nil || record.Count != 1 {
		t.Errorf("shown: %d checkpoints, %v; want the one on disk", record.Count, err)
	}
	until(t, "the ballast to be given up", func() bool { return !s.disk.hasBallast() })
	select {
	case err := <-done:
		t.Errorf("acknowledged while the log could not be written: %v", err)
	default:
	}

	fs.full.Store(false)
	if err := <-done; err != nil {
		t.Errorf("the commit that waited: %v", err)
	}
	s.disk.check()
	mustAdd(t, s, job, testID("c3"), document("third"), nil)
	r := openStore(t, fs.mem.CrashClone(vfs.CrashCloneCfg{}))
	wantRead(t, r, job, 1, first.JSON)
	wantRead(t, r, job, 2, second.JSON)
	wantRead(t, r, job, 3, document("third").JSON)
}

// A server that has to end does not wait for space; what it acknowledged is
// there at the next start.
func TestStopWaitingFailsTheStore(t *testing.T) {
	fs := newFullDisk(".log")
	var fatal atomic.Int32
	s := openFullDisk(t, fs, func(error) { fatal.Add(1) })
	job, first := testID("job"), document("first", message(1, 500))
	mustAdd(t, s, job, testID("c1"), first, nil)
	fs.full.Store(true)
	c, _, err := begin(s, job, testID("c2"), document("second"), nil)
	if err != nil {
		t.Fatal(err)
	}
	<-fs.met
	s.StopWaiting()
	if err := c.Wait(); !errors.Is(err, ErrFailed) {
		t.Errorf("the commit that waited: %v, want ErrFailed", err)
	}
	if n := fatal.Load(); n != 1 {
		t.Errorf("Fatal was called %d times, want once", n)
	}
	r := openStore(t, fs.mem.CrashClone(vfs.CrashCloneCfg{}))
	wantRead(t, r, job, 1, first.JSON)
}

// A flush that meets a full disk fails, gives its space back and is tried
// again; reads and the log do not depend on it.
func TestTablesFailOnAFullDisk(t *testing.T) {
	fs := newFullDisk(".sst")
	s := openFullDisk(t, fs, func(err error) { t.Errorf("the store ended: %v", err) })
	job, d := testID("job"), document("first", message(1, 500))
	mustAdd(t, s, job, testID("c1"), d, nil)
	fs.full.Store(true)
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		t.Fatal(err)
	}
	<-fs.met
	until(t, "the state of a full disk", s.LowSpace)
	wantRead(t, s, job, 1, d.JSON)
	if err := s.SetMeta("name", []byte("value")); err != nil {
		t.Errorf("a write to the log: %v", err)
	}
	fs.full.Store(false)
	<-flushed
	s.disk.check()
	mustAdd(t, s, job, testID("c2"), d, nil)
}

// How long a write waits depends on what it writes.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(vfs.NewMem())
		o.setDefaults()
		d := newDisk(&o)
		refuse := func() error { return syscall.ENOSPC }
		took := func(name string, do func() error) (time.Duration, error) {
			began := time.Now()
			err := d.withRoom(name, do)
			return time.Since(began), err
		}
		if waited, err := took("/data/db/000001.log", refuse); waited != 0 || !isFull(err) {
			t.Errorf("while the store opens the log waited %v: %v", waited, err)
		}
		if waited, err := took("/data/db/000002.sst", refuse); waited != tablePatience || !isFull(err) {
			t.Errorf("while the store opens a table waited %v: %v", waited, err)
		}
		d.patient.Store(true)
		for _, name := range []string{"/data/db/000002.sst", "/data/db/000003.blob"} {
			if waited, err := took(name, refuse); waited != tablePatience || !isFull(err) {
				t.Errorf("%s waited %v: %v", name, waited, err)
			}
		}
		if waited, err := took("/backup/db/000001.log", refuse); waited != 0 || !isFull(err) {
			t.Errorf("a backup waited %v: %v", waited, err)
		}
		began := time.Now()
		later := func() error {
			if time.Since(began) < time.Minute {
				return syscall.EDQUOT
			}
			return nil
		}
		if waited, err := took("/data/db/MANIFEST-000001", later); waited < time.Minute || err != nil {
			t.Errorf("the manifest waited %v: %v", waited, err)
		}
		d.stopWaiting()
		if waited, err := took("/data/db/000001.log", refuse); waited != 0 || !isFull(err) {
			t.Errorf("after the end of patience the log waited %v: %v", waited, err)
		}
	})
}

// A write that does not come to its end is reported as a slow disk; one that waits
// for room is not.
func TestSlowDiskIsReported(t *testing.T) {
	for _, tt := range []struct {
		name string
		meet func(until <-chan struct{}) error
		slow bool
	}{
		{"hangs", func(until <-chan struct{}) error { <-until; return nil }, true},
		{"no room", func(until <-chan struct{}) error {
			select {
			case <-until:
				return nil
			default:
				return syscall.ENOSPC
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logged logBuffer
				var met atomic.Bool
				ended := make(chan struct{})
				o := testOptions(errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
					if !met.Load() || op.Kind != errorfs.OpFileWrite || filepath.Ext(op.Path) != ".log" {
						return nil
					}
					return tt.meet(ended)
				})))
				o.Logger = logged.logger()
				s, err := Open(o)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				met.Store(true)
				c, _, err := begin(s, testID("job"), testID("c"), document("x"), nil)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(slowOperation + time.Minute)
				if slow := logged.has("disk is slow"); slow != tt.slow {
					t.Errorf("reported as slow: %t, want %t", slow, tt.slow)
				}
				close(ended)
				if err := c.Wait(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still waiting after 30 s: %s", what)
		}
	}
}
