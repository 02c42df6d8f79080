//go:build smalldisk

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// These tests fill a real file system of 96 MiB, which MILEPOST_SMALL_DISK
// names: a tmpfs that .ci/run mounts, because that needs root.

// smallDisk is an empty directory on that file system.
func smallDisk(t *testing.T) string {
	t.Helper()
	root := os.Getenv("MILEPOST_SMALL_DISK")
	if root == "" {
		t.Fatal("MILEPOST_SMALL_DISK must name a file system of 96 MiB that may be filled")
	}
	usage, err := vfs.Default.GetDiskUsage(root)
	if err != nil {
		t.Fatal(err)
	}
	if usage.TotalBytes > 128<<20 || usage.AvailBytes < 90<<20 {
		t.Fatalf("MILEPOST_SMALL_DISK has %d of %d bytes free, want an empty file system of 96 MiB", usage.AvailBytes, usage.TotalBytes)
	}
	dir, err := os.MkdirTemp(root, "store")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// filler takes space as something else on the same disk would.
type filler struct {
	t    *testing.T
	file *os.File
}

func newFiller(t *testing.T, dir, name string) *filler {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &filler{t, f}
}

// take writes up to n bytes and returns when the disk is full.
func (f *filler) take(n int64) {
	chunk := make([]byte, 64<<10)
	for ; n > 0; n -= int64(len(chunk)) {
		if _, err := f.file.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			f.t.Error(err)
			return
		}
	}
}

// giveBack frees what was taken.
func (f *filler) giveBack() {
	f.t.Helper()
	if err := f.file.Truncate(0); err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.file.Seek(0, 0); err != nil {
		f.t.Fatal(err)
	}
}

// takeAll takes whatever is free or comes free until it is told to end.
func (f *filler) takeAll(enough <-chan struct{}) {
	for {
		f.take(1 << 40)
		select {
		case <-enough:
			return
		default:
		}
	}
}

const writers = 4

// load is writers that append until they are stopped, and what was
// acknowledged to them.
type load struct {
	t *testing.T
	s *Store

	mu           sync.Mutex
	acknowledged map[string][]string // checkpoints by job, in order

	low, good atomic.Int64
	quit      chan struct{}
	done      sync.WaitGroup
}

func startLoad(t *testing.T, s *Store) *load {
	l := &load{t: t, s: s, acknowledged: make(map[string][]string), quit: make(chan struct{})}
	for w := range writers {
		l.done.Go(func() { l.write(testID(fmt.Sprint("job", w)), w) })
	}
	return l
}

// write appends checkpoints that repeat nothing, so that they take space.
func (l *load) write(job string, writer int) {
	retry := time.NewTicker(time.Millisecond)
	defer retry.Stop()
	next := func(n int) (string, checkpoint.Document) {
		id := fmt.Sprintf("c%d-%d", writer, n)
		return testID(id), document(id, message(writer<<20+2*n, 60<<10), message(writer<<20+2*n+1, 60<<10))
	}
	n := 0
	id, d := next(n)
	for {
		_, err := add(l.s, job, id, d, nil)
		switch {
		case err == nil:
			l.mu.Lock()
			l.acknowledged[job] = append(l.acknowledged[job], string(d.JSON))
			l.mu.Unlock()
			l.good.Add(1)
			n++
			id, d = next(n)
		case errors.Is(err, ErrLowSpace):
			l.low.Add(1)
			<-retry.C
		default:
			l.t.Errorf("append to a full disk: %v, want ErrLowSpace", err)
			return
		}
		select {
		case <-l.quit:
			return
		default:
		}
	}
}

// jobs is how many writers had an append acknowledged.
func (l *load) jobs() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acknowledged)
}

// untilAppended waits for an append that begins from now on: those on their way
// are as many as there are writers.
func (l *load) untilAppended(after string) {
	l.t.Helper()
	appended := l.good.Load()
	until(l.t, "an append after "+after, func() bool { return l.good.Load() > appended+writers })
}

// check reads every acknowledged checkpoint.
func (l *load) check(s *Store) {
	l.t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for job, checkpoints := range l.acknowledged {
		for i, json := range checkpoints {
			wantRead(l.t, s, job, uint64(i+1), []byte(json))
		}
	}
}

// A full disk refuses appends with ErrLowSpace and leaves everything else
// alive: reads go on, space that comes back is used without a new start, and
// nothing acknowledged is lost.
func TestFullDisk(t *testing.T) {
	for _, tt := range []struct {
		name    string
		minFree uint64
		ballast int64
		filled  int64 // by something else before the store opens
		runaway bool  // something else takes whatever comes free
	}{
		{"the watermark bites first", 12 << 20, 4 << 20, 14 << 20, false},
		{"the watermark is off", 0, 8 << 20, 14 << 20, false},
		{"the watermark is too small", 64 << 10, 8 << 20, 14 << 20, false},
		{"something else fills the disk", 1 << 20, 4 << 20, 0, true},
		{"neither watermark nor ballast", 0, 0, 24 << 20, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := smallDisk(t)
			other, reserve := newFiller(t, dir, "filler"), newFiller(t, dir, "reserve")
			other.take(tt.filled)
			reserve.take(8 << 20)
			var fatal atomic.Int32
			o := Options{
				Dir: filepath.Join(dir, "data"), MemTable: 2 << 20, MinFree: tt.minFree, Ballast: tt.ballast,
				CheckInterval: 10 * time.Millisecond,
				Fatal:         func(err error) { fatal.Add(1); t.Errorf("the store ended: %v", err) },
			}
			s, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			// A job that can go.
			old := testID("old")
			for n := range 100 {
				mustAdd(t, s, old, testID(fmt.Sprint("old", n)), document("old", message(1<<30+n, 120<<10)), nil)
			}
			l := startLoad(t, s)
			// The appends on their way, the end and the next start need room, too.
			stop := sync.OnceFunc(func() { close(l.quit); reserve.giveBack(); l.done.Wait() })
			t.Cleanup(func() { other.giveBack(); stop() })

			until(t, "an append of each writer", func() bool { return l.jobs() == writers })
			var eating sync.WaitGroup
			enough := make(chan struct{})
			if tt.runaway {
				eating.Go(func() { other.takeAll(enough) })
			}
			until(t, "a refused append", func() bool { return l.low.Load() > 0 || fatal.Load() > 0 })
			l.check(s)
			close(enough)
			eating.Wait()
			l.check(s)
			other.giveBack()
			l.untilAppended("space came back")

			// The store fills the rest by itself. A watermark leaves room to delete; the
			// space follows when the database compacts.
			refused := l.low.Load()
			until(t, "another refused append", func() bool { return l.low.Load() > refused || fatal.Load() > 0 })
			if tt.minFree > 4*o.MemTable {
				if err := s.Delete(old); err != nil {
					t.Errorf("a deletion on a full disk: %v", err)
				}
				if _, err := s.Job(old); !errors.Is(err, ErrNotFound) {
					t.Errorf("the deleted job: %v", err)
				}
			}
			stop()
			l.check(s)
			// Where no byte is left, closing fails to write the end of the log. What
			// counts is what is there after it.
			_ = s.Close()
			r, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = r.Close() })
			l.check(r)
		})
	}
}
