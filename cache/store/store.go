// Package store is the durable tier: checkpoints in an embedded Pebble
// database.
//
// It promises that an append whose Commit.Wait returned nil survives a crash
// of the machine; that no read shows what is not yet on disk; that the
// sequences of a job are dense; that a checkpoint reads back as the same
// bytes; and that it takes space for what is new in it, not for what it
// repeats. Concurrent appends, of one job or of many, share syncs.
//
// Locks, in the order in which they may be taken: a Job's lock, then the
// registry's, then that of the lines, and that of a Spool. Who deletes several
// jobs takes their locks in the order of their ids. None is held while waiting for
// a sync, but for the job's own while it is deleted or spooled.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Errors that callers tell apart.
var (
	// ErrNotFound says that there is no such job or checkpoint.
	ErrNotFound = errors.New("not found")
	// ErrLowSpace says that the disk is below the free-space watermark: reads
	// go on, writes are refused until there is space again.
	ErrLowSpace = errors.New("disk space is below the watermark")
	// ErrFailed says that the database met an error it cannot go on from.
	ErrFailed = errors.New("store has failed")
)

// Options configure a Store. The zero value of each field but Dir is usable.
type Options struct {
	// Dir is the data directory. The database is in its folder db.
	Dir string
	// FS is the file system, the machine's by default. Tests put faults there.
	FS vfs.FS

	// BlockCache is the memory for uncompressed blocks of tables, in bytes
	// (default 64 MiB).
	BlockCache int64
	// MemTable is the size of a memtable in bytes (default 32 MiB: with 4 MiB
	// writes are half as fast, their tail twenty times as long; with 64 MiB they
	// are no faster).
	MemTable uint64
	// AppendMemory bounds the last checkpoints kept to compare the next with,
	// in bytes (default 64 MiB).
	AppendMemory int64

	// MinFree is the free space in bytes below which appends fail with
	// ErrLowSpace. 0 turns the watermark off.
	MinFree uint64
	// Ballast is the size of a file that is given up when the disk is full all
	// the same, so that the database can finish what it has begun. 0: none.
	Ballast int64
	// CheckInterval is how often free space is looked at (default 1 s).
	CheckInterval time.Duration

	// Logger takes what the database and the store have to say.
	Logger *slog.Logger
	// Fatal is called once when the database cannot go on. After it returns,
	// appends fail with ErrFailed. By default the process exits with status 1,
	// since what was acknowledged is safe and only a restart can go on.
	Fatal func(error)
	// CommitObserver, if set, is told how long each commit took, from apply to
	// synced.
	CommitObserver func(time.Duration)
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.BlockCache == 0 {
		o.BlockCache = 64 << 20
	}
	if o.MemTable == 0 {
		o.MemTable = 32 << 20
	}
	if o.AppendMemory == 0 {
		o.AppendMemory = 64 << 20
	}
	if o.CheckInterval == 0 {
		o.CheckInterval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Fatal == nil {
		o.Fatal = func(error) { os.Exit(1) }
	}
}

// Store is an open data directory. Its methods may be used concurrently.
type Store struct {
	opts   Options
	log    *slog.Logger
	db     *pebble.DB
	cache  *pebble.Cache
	lines  *lines
	disk   *disk
	failed atomic.Pointer[error]

	registry registry
	tickets  ticketSweep
	reclaim  *reclaimer
	stall    atomic.Int64 // write stalls so far

	closeOnce sync.Once
	closeErr  error
}

// databaseDir is the folder of the database within the data directory.
func databaseDir(dir string) string { return filepath.Join(dir, "db") }

// Open opens or creates the data directory. It fails with ErrNewerFormat if a
// newer version of the program wrote it.
func Open(opts Options) (*Store, error) {
	opts.setDefaults()
	s := &Store{opts: opts, log: opts.Logger, lines: newLines(opts.AppendMemory)}
	s.registry.jobs = make(map[string]*Job)
	if err := makeDir(opts.FS, databaseDir(opts.Dir)); err != nil {
		return nil, fmt.Errorf("cannot create data directory %q: %w", opts.Dir, err)
	}
	s.disk = newDisk(&s.opts)
	s.disk.prepare()

	s.cache = pebble.NewCache(cacheSize(&opts))
	db, err := pebble.Open(databaseDir(opts.Dir), s.pebbleOptions())
	if err != nil {
		s.cache.Unref()
		_ = s.disk.health.Close()
		return nil, fmt.Errorf("cannot open the store in %q: %w", opts.Dir, err)
	}
	s.db = db
	if err := s.checkFormat(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot use the store in %q: %w", opts.Dir, err), s.close())
	}
	s.disk.start()
	s.reclaim = startReclaimer(s)
	return s, nil
}

// cacheSize is the size of Pebble's cache in bytes. Pebble takes the memory of
// its memtables out of it and caches blocks in what is left: none at all if the
// cache is no larger than they are. Mostly there are two, the one that is written
// and the one that is flushed or kept for the next, and never more than
// maxMemTables.
func cacheSize(o *Options) int64 { return o.BlockCache + (maxMemTables-1)*int64(o.MemTable) }

// maxMemTables is how many memtables there are when writers wait for a flush.
const maxMemTables = 4

func (s *Store) pebbleOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                          s.opts.FS,
		Cache:                       s.cache,
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                s.opts.MemTable,
		MemTableStopWritesThreshold: maxMemTables,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		// What was deleted takes space until it is flushed, which a server that is
		// written to little would not do for hours.
		FlushDelayDeleteRange: time.Minute,
		MaxOpenFiles:          maxOpenFiles,
		Logger:                logger{s},
		EventListener:         s.events(),
	}
	// Large values are kept apart, so that compactions do not write them again and
	// again. What counts is their size once packed. Steps of a conversation that
	// grows leave about 2 KB each and stay in the tables; it is first checkpoints and
	// large steps that go.
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{
			Enabled: true, MinimumSize: 4 << 10, MaxBlobReferenceDepth: 10,
			RewriteMinimumAge: 5 * time.Minute, TargetGarbageRatio: 0.3,
		}
	}
	// What is large has been packed already, and what is flushed is soon
	// compacted: level 0 is not compressed.
	compression := pebble.DBCompressionBalanced
	compression.Levels[0] = pebble.DBCompressionNone.Levels[0]
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return compression })
	for i := range o.Levels {
		// A look-up goes through the levels until it has found the key, and most of
		// an idempotency key find none: a filter spares it the reading of tables. The
		// last level would have nine tenths of the filters, and the database asks
		// none of them there.
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 32 << 10
	}
	o.Levels[len(o.Levels)-1].FilterPolicy = pebble.NoFilterPolicy
	return o
}

