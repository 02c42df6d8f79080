package store

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Retention says which ended jobs may go. A whole job goes at once; a live one
// never does.
type Retention struct {
	// Age is how long a job is kept after it ended; 0 keeps it for ever.
	Age time.Duration
	// Size is the most that all jobs together may take, in bytes as written;
	// beyond it the jobs that ended first go. 0 is without limit.
	Size uint64
	// Abandon is how long after its last checkpoint a job that never ended
	// counts as ended, because its runtime must have crashed.
	Abandon time.Duration
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

// Retain deletes what the retention lets go at the given time and returns how
// many jobs that were. forget is called after each with its id. It stops early when
// the context ends.
func (s *Store) Retain(ctx context.Context, r Retention, now time.Time, forget func(job string)) (deleted int, err error) {
	if r.Age == 0 && r.Size == 0 {
		return 0, nil
	}
	type candidate struct {
		id    string
		ended time.Time
		bytes uint64
	}
	var (
		total uint64
		ended []candidate
	)
	err = s.Jobs(func(id string, j JobRecord) bool {
		total += j.Bytes
		if at, ok := r.endedAt(j, now); ok {
			ended = append(ended, candidate{id, at, j.Bytes})
		}
		return ctx.Err() == nil
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(ended, func(a, b candidate) int { return a.ended.Compare(b.ended) })
	for _, c := range ended {
		if ctx.Err() != nil {
			break
		}
		tooOld := r.Age > 0 && now.Sub(c.ended) >= r.Age
		tooMuch := r.Size > 0 && total > r.Size
		if !tooOld && !tooMuch {
			break
		}
		// The job may have been continued since it was listed.
		gone, err := s.deleteIf(c.id, func(j JobRecord) bool {
			at, ok := r.endedAt(j, now)
			return ok && at.Equal(c.ended)
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
