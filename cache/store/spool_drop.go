package store

import (
	"errors"
	"fmt"
	"slices"
)

// Drop removes a letter, and its checkpoint from the copy: who asks for it finds
// nothing any more. What the upstream may have of it stays there.
func (p *Spool) Drop(l Letter) (Settled, error) {
	return p.update(l, func(j *Job, l *Letter) (done Settled, err error) {
		s := j.store
		batch := s.db.NewBatch()
		defer batch.Close()
		l.erase(batch)
		place, _, err := s.copyOf(j.id, l.ID)
		if err != nil {
			return done, err
		}
		r, err := s.relation(j.id)
		switch {
		case err != nil:
			return done, err
		case place == 0 || r == nil:
			err = s.commit(batch)
		default:
			var record JobRecord
			if record, err = j.removePlace(batch, place); err != nil {
				return done, err
			}
			if l.Dead {
				r.Dead--
			} else {
				r.Pending--
			}
			r.put(batch, j.id)
			_ = batch.Delete(bytesKey(j.id, kindLocal, l.ID), nil)
			done.Moved = true
			err = j.rearranged(batch, record)
		}
		if err != nil {
			return done, fmt.Errorf("cannot drop letter %s of job %s: %w", l.ID, l.Job, err)
		}
		p.forgotten(l)
		return done, nil
	})
}

// Delete removes a job with its letters, and waits until that is on disk. It fails
// with ErrNotFound if there is neither.
func (p *Spool) Delete(job string) error {
	removed, err := p.forget(job)
	if err != nil {
		return err
	}
	if err = p.store.Delete(job); removed && errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// forget removes the letters of a job whose copy goes next.
func (p *Spool) forget(job string) (removed bool, err error) {
	s := p.store
	j := s.Hold(job)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return false, err
	}
	defer j.Unlock()
	p.mu.Lock()
	letters := slices.Clone(p.jobs[job])
	p.mu.Unlock()
	if len(letters) == 0 {
		return false, nil
	}
	r, err := s.relation(job)
	if err != nil {
		return false, err
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	for _, l := range letters {
		l.erase(batch)
	}
	if r != nil {
		// Should the copy not go, its places are not the upstream's.
		r.Pending, r.Dead, r.Apart = 0, 0, true
		r.put(batch, job)
	}
	if err := s.commit(batch); err != nil {
		return false, err
	}
	for _, l := range letters {
		p.forgotten(l)
	}
	return true, nil
}

// DeleteCopy removes the copy of a job, unless something in it is still to be
// delivered, which deleted tells. What the upstream has refused stays in the spool
// alone.
func (p *Spool) DeleteCopy(job string) (deleted bool, err error) {
	deleted, err = p.store.deleteIf(job, func(JobRecord) bool { return !p.Pending(job) })
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return deleted, err
}