// maxOpenFiles bounds the descriptors that the database keeps open. A store of
// 100 GB has some thousands of files, tables of 32 or 64 MB and the values kept apart
// from them; beyond the bound the one that was read longest ago is closed, and
// opened anew for the next read. With the 16,384 connections of
// server.max_connections, and a hundred for everything else, a process needs 20,600
// at most.
const maxOpenFiles = 4096

// Close stops the background work and closes the database. What was
// acknowledged is on disk already; the flush only makes the next start quick.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.reclaim.cancel()
		s.disk.stop()
		<-s.reclaim.done
		if s.failed.Load() == nil && !s.LowSpace() {
			if err := s.db.Flush(); err != nil {
				s.log.Warn("flush before closing failed; the next start replays the log instead", "error", err)
			}
		}
		s.closeErr = s.close()
	})
	return s.closeErr
}

func (s *Store) close() error {
	err := s.db.Close()
	s.cache.Unref()
	return errors.Join(err, s.disk.health.Close())
}

// LowSpace reports whether writes are refused for lack of disk space.
func (s *Store) LowSpace() bool { return s.disk.low.Load() }

// Err returns why writes are refused: ErrLowSpace, ErrFailed with its cause, or
// nil.
func (s *Store) Err() error {
	if cause := s.failed.Load(); cause != nil {
		return fmt.Errorf("%w: %w", ErrFailed, *cause)
	}
	if s.LowSpace() {
		return ErrLowSpace
	}
	return nil
}

// fail marks the store as failed and lets the owner end the process.
func (s *Store) fail(err error) {
	if s.failed.CompareAndSwap(nil, &err) {
		s.log.Error("the store cannot go on; everything acknowledged is on disk, restart after mending the cause",
			"dir", s.opts.Dir, "error", err)
		s.opts.Fatal(err)
	}
}
