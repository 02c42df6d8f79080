package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// spaceListed is the key space that finds the jobs of an organization:
//
//	l  <organization> <time of the first checkpoint> <job>   nothing but the format's version
//
// A key is written with the job's first checkpoint and goes with the job. Copies
// of an upstream's jobs have none: they belong to nobody here.
const spaceListed = 'l'

// listedKey returns the key of a job. A time before the epoch comes before one
// after it.
func listedKey(organization string, firstAt int64, job string) []byte {
	k := append(make([]byte, 0, 1+2*checkpoint.IDLen+8), spaceListed)
	k = append(k, organization...)
	k = binary.BigEndian.AppendUint64(k, uint64(firstAt)^(1<<63))
	return append(k, job...)
}

// listed returns the key under which the job is listed, nil if it is not.
func (j *JobRecord) listed(id string) []byte {
	if j.Copied || len(j.Organization) != checkpoint.IDLen {
		return nil
	}
	return listedKey(j.Organization, j.FirstAt, id)
}

// JobsOf calls visit for the jobs of an organization in the order in which they
// began, or the other way round, until it returns false. It reads one small key
// for each. A job without a checkpoint on disk is left out. visit must not block:
// the read pins files of the database.
func (s *Store) JobsOf(organization string, descending bool, visit func(job string) bool) (err error) {
	prefix := append([]byte{spaceListed}, organization...)
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: prefix, UpperBound: append(prefix[:len(prefix):len(prefix)], 0xff),
	})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	step, ok := it.Next, false
	if descending {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	for ; ok; ok = step() {
		job := string(it.Key()[len(prefix)+8:])
		if s.visible(job, 1) == 1 && !visit(job) {
			return nil
		}
	}
	return nil
}

// Entry returns what a scan tells of one checkpoint, or ErrNotFound. As Read, it
// does not check whether the checkpoint is on disk.
func (s *Store) Entry(job string, sequence uint64) (Entry, error) {
	v, closer, err := s.db.Get(numberKey(job, kindCheckpoint, sequence))
	if err != nil {
		return Entry{}, notFound(err)
	}
	defer closer.Close()
	record, _, err := decodeCheckpointRecord(v)
	if err != nil {
		return Entry{}, fmt.Errorf("checkpoint %d of job %s: %w", sequence, job, err)
	}
	return Entry{ID: record.id, Sequence: sequence, Summary: record.summary, Size: record.size}, nil
}

// listBatch is how many jobs are listed in one batch of an upgrade.
const listBatch = 10_000

// listJobs lists all jobs, for a store of format 1, which listed none. It may be
// done twice.
func (s *Store) listJobs() error {
	batch := s.db.NewBatch()
	var failed error
	flush := func() {
		if failed == nil {
			failed = s.applyUnsynced(batch) // what marks the format is synced after it
		}
		_ = batch.Close()
		batch = s.db.NewBatch()
	}
	err := s.Jobs(func(id string, j JobRecord) bool {
		if key := j.listed(id); key != nil {
			_ = batch.Set(key, []byte{formatVersion}, nil)
		}
		if batch.Count() >= listBatch {
			flush()
		}
		return failed == nil
	})
	flush()
	return errors.Join(err, failed, batch.Close())
}
