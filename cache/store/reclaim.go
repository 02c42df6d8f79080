package store

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// reclaimer gives the space of deleted jobs back. A deletion is a note that the
// database acts on when it next compacts the tables it covers, and where little
// is written that may be never. So the ranges of deleted jobs are compacted, one
// after the other.
type reclaimer struct {
	store  *Store
	jobs   chan deletedJob
	cancel context.CancelFunc
	done   chan struct{}
}

const (
	// maxReclaims bounds the jobs that wait for it. What finds no place is left to
	// the compactions that come anyway.
	maxReclaims = 64
	// A compaction beside a server that is written to must be worth it: it may touch
	// tables of cheapReclaim bytes, and for a large job more, as often as its bytes.
	cheapReclaim  = 64 << 20
	reclaimFactor = 16
	// levelFactor is how much larger a level of the database is than the one above
	// it: a table is compacted with so many of the next level.
	levelFactor = 10
)

func startReclaimer(s *Store) *reclaimer {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reclaimer{s, make(chan deletedJob, maxReclaims), cancel, make(chan struct{})}
	go r.run(ctx)
	return r
}

// add never blocks.
func (r *reclaimer) add(jobs []deletedJob) {
	for _, j := range jobs {
		select {
		case r.jobs <- j:
		default:
			return
		}
	}
}

func (r *reclaimer) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-r.jobs:
			began := time.Now()
			r.compact(ctx, j)
			r.rest(ctx, time.Since(began))
		}
	}
}

// rest waits nine times as long as a compaction took, so that one after the other
// takes a tenth of a core and a disk from the server. While writes are refused
// there is nobody to disturb.
func (r *reclaimer) rest(ctx context.Context, took time.Duration) {
	if r.store.LowSpace() {
		return
	}
	timer := time.NewTimer(9 * took)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// compact compacts the range of a job, unless that costs more than it brings.
func (r *reclaimer) compact(ctx context.Context, j deletedJob) {
	s := r.store
	if s.failed.Load() != nil {
		return
	}
	start, end := dataRange(j.id)
	touched, needed, err := s.compactionCost(start, end)
	low, reserve := s.LowSpace(), s.opts.MinFree
	if low {
		reserve /= 2
	}
	free, known := s.disk.measure()
	switch {
	case err != nil:
	case known && free < needed+reserve:
		s.log.Info("too little free space to compact after a deletion; its space comes back later",
			"job", j.id, "free", free, "needed", needed+reserve)
		return
	case !low && touched > cheapReclaim+reclaimFactor*j.bytes:
		return
	default:
		err = s.write(func() error { return s.db.Compact(ctx, start, end, false) })
	}
	if err != nil && ctx.Err() == nil {
		s.log.Warn("cannot compact after a deletion; its space comes back later", "job", j.id, "error", err)
	}
}

// compactionCost returns the bytes of the tables that have keys of a range, and
// how much more space its compaction may take until it ends, before it gives any
// back: the levels are done one after the other, and the last stays.
func (s *Store) compactionCost(start, end []byte) (touched, needed uint64, err error) {
	levels, err := s.db.SSTables(pebble.WithKeyRangeFilter(start, end))
	if err != nil {
		return 0, 0, err
	}
	for i, tables := range levels {
		var level uint64
		for _, t := range tables {
			level += t.Size
		}
		touched += level
		if i < len(levels)-1 {
			needed = max(needed, level*(1+levelFactor))
		}
	}
	m := s.db.Metrics()
	live := m.Table.Local.LiveSize + m.BlobFiles.Local.LiveSize
	return touched, min(needed, live) + m.MemTable.Size, nil
}
