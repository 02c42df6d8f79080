package store

import (
	"fmt"
	"time"
)

// Refuse notes that the upstream has refused a letter for good. It stays, with its
// checkpoint in the copy, but is not delivered any more.
func (p *Spool) Refuse(l Letter, status int, refusal []byte, at time.Time) (Settled, error) {
	return p.turn(l, func(l *Letter, r *relation) {
		l.Dead, l.Status, l.RefusedAt = true, status, at.Truncate(time.Millisecond)
		l.Refusal = refusal[:min(len(refusal), MaxRefusal)]
		r.Pending--
		r.Dead++
	})
}

// Retry puts a letter that was refused behind those of its job that are to be
// delivered. Its checkpoint keeps its place in the copy.
func (p *Spool) Retry(l Letter) error {
	p.mu.Lock()
	order := p.next
	p.next++
	p.mu.Unlock()
	if !l.Dead {
		return nil
	}
	_, err := p.turn(l, func(l *Letter, r *relation) {
		l.Dead, l.Status, l.Refusal, l.RefusedAt = false, 0, nil, time.Time{}
		l.order = order
		r.Pending++
		r.Dead--
	})
	return err
}

// turn changes a letter between pending and dead.
func (p *Spool) turn(l Letter, change func(*Letter, *relation)) (Settled, error) {
	return p.update(l, func(j *Job, l *Letter) (Settled, error) {
		s := j.store
		place, _, err := s.copyOf(l.Job, l.ID)
		if err != nil {
			return Settled{}, err
		}
		r, err := s.relation(l.Job)
		if err != nil {
			return Settled{}, err
		}
		batch := s.db.NewBatch()
		defer batch.Close()
		next := *l
		if place == 0 || r == nil {
			// The copy is gone. One that has come after it counts its own letters.
			change(&next, new(relation))
		} else {
			change(&next, r)
			r.put(batch, l.Job)
		}
		_ = batch.Set(letterKey(spaceLetter, l.Job, l.number), next.encode(), nil)
		if err := s.commit(batch); err != nil {
			return Settled{}, fmt.Errorf("cannot change letter %s of job %s: %w", l.ID, l.Job, err)
		}
		next.Refusal = nil
		p.mu.Lock()
		defer p.mu.Unlock()
		p.remove(l)
		p.insert(&next)
		return Settled{}, nil
	})
}
