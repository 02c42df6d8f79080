package store

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk watches the free space of the data directory. Below the watermark
// writes are refused, because a database on a full disk can only wait. The
// ballast is the second line: a file whose removal gives the database room to
// finish what it has begun when something else fills the disk between two
// looks. What then still finds no room waits, see roomFS.
type disk struct {
	fs       vfs.FS
	dir      string
	minFree  uint64
	ballast  int64
	interval time.Duration
	log      *slog.Logger

	// health ends the watch for operations that take long, after the database.
	health io.Closer

	low   atomic.Bool
	free  atomic.Uint64
	blind atomic.Bool // the last look failed

	// patient says that the log may wait for room: not while the database opens,
	// so that a start on a full disk says what is wrong. hurry ends all waiting.
	patient   atomic.Bool
	hurry     chan struct{}
	hurryOnce sync.Once

	quit chan struct{}
	done sync.WaitGroup
}

// slowOperation is how long a write, a sync or the like takes before it is
// reported: 5 s, as the database does on a file system that it was not given.
const slowOperation = 5 * time.Second

// newDisk also puts the watch under the file system of the options. Operations
// are timed below it, so that waiting for room does not make a disk slow.
func newDisk(o *Options) *disk {
	d := &disk{
		fs: o.FS, dir: o.Dir, minFree: o.MinFree, ballast: o.Ballast,
		interval: o.CheckInterval, log: o.Logger, hurry: make(chan struct{}), quit: make(chan struct{}),
	}
	timed, health := vfs.WithDiskHealthChecks(o.FS, slowOperation, nil, d.slow)
	d.health = health
	o.FS = roomFS{timed, d, &liveLogs{byName: make(map[string]*logFile)}}
	return d
}

// slow is told of an operation that takes long every other second until it ends.
func (d *disk) slow(info vfs.DiskSlowInfo) {
	d.log.Warn("disk is slow", "operation", info.OpType.String(), "file", info.Path, "duration", info.Duration)
}

func (d *disk) ballastPath() string { return filepath.Join(d.dir, "ballast") }

// prepare runs before the database opens, which itself needs some room.
func (d *disk) prepare() {
	if free, ok := d.measure(); ok && d.ballast > 0 && free < uint64(d.ballast) {
		d.releaseBallast()
	}
	d.check()
}

func (d *disk) start() {
	d.patient.Store(true)
	d.done.Add(1)
	go func() {
		defer d.done.Done()
		tick := time.NewTicker(d.interval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				d.check()
			case <-d.quit:
				return
			}
		}
	}()
}

func (d *disk) stop() {
	d.stopWaiting()
	close(d.quit)
	d.done.Wait()
}

func (d *disk) stopWaiting() { d.hurryOnce.Do(func() { close(d.hurry) }) }

func (d *disk) measure() (uint64, bool) {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		if d.blind.CompareAndSwap(false, true) {
			d.log.Error("cannot read the free disk space", "dir", d.dir, "error", err)
		}
		return 0, false
	}
	d.blind.Store(false)
	d.free.Store(usage.AvailBytes)
	return usage.AvailBytes, true
}

// minMargin is the least that must be free above the watermark for writes to
// resume. A disk without watermark and ballast can be full, too.
const minMargin = 1 << 20

// enough is the free space at which writes resume and the ballast is made
// again: an eighth above the watermark, so that the state does not flap around
// it, and the ballast beside that.
func (d *disk) enough() uint64 {
	n := d.minFree + max(d.minFree/8, uint64(d.ballast)/8, minMargin)
	if !d.hasBallast() {
		n += uint64(d.ballast)
	}
	return n
}

// check looks at the free space once.
func (d *disk) check() {
	free, ok := d.measure()
	if !ok {
		return
	}
	if free < d.minFree && d.low.CompareAndSwap(false, true) {
		d.log.Error("disk space is below the watermark: writes are refused with 507 until there is more",
			"dir", d.dir, "free", free, "min_free", d.minFree)
	}
	if free < d.enough() {
		return
	}
	if !d.hasBallast() {
		d.makeBallast()
	}
	if d.low.CompareAndSwap(true, false) {
		d.log.Info("there is disk space again: writes are accepted", "dir", d.dir, "free", free)
	}
}

// full is called when a write met a full disk; the write is tried again after it
// returns.
func (d *disk) full() {
	if d.low.CompareAndSwap(false, true) {
		d.log.Error("the disk is full: writes are refused with 507 until there is space", "dir", d.dir)
	}
	d.releaseBallast()
}

// StopWaiting makes the writes that wait for disk space fail from now on, and
// with them the store: a server that has to end cannot wait for room. What was
// acknowledged is not touched by it.
func (s *Store) StopWaiting() { s.disk.stopWaiting() }

func (d *disk) releaseBallast() {
	if d.ballast == 0 {
		return
	}
	if err := d.fs.Remove(d.ballastPath()); err == nil {
		d.log.Warn("gave up the ballast file to make room", "file", d.ballastPath(), "bytes", d.ballast)
	}
}

// hasBallast reports whether the ballast is as large as it should be.
func (d *disk) hasBallast() bool {
	if d.ballast == 0 {
		return true
	}
	info, err := d.fs.Stat(d.ballastPath())
	return err == nil && info.Size() == d.ballast
}

func (d *disk) makeBallast() {
	if err := d.writeBallast(); err != nil {
		_ = d.fs.Remove(d.ballastPath())
		d.log.Warn("cannot write the ballast file; the watermark alone guards the disk", "error", err)
	}
}

// writeBallast writes real bytes: a file with holes would hold no space.
func (d *disk) writeBallast() error {
	f, err := d.fs.Create(d.ballastPath(), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	for left := d.ballast; left > 0; left -= int64(len(chunk)) {
		if left < int64(len(chunk)) {
			chunk = chunk[:left]
		}
		if n, err := f.Write(chunk); err != nil {
			_ = f.Close()
			return err
		} else if n < len(chunk) {
			_ = f.Close()
			return io.ErrShortWrite
		}
	}
	if err := f.Sync(); err != nil {
		_ = f.Close()
		return fmt.Errorf("cannot sync %q: %w", d.ballastPath(), err)
	}
	return f.Close()
}
