package store

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// deletedJob is a job that was deleted.
type deletedJob struct {
	id    string
	bytes uint64 // what its record counted
}

// Delete removes a job with all its checkpoints and waits until that is on
// disk. Its space comes back in the background. A later append under the same id
// begins a new job. It fails with ErrNotFound if there is no such job.
func (s *Store) Delete(id string) error {
	deleted, err := s.deleteAll([]string{id}, func(string, JobRecord) bool { return true })
	if err != nil {
		return err
	}
	if len(deleted) == 0 {
		return ErrNotFound
	}
	s.reclaim.add(deleted)
	return nil
}

// deleteIf removes a job if its record, read under the job's lock, is still
// one that may go.
func (s *Store) deleteIf(id string, may func(JobRecord) bool) (bool, error) {
	found := false
	deleted, err := s.deleteAll([]string{id}, func(_ string, j JobRecord) bool {
		found = true
		return may(j)
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return len(deleted) > 0, err
}

// deleteAll removes those jobs that exist and whose records, read under their
// locks, may go, in one batch: all of them or, after an error, none. All records
// are read before anything is deleted, because the first read after a range
// deletion costs the more the more of them the memtable has. The result has the
// order of the ids.
func (s *Store) deleteAll(ids []string, may func(id string, record JobRecord) bool) ([]deletedJob, error) {
	jobs := make(map[string]*Job) // that go, locked
	defer func() {
		for _, j := range jobs {
			j.Unlock()
			j.Release()
		}
	}()
	batch := s.db.NewBatch()
	// In order, so that two who do this do not wait for each other.
	for _, id := range slices.Sorted(slices.Values(ids)) {
		j := s.Hold(id)
		if err := j.Lock(); err != nil {
			j.Release()
			return nil, err
		}
		if !j.exists || !may(id, j.record) {
			j.Unlock()
			j.Release()
			continue
		}
		jobs[id] = j
		start, end := dataRange(id)
		_ = batch.DeleteRange(start, end, nil)
		_ = batch.Delete(jobKey(id), nil)
		if key := j.record.listed(id); key != nil {
			_ = batch.Delete(key, nil)
		}
	}
	if len(jobs) == 0 {
		return nil, batch.Close()
	}
	if s.failed.Load() != nil {
		return nil, s.Err()
	}
	// Unlike an append this waits under the lock: what follows must not be
	// numbered from 1 on before the old checkpoints are gone for good. Space
	// is made by it, so it is not refused when there is little.
	if err := s.apply(batch); err != nil {
		return nil, err
	}
	var deleted []deletedJob
	for _, id := range ids {
		j := jobs[id]
		if j == nil {
			continue
		}
		deleted = append(deleted, deletedJob{id, j.record.Bytes})
		j.record, j.exists = JobRecord{}, false
		j.restart()
		s.lines.drop(id)
	}
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return nil, s.Err()
	}
	if s.LowSpace() {
		// No append will fill the memtable, so nothing else would bring the
		// deletion to the tables soon, where it gives space back.
		if _, err := s.db.AsyncFlush(); err != nil {
			s.log.Warn("cannot flush after a deletion; its space comes back later", "jobs", len(deleted), "error", err)
		}
	}
	return deleted, batch.Close()
}

// Jobs calls visit for each job until it returns false, in the order of their
// ids, with the record as last applied.
func (s *Store) Jobs(visit func(id string, record JobRecord) bool) error {
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{spaceJob},
		UpperBound: []byte{spaceJob + 1},
	})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		id := string(it.Key()[1:])
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		record, err := decodeJobRecord(v)
		if err != nil {
			return fmt.Errorf("record of job %s: %w", id, err)
		}
		if !visit(id, record) {
			return nil
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	return nil
}
