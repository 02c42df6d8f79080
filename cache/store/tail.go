package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// Tail is the end of a job's log as readers may see it.
type Tail struct {
	Organization string
	Sequence     uint64
	ID           string // of the last checkpoint
	// Status is the job's after that checkpoint; empty while later ones are on
	// their way to disk, or are there behind a hole of a copy.
	Status checkpoint.JobStatus
}

// Tail returns the end of a job's log, or ErrNotFound if there is none on disk.
func (s *Store) Tail(job string) (Tail, error) {
	record, err := s.jobRecord(job)
	if err != nil {
		return Tail{}, err
	}
	t := Tail{Organization: record.Organization, Sequence: s.visible(job, record.Count)}
	if t.Sequence == 0 {
		return Tail{}, ErrNotFound
	}
	if t.Sequence == record.Count && !record.hasHole() {
		t.Status = record.Status
	}
	err = s.Scan(job, t.Sequence, t.Sequence, func(e Entry) (bool, error) {
		t.ID = e.ID
		return false, nil
	})
	if err == nil && t.ID == "" {
		err = ErrNotFound // deleted meanwhile
	}
	return t, err
}

// ReadFrom calls visit for the checkpoints of a job from a sequence on, in
// order, until it returns false or there are no more. The JSON is valid only
// during the call. It does not check what is on disk: the caller must not use
// what lies beyond the job's Tail. visit must not block: the read pins files of
// the database.
func (s *Store) ReadFrom(job string, from uint64, visit func(Checkpoint) bool) (err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: numberKey(job, kindCheckpoint, from),
		UpperBound: dataKeyAfter(job, kindCheckpoint),
	})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	src := partSource{s: s, job: job}
	defer src.close()
	var buf []byte
	for ok := it.First(); ok; ok = it.Next() {
		sequence, _ := keyNumber(it.Key())
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		record, rest, err := decodeCheckpointRecord(v)
		if err == nil {
			buf, err = src.rebuild(&record, rest, buf[:0])
		}
		if err != nil {
			return fmt.Errorf("checkpoint %d of job %s: %w", sequence, job, err)
		}
		if !visit(Checkpoint{ID: record.id, Sequence: sequence, JSON: buf}) {
			return nil
		}
	}
	return nil
}
