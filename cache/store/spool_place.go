package store

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// checkpointDocument is a copy as a plan wants it, in memory of its own.
func checkpointDocument(c Copy) checkpoint.Document {
	return checkpoint.Document{JSON: bytes.Clone(c.JSON), Parts: c.Located.Parts}
}

// removePlace takes the checkpoint at a place out of a copy: those behind it move
// up, for the places of a log have no gaps. It costs as much as rewriting their
// records. It returns the job's record after it; rearranged commits. The job's
// lock must be held.
func (j *Job) removePlace(batch *pebble.Batch, place uint64) (JobRecord, error) {
	s, record := j.store, j.record
	before := record.Count
	err := j.eachOf(kindCheckpoint, numberKey(j.id, kindCheckpoint, place+1), func(key, value []byte) error {
		at, _ := keyNumber(key)
		return batch.Set(numberKey(j.id, kindCheckpoint, at-1), value, nil)
	})
	if err != nil {
		return record, err
	}
	_ = batch.Delete(numberKey(j.id, kindCheckpoint, record.Copy.Highest), nil)
	err = j.eachOf(kindID, dataKey(j.id, kindID), func(key, value []byte) error {
		r := newReader(value)
		at, _ := r.uint(), r.uint()
		switch {
		case r.err != nil:
			return r.err
		case at == place:
			return batch.Delete(key, nil)
		case at > place:
			return batch.Set(key, placeValue(at-1, r.string()), nil)
		}
		return nil
	})
	if err != nil {
		return record, err
	}
	record.Copy.Highest--
	switch {
	case record.CoordinatorAt == place:
		record.CoordinatorAt = 0
	case record.CoordinatorAt > place:
		record.CoordinatorAt--
	}
	if before < place {
		return record, nil
	}
	record.Count--
	record.uncounted()
	record.Copy.LastID, record.Status, record.EndedAt = "", "", 0
	if record.Count == 0 {
		return record, nil
	}
	last := before
	if last == place {
		last--
	}
	entry, err := s.Entry(j.id, last)
	if err != nil {
		return record, err
	}
	record.Copy.LastID = entry.ID
	if _, record.Status, err = s.copyOf(j.id, entry.ID); err != nil {
		return record, err
	}
	if record.Status.Ended() {
		record.EndedAt = time.Now().UnixMilli()
	}
	return record, nil
}

// rearranged commits a batch after removePlace. A copy without checkpoints is no
// job any more. The job's lock must be held.
func (j *Job) rearranged(batch *pebble.Batch, record JobRecord) error {
	s := j.store
	exists := record.Copy.Highest > 0 || record.Copy.Loose > 0
	if exists {
		_ = batch.Set(jobKey(j.id), record.encode(nil), nil)
	} else {
		record = JobRecord{}
		start, end := dataRange(j.id)
		_ = batch.DeleteRange(start, end, nil)
		_ = batch.Delete(jobKey(j.id), nil)
	}
	if err := s.commit(batch); err != nil {
		return err
	}
	j.record, j.exists = record, exists
	s.lines.drop(j.id)
	if !exists {
		j.restart()
	}
	return nil
}

// eachOf calls visit for the keys of one kind of the job, from one on.
func (j *Job) eachOf(kind byte, from []byte, visit func(key, value []byte) error) (err error) {
	it, err := j.store.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: dataKeyAfter(j.id, kind)})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		if err := visit(it.Key(), value); err != nil {
			return err
		}
	}
	return nil
}
