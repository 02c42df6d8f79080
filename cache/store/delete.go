package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Delete removes a job with all its checkpoints and waits until that is on
// disk. A later append under the same id begins a new job. It fails with
// ErrNotFound if there is no such job.
func (s *Store) Delete(id string) error {
	_, err := s.deleteIf(id, func(JobRecord) bool { return true })
	return err
}

// deleteIf removes a job if its record, read under the job's lock, is still
// one that may go.
func (s *Store) deleteIf(id string, may func(JobRecord) bool) (deleted bool, err error) {
	j := s.Hold(id)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return false, err
	}
	defer j.Unlock()
	if !j.exists {
		return false, ErrNotFound
	}
	if !may(j.record) {
		return false, nil
	}
	if cause := s.failed.Load(); cause != nil {
		return false, s.Err()
	}
	batch := s.db.NewBatch()
	start, end := dataRange(id)
	_ = batch.DeleteRange(start, end, nil)
	_ = batch.Delete(jobKey(id), nil)
	if key := j.record.listed(id); key != nil {
		_ = batch.Delete(key, nil)
	}
	// Unlike an append this waits under the lock: what follows must not be
	// numbered from 1 on before the old checkpoints are gone for good. Space
	// is made by it, so it is not refused when there is little.
	if err := s.apply(batch); err != nil {
		return false, err
	}
	j.record, j.exists = JobRecord{}, false
	j.restart()
	s.lines.drop(id)
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return false, s.Err()
	}
	if s.LowSpace() {
		// No append will fill the memtable, so nothing else would bring the
		// deletion to the tables, where it gives space back.
		if _, err := s.db.AsyncFlush(); err != nil {
			s.log.Warn("cannot flush after a deletion; its space comes back later", "job", id, "error", err)
		}
	}
	return true, batch.Close()
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
