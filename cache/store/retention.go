package store

import (
	"context"
	"errors"
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

// Retain deletes what the retention lets go at the given time and returns how
// many jobs that were. forget is called after each with its id. It stops early when
// the context ends.
func (s *Store) Retain(ctx context.Context, r Retention, now time.Time, forget func(job string)) (deleted int, err error) {
	if r.Age == 0 && r.Size == 0 {
		return 0, nil
	}
	var (
		total uint64
		may   []candidate
	)
	err = s.Jobs(func(id string, j JobRecord) bool {
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
	for _, c := range may {
		if ctx.Err() != nil {
			break
		}
		tooOld := r.Age > 0 && c.ended && now.Sub(c.since) >= r.Age
		tooMuch := r.Size > 0 && total > r.Size
		if !tooOld && !tooMuch {
			continue
		}
		// The job may have been continued since it was listed.
		gone, err := s.deleteIf(c.id, func(j JobRecord) bool {
			again, ok := r.candidate(c.id, j, now)
			return ok && again.since.Equal(c.since)
		})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return deleted, err
		}
		if gone {
			deleted++
			total -= c.bytes
			forget(c.id)
		}
	}
	return deleted, nil
}
