package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Settled is what the end of a letter means for the copy of its job.
type Settled struct {
	// Place is where the upstream's checkpoint stands in the copy now, 0 if the
	// letter ended otherwise or the copy is gone.
	Place uint64
	// Drained says that the job has no more letters to be delivered.
	Drained bool
	// Moved says that the places of checkpoints in the copy have changed: who
	// watches the job has to begin anew.
	Moved bool
	// Strange says that the upstream's job is not the one that the copy is of.
	Strange bool
}

// update runs change on the letter under the lock of its job and tells whether the
// job is drained. It does nothing if the letter is gone or is not the same any
// more.
func (p *Spool) update(l Letter, change func(*Job, *Letter) (Settled, error)) (Settled, error) {
	s := p.store
	j := s.Hold(l.Job)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return Settled{}, err
	}
	defer j.Unlock()
	if s.failed.Load() != nil {
		return Settled{}, s.Err()
	}
	var done Settled
	if have := p.find(l.Job, l.number); have != nil && have.Dead == l.Dead && have.order == l.order {
		var err error
		if done, err = change(j, have); err != nil {
			return Settled{}, err
		}
	}
	done.Drained = !p.Pending(l.Job)
	return done, nil
}

// forgotten takes a letter that is no more in the store out of the memory.
func (p *Spool) forgotten(l *Letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(l)
	p.bytes -= int64(l.Size)
}

func (l *Letter) erase(batch *pebble.Batch) {
	_ = batch.Delete(letterKey(spaceLetter, l.Job, l.number), nil)
	_ = batch.Delete(letterKey(spaceBody, l.Job, l.number), nil)
}

// Deliver ends a letter that the upstream has taken. In one batch, the upstream's
// checkpoint takes the place of ours, both ids lead to it, and the letter is gone.
func (p *Spool) Deliver(l Letter, c Copy) (Settled, error) {
	return p.update(l, func(j *Job, l *Letter) (Settled, error) {
		done, err := j.deliver(l, c)
		if err != nil {
			return done, fmt.Errorf("cannot settle letter %s of job %s: %w", l.ID, l.Job, err)
		}
		p.forgotten(l)
		return done, nil
	})
}

// deliver is Deliver under the job's lock.
func (j *Job) deliver(l *Letter, c Copy) (done Settled, err error) {
	s, id := j.store, c.Located.ID
	batch := s.db.NewBatch()
	defer batch.Close()
	l.erase(batch)
	place, _, err := s.copyOf(j.id, l.ID)
	if err != nil {
		return done, err
	}
	r, err := s.relation(j.id)
	if err != nil {
		return done, err
	}
	if place == 0 || r == nil {
		// The copy is gone. What is to be known of the upstream's, it will say.
		return done, s.commit(batch)
	}
	known, _, err := s.copyOf(j.id, id)
	if err != nil {
		return done, err
	}
	r.Pending--
	if known > 0 && known != place {
		// It has come by another way before. The upstream's stands already.
		if known > place {
			known--
		}
		done.Place, done.Moved = known, true
		record, err := j.removePlace(batch, place)
		if err != nil {
			return done, err
		}
		_ = batch.Set(bytesKey(j.id, kindID, l.ID), placeValue(known, ""), nil)
		_ = batch.Set(bytesKey(j.id, kindLocal, l.ID), append(newWriter(32), id...), nil)
		r.put(batch, j.id)
		return done, j.rearranged(batch, record)
	}
	done.Place, done.Strange = place, r.arrived(c.Located.Sequence, place, id)
	return done, j.replace(batch, r, l, c, place)
}

// placeValue is the value under the id of a copy's checkpoint.
func placeValue(place uint64, status string) []byte {
	v := newWriter(32)
	v.uint(place)
	v.uint(0) // its run is not known here
	v.string(status)
	return v
}

// replace puts the upstream's checkpoint at the place of ours.
func (j *Job) replace(batch *pebble.Batch, r *relation, l *Letter, c Copy, place uint64) error {
	s, at := j.store, &c.Located
	previous, err := j.previous(at.Line)
	if err != nil {
		return err
	}
	record := j.record
	w := scratches.Get().(*scratch)
	defer w.release()
	p := makePlan(w, checkpointDocument(c), previous, record.Parts)
	p.record.id, p.record.summary = at.ID, at.Summary()
	stored := 0
	set := func(key, value []byte) {
		stored += len(key) + len(value)
		_ = batch.Set(key, value, nil)
	}
	if p.parts != nil {
		set(numberKey(j.id, kindParts, p.first), p.parts)
	}
	set(numberKey(j.id, kindCheckpoint, place), p.record.encode(w.value))
	status := string(at.JobStatus())
	set(bytesKey(j.id, kindID, at.ID), placeValue(place, status))
	set(bytesKey(j.id, kindID, l.ID), placeValue(place, status))
	set(bytesKey(j.id, kindLocal, l.ID), append(newWriter(32), at.ID...))
	r.put(batch, j.id)
	if record.Count == place {
		record.Copy.LastID, record.Status, record.EndedAt = at.ID, at.JobStatus(), 0
		if record.Status.Ended() {
			record.EndedAt = c.At.UnixMilli()
		}
	}
	record.Parts += uint64(p.fresh)
	record.Bytes += uint64(stored)
	record.LastAt = c.At.UnixMilli()
	_ = batch.Set(jobKey(j.id), record.encode(nil), nil)
	if err := s.commit(batch); err != nil {
		return err
	}
	j.record = record
	return nil
}
