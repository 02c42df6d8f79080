package store

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// minAhead and maxAhead bound how far a log is prepared ahead of what is
	// written, in bytes. Between them it is a quarter of what was written, so that
	// a small store stays small.
	minAhead = 64 << 10
	maxAhead = 512 << 10
	// minReserve and maxReserve bound how much of the disk is set aside for a log at
	// once, in bytes; between them it is as much as was written. Blocks that are
	// found one by one as zeros are written cost a third of the throughput at 16
	// connections.
	minReserve = 256 << 10
	maxReserve = 8 << 20
)

// zeros is what a log is prepared with.
var zeros [maxAhead]byte

// logFile is a write-ahead log that is prepared ahead: it is filled with zeros
// before it is written, so that most syncs find blocks and a size that are on
// disk already and have nothing but the new bytes to write. On ext4 that halves
// a sync's time and CPU. The database does as much for itself, but only once it
// can use the file of an old log again. A log that ends in zeros is read as
// ending before them (record.ErrZeroedChunk).
type logFile struct {
	vfs.File
	end      atomic.Int64 // of what was written
	size     int64        // of the file
	reserved int64        // up to where it has blocks
}

// newLogFile prepares a log that was just created, or an old one that is
// written anew from its beginning.
func newLogFile(f vfs.File) *logFile {
	l := &logFile{File: f}
	if info, err := f.Stat(); err == nil {
		l.size, l.reserved = info.Size(), info.Size()
	}
	return l
}

// Write implements vfs.File.
func (f *logFile) Write(p []byte) (int, error) {
	if next := f.end.Load() + int64(len(p)); next > f.size {
		ahead := zeros[:min(max(next/4, minAhead), maxAhead)]
		f.reserve(next + int64(len(ahead)))
		// Whatever comes of it: only the sync takes longer if it fails.
		n, _ := f.File.WriteAt(ahead, next)
		if n > 0 {
			f.size = next + int64(n)
		}
	}
	n, err := f.File.Write(p)
	f.end.Add(int64(n))
	return n, err
}

// reserve sets disk space aside up to an end, and some more. It does not matter if
// that fails.
func (f *logFile) reserve(end int64) {
	if end <= f.reserved {
		return
	}
	more := max(end-f.reserved, min(max(end, minReserve), maxReserve))
	_ = f.File.Preallocate(f.reserved, more)
	f.reserved += more
}

// Preallocate implements vfs.File. The database would set aside more than a whole
// memtable for each log, at the second write to a small store already, and it keeps
// several logs; reserve does it as the log grows.
func (f *logFile) Preallocate(int64, int64) error { return nil }

// liveLogs are the logs that are open for writing, by their names. A backup
// reads such a log while it is written: it would find the zeros, or the rest of
// an older log, at its end, and behind them what was written since. To the
// database that is a log with a hole, and it does not open one. So no more is
// read of a live log than was written when its reading began.
type liveLogs struct {
	mu     sync.Mutex
	byName map[string]*logFile
}

func (l *liveLogs) add(name string, f *logFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byName[name] = f
}

// remove forgets a log, unless another one has its name by now.
func (l *liveLogs) remove(name string, f *logFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byName[name] == f {
		delete(l.byName, name)
	}
}

// end returns how much of a log is written, in bytes, and whether it is live.
func (l *liveLogs) end(name string) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.byName[name]
	if f == nil {
		return 0, false
	}
	return f.end.Load(), true
}

// liveLog is a logFile that is listed as long as it is open.
type liveLog struct {
	*logFile
	name string
	logs *liveLogs
}

// Close implements vfs.File.
func (f liveLog) Close() error {
	f.logs.remove(f.name, f.logFile)
	return f.logFile.Close()
}

// logPrefix reads the beginning of a log.
type logPrefix struct {
	vfs.File
	beginning io.Reader
}

// Read implements vfs.File.
func (f logPrefix) Read(p []byte) (int, error) { return f.beginning.Read(p) }
