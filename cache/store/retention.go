package store

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Retention says which jobs may go. A whole job goes at once. A live one of the
// store's own never does; a copy may, by size, for it can be asked for again.
type Retention struct {
	// Age is how long a job is kept after it ended; 0 keeps it for ever.
	Age time.Duration
	// Size is the most that all jobs together may take, in bytes as written;
	// beyond it go the jobs that ended first, and copies as if they had ended
	// when they were last written to. 0 is without limit.
	Size uint64
	// Abandon is how long after its last checkpoint a job that never ended
	// counts as ended, because its runtime must have crashed.
	Abandon time.Duration
	// InUse, if set, reports whether a copy has subscribers, who would miss it:
	// it then stays.
	InUse func(job string) bool
}

// endedAt returns when a job ended, or false if it is live.
func (r Retention) endedAt(j JobRecord, now time.Time) (time.Time, bool) {
	if j.Status.Ended() {
		return time.UnixMilli(j.EndedAt), true
	}
	if r.Abandon > 0 {
		if end := time.UnixMilli(j.LastAt).Add(r.Abandon); !end.After(now) {
			return end, true
		}
	}
	return time.Time{}, false
}

// candidate is a job that may go.
type candidate struct {
	id    string
	since time.Time // when it ended, or a copy was last written to
	ended bool
	bytes uint64
}

// candidate returns a job as one that may go, or false if it must stay.
func (r Retention) candidate(id string, j JobRecord, now time.Time) (candidate, bool) {
	at, ended := r.endedAt(j, now)
	if j.Copied {
		at = time.UnixMilli(j.LastAt)
		if r.InUse != nil && r.InUse(id) {
			return candidate{}, false
		}
	}
	return candidate{id, at, ended, j.Bytes}, ended || j.Copied
}

// retainBatch is how many jobs are deleted at once: so many are locked during the
// sync, and so many share what the read after a deletion costs.
const retainBatch = 256

// Retain deletes what the retention lets go at the given time and returns how
// many jobs that were. forget is called after each with its id. It stops early when
// the context ends.
func (s *Store) Retain(ctx context.Context, r Retention, now time.Time, forget func(job string)) (int, error) {
	if r.Age == 0 && r.Size == 0 {
		return 0, nil
	}
	var (
		total uint64
		may   []candidate
	)
	err := s.Jobs(func(id string, j JobRecord) bool {
		total += j.Bytes
		if c, ok := r.candidate(id, j, now); ok {
			may = append(may, c)
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(may, func(a, b candidate) int { return a.since.Compare(b.since) })
	var gone []deletedJob
	for len(may) > 0 && ctx.Err() == nil {
		var next []candidate
		next, may = r.next(may, total, now)
		batch, err := s.deleteListed(r, next, now)
		if err != nil {
			return len(gone), err
		}
		for _, j := range batch {
			total -= min(total, j.bytes)
			forget(j.id)
		}
		gone = append(gone, batch...)
	}
	if s.LowSpace() {
		slices.SortFunc(gone, func(a, b deletedJob) int { return cmp.Compare(b.bytes, a.bytes) })
		s.reclaim.add(gone)
	}
	return len(gone), nil
}

// next takes from the candidates those that go together and returns the others. It
// takes no more for their size than are enough if all of them go.
func (r Retention) next(may []candidate, total uint64, now time.Time) (next, rest []candidate) {
	left := total
	for i, c := range may {
		tooOld := r.Age > 0 && c.ended && now.Sub(c.since) >= r.Age
		switch {
		case len(next) == retainBatch, !tooOld && r.tooMuch(total) && !r.tooMuch(left):
			return next, may[i:]
		case tooOld || r.tooMuch(left):
			next = append(next, c)
			left -= min(left, c.bytes)
		}
	}
	return next, nil
}

func (r Retention) tooMuch(total uint64) bool { return r.Size > 0 && total > r.Size }

// deleteListed deletes candidates but for those that have been continued since
// they were listed.
func (s *Store) deleteListed(r Retention, of []candidate, now time.Time) ([]deletedJob, error) {
	ids, since := make([]string, len(of)), make(map[string]time.Time, len(of))
	for i, c := range of {
		ids[i], since[c.id] = c.id, c.since
	}
	return s.deleteAll(ids, func(id string, j JobRecord) bool {
		again, ok := r.candidate(id, j, now)
		return ok && again.since.Equal(since[id])
	})
}
