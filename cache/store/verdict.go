package store

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// spaceVerdict is the key space of what an upstream has allowed to whom:
//
//	v  <SHA-256 of the credential> <job>       time of the verdict, milliseconds
//
// The credential itself is nowhere in the store.
const spaceVerdict = 'v'

// Verdicts keeps the verdicts of an upstream over restarts. The credential is a
// hash of 32 bytes, the job an id.
type Verdicts struct{ store *Store }

// Verdicts returns the store's verdicts.
func (s *Store) Verdicts() Verdicts { return Verdicts{s} }

func verdictKey(credential [32]byte, job string) []byte {
	k := append(make([]byte, 0, maxKey), spaceVerdict)
	return append(append(k, credential[:]...), job...)
}

// Load returns when a credential was last known to be accepted for a job, and
// false if there is no such verdict.
func (v Verdicts) Load(credential [32]byte, job string) (at time.Time, ok bool, err error) {
	value, err := v.store.get(verdictKey(credential, job))
	if value == nil {
		return time.Time{}, false, err
	}
	at, err = decodeVerdict(value)
	return at, err == nil, err
}

// Save keeps a verdict. It is not synced: one that a crash takes is asked for
// again.
func (v Verdicts) Save(credential [32]byte, job string, at time.Time) error {
	if err := v.store.Err(); err != nil {
		return err
	}
	batch := v.store.db.NewBatch()
	defer batch.Close()
	w := newWriter(16)
	w.int(at.UnixMilli())
	_ = batch.Set(verdictKey(credential, job), w, nil)
	return v.store.applyUnsynced(batch)
}

// Delete removes a verdict, also while there is little space. When it returns no
// later Load finds it; wait, which must be called, blocks until that is on disk.
func (v Verdicts) Delete(credential [32]byte, job string) (wait func() error, err error) {
	s := v.store
	if s.failed.Load() != nil {
		return nil, s.Err()
	}
	batch := s.db.NewBatch()
	_ = batch.Delete(verdictKey(credential, job), nil)
	if err := s.apply(batch); err != nil {
		return nil, err
	}
	return func() error {
		if err := batch.SyncWait(); err != nil {
			s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
			return s.Err()
		}
		return batch.Close()
	}, nil
}

// Each calls visit for the verdicts of a credential until it returns false, in
// the order of the jobs' ids. visit must not block: the read pins files of the
// database.
func (v Verdicts) Each(credential [32]byte, visit func(job string, at time.Time) bool) error {
	prefix := verdictKey(credential, "")
	return v.each(prefix, append(prefix[:len(prefix):len(prefix)], 0xff), func(key []byte, at time.Time) (bool, error) {
		return visit(string(key[len(prefix):]), at), nil
	})
}

// maxExpired bounds what one Expire holds in memory.
const maxExpired = 1 << 14

// Expire removes the verdicts of before a time, at most 16,384 of them, and
// returns how many those were. It is not synced.
func (v Verdicts) Expire(before time.Time) (removed int, err error) {
	s := v.store
	if s.failed.Load() != nil {
		return 0, s.Err()
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	err = v.each([]byte{spaceVerdict}, []byte{spaceVerdict + 1}, func(key []byte, at time.Time) (bool, error) {
		if at.Before(before) {
			removed++
			return removed < maxExpired, batch.Delete(key, nil)
		}
		return true, nil
	})
	if err != nil || removed == 0 {
		return 0, err
	}
	return removed, s.applyUnsynced(batch)
}

// each calls visit for the verdicts in a range of keys until it returns false or
// an error.
func (v Verdicts) each(low, high []byte, visit func(key []byte, at time.Time) (bool, error)) error {
	it, err := v.store.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		at, err := decodeVerdict(value)
		if err != nil {
			return err
		}
		if more, err := visit(it.Key(), at); err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	return nil
}

func decodeVerdict(value []byte) (time.Time, error) {
	r := newReader(value)
	at := r.int()
	if r.err != nil {
		return time.Time{}, fmt.Errorf("verdict: %w", r.err)
	}
	return time.UnixMilli(at), nil
}
