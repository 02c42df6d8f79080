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
// writes are refused, because a database that meets a full disk cannot go on.
// The ballast is the second line: a file whose removal gives the database room
// to finish what it has begun when something else fills the disk between two
// looks.
type disk struct {
	fs       vfs.FS
	dir      string
	minFree  uint64
	ballast  int64
	interval time.Duration
	log      *slog.Logger

	low  atomic.Bool
	free atomic.Uint64

	quit chan struct{}
	done sync.WaitGroup
}

func newDisk(o *Options) *disk {
	return &disk{
		fs: o.FS, dir: o.Dir, minFree: o.MinFree, ballast: o.Ballast,
		interval: o.CheckInterval, log: o.Logger, quit: make(chan struct{}),
	}
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
	if d.minFree == 0 {
		return
	}
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
	close(d.quit)
	d.done.Wait()
}

func (d *disk) measure() (uint64, bool) {
	usage, err := d.fs.GetDiskUsage(d.dir)
	if err != nil {
		d.log.Error("cannot read the free disk space", "dir", d.dir, "error", err)
		return 0, false
	}
	d.free.Store(usage.AvailBytes)
	return usage.AvailBytes, true
}

// check looks at the free space once. Writes resume only an eighth above the
// watermark, so that the state does not flap around it.
func (d *disk) check() {
	if d.minFree == 0 {
		return
	}
	free, ok := d.measure()
	if !ok {
		return
	}
	switch low := d.low.Load(); {
	case free < d.minFree && !low:
		d.low.Store(true)
		d.log.Error("disk space is below the watermark: writes are refused with 507 until there is more",
			"dir", d.dir, "free", free, "min_free", d.minFree)
	case free >= d.minFree+d.minFree/8 && low:
		d.low.Store(false)
		d.log.Info("there is disk space again: writes are accepted", "dir", d.dir, "free", free)
	}
	if d.ballast > 0 && !d.low.Load() && free > d.minFree+d.minFree/8+uint64(d.ballast) {
		d.makeBallast()
	}
}

// full is called by the file system when a write met a full disk; the write is
// tried again after it returns.
func (d *disk) full() {
	if d.minFree > 0 {
		d.low.Store(true)
	}
	d.log.Error("the disk is full: writes are refused with 507 until there is space", "dir", d.dir)
	d.releaseBallast()
}

func (d *disk) releaseBallast() {
	if d.ballast == 0 {
		return
	}
	if err := d.fs.Remove(d.ballastPath()); err == nil {
		d.log.Warn("gave up the ballast file to make room", "file", d.ballastPath(), "bytes", d.ballast)
	}
}

func (d *disk) makeBallast() {
	if info, err := d.fs.Stat(d.ballastPath()); err == nil && info.Size() == d.ballast {
		return
	}
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
