package store

import (
	"bytes"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// PutCopy stores a checkpoint of a job as an upstream gave it. It may come in any
// order and more than once; the first stays. It is there for readers at once, but
// not synced: after a crash it may be gone, and then all that was put later is
// gone, too.
//
// If its sequence has been given to another id, or its id to another sequence,
// the upstream's job was deleted and began anew: all that was there of the job
// goes, which replaced reports. The error is ErrOwnJob, ErrCopyLines, ErrLowSpace
// or ErrFailed, and then nothing has changed, or of reading the store.
func (s *Store) PutCopy(job string, c Copy) (replaced bool, err error) {
	placed, err := s.PlaceCopy(job, c)
	return placed.Replaced, err
}

// Placed is where a checkpoint stands in a copy.
type Placed struct {
	// Place is its sequence in the copy, 0 if it has none: it came without, or is
	// not kept.
	Place uint64
	// Replaced says that all that was there before is gone, as with PutCopy.
	Replaced bool
	// Held says that the copy had it already and keeps what it had.
	Held bool
	// Waits says that it is not kept yet, because the job has checkpoints in the
	// spool, of which it may be one.
	Waits bool
}

// PlaceCopy is PutCopy that tells where the checkpoint stands. That is at its
// sequence, unless the copy has checkpoints that the upstream lacks, or has had
// them: it then goes behind what is there, if it is the upstream's next, and is
// not kept if it is not.
func (s *Store) PlaceCopy(job string, c Copy) (Placed, error) {
	if err := s.Err(); err != nil {
		return Placed{}, err
	}
	if bytes.ContainsAny(c.JSON, "\r\n") {
		return Placed{}, ErrCopyLines
	}
	j := s.Hold(job)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return Placed{}, err
	}
	defer j.Unlock()
	if j.exists && !j.record.Copied {
		return Placed{}, ErrOwnJob
	}
	placed, err := j.placeCopy(c)
	if err != nil {
		return Placed{}, fmt.Errorf("cannot store copy %s of job %s: %w", c.Located.ID, job, err)
	}
	return placed, nil
}

// placeCopy is PlaceCopy under the job's lock.
func (j *Job) placeCopy(c Copy) (Placed, error) {
	if j.exists {
		if r, err := j.store.relation(j.id); err != nil || r != nil {
			if err != nil {
				return Placed{}, err
			}
			return j.placeApart(c, r)
		}
	}
	what, err := j.place(&c)
	if err != nil || what == placeHeld {
		return Placed{Place: c.Located.Sequence, Held: err == nil}, err
	}
	return Placed{Place: c.Located.Sequence, Replaced: what == placeTaken}, j.writeCopy(&c, what, nil, j.store.applyUnsynced)
}

// copyPlace is what is already where a copy belongs.
type copyPlace int

const (
	placeFree  copyPlace = iota // nothing
	placeHeld                   // the same checkpoint
	placeLoose                  // the same checkpoint, whose sequence we now learn
	placeTaken                  // something that contradicts it
)

// place looks at where a copy belongs. The job's lock must be held.
func (j *Job) place(c *Copy) (copyPlace, error) {
	s, id, sequence := j.store, c.Located.ID, c.Located.Sequence
	if !j.exists {
		return placeFree, nil
	}
	known, _, err := s.copyOf(j.id, id)
	switch {
	case err != nil:
		return 0, err
	case known > 0 && (sequence == 0 || sequence == known):
		return placeHeld, nil
	case known > 0:
		return placeTaken, nil
	}
	if sequence > 0 && sequence <= j.record.Copy.Highest {
		v, err := s.get(numberKey(j.id, kindCheckpoint, sequence))
		if err != nil {
			return 0, err
		}
		if v != nil {
			return placeTaken, nil // by another id: this one is not known
		}
	}
	if j.record.Copy.Loose > 0 {
		v, err := s.get(bytesKey(j.id, kindLoose, id))
		switch {
		case err != nil:
			return 0, err
		case v != nil && sequence == 0:
			return placeHeld, nil
		case v != nil:
			return placeLoose, nil
		}
	}
	return placeFree, nil
}

// copyOf returns the sequence of a copy and the job's status after it, 0 if there
// is none under that id.
func (s *Store) copyOf(job, id string) (uint64, checkpoint.JobStatus, error) {
	v, err := s.get(bytesKey(job, kindID, id))
	if v == nil {
		return 0, "", err
	}
	r := newReader(v)
	sequence, _ := r.uint(), r.uint()
	status := checkpoint.JobStatus(r.string())
	return sequence, status, r.err
}

// writeCopy stores a copy that is not there yet, at the place of its sequence, and
// in the same batch what more adds, if it is set. The job's lock must be held.
func (j *Job) writeCopy(c *Copy, place copyPlace, more func(*pebble.Batch), apply func(*pebble.Batch) error) error {
	s, l := j.store, &c.Located
	record := j.record
	var previous *line
	if !j.exists || place == placeTaken {
		record = JobRecord{Copied: true, FirstAt: c.At.UnixMilli()}
	} else {
		var err error
		if previous, err = j.previous(l.Line); err != nil {
			return err
		}
	}
	w := scratches.Get().(*scratch)
	defer w.release()
	doc := checkpoint.Document{JSON: bytes.Clone(c.JSON), Parts: l.Parts}
	p := makePlan(w, doc, previous, record.Parts)
	p.record.id, p.record.summary = l.ID, l.Summary()

	batch := s.db.NewBatchWithSize(len(p.parts) + len(p.record.literal) + 1024)
	defer batch.Close()
	stored := 0
	set := func(key, value []byte) {
		stored += len(key) + len(value)
		// A batch of no indexes does not fail to take a key.
		_ = batch.Set(key, value, nil)
	}
	if place == placeTaken {
		start, end := dataRange(j.id)
		_ = batch.DeleteRange(start, end, nil)
	}
	if p.parts != nil {
		set(numberKey(j.id, kindParts, p.first), p.parts)
	}
	if l.Sequence == 0 {
		set(bytesKey(j.id, kindLoose, l.ID), p.record.encode(w.value))
		record.Copy.Loose++
	} else {
		set(numberKey(j.id, kindCheckpoint, l.Sequence), p.record.encode(w.value))
		v := newWriter(32)
		v.uint(l.Sequence)
		v.uint(0) // its run is not known here
		v.string(string(l.JobStatus()))
		set(bytesKey(j.id, kindID, l.ID), v)
		if place == placeLoose {
			_ = batch.Delete(bytesKey(j.id, kindLoose, l.ID), nil)
			record.Copy.Loose--
		}
		if len(p.next.parts) > 0 {
			if l.Line == (checkpoint.Line{}) {
				record.CoordinatorAt = l.Sequence
			} else {
				// The runs are the upstream's: only the place of what the line's
				// next checkpoint is compared with is kept.
				v := newWriter(16)
				v.string("")
				v.bool(false)
				v.uint(l.Sequence)
				set(runKey(j.id, l.Line), v)
			}
		}
		if err := j.advance(&record, c); err != nil {
			return err
		}
	}
	record.Parts += uint64(p.fresh)
	record.Bytes += uint64(stored)
	record.LastAt = c.At.UnixMilli()
	_ = batch.Set(jobKey(j.id), record.encode(nil), nil)

	if more != nil {
		more(batch)
	}
	if err := apply(batch); err != nil {
		return err
	}
	j.record, j.exists = record, true
	// Nothing of a copy waits for a sync.
	j.durable.Store(math.MaxUint64)
	if place == placeTaken {
		s.lines.drop(j.id)
	}
	if len(p.next.parts) > 0 {
		s.lines.put(j.id, l.Line, p.next)
	}
	return nil
}

// advance moves the end of the part without holes over a copy that is about to be
// stored, and over what stood behind the hole that it fills. Each checkpoint is
// passed once, so that this costs as much as storing them in order.
func (j *Job) advance(record *JobRecord, c *Copy) error {
	l := &c.Located
	highest := record.Copy.Highest
	record.Copy.Highest = max(highest, l.Sequence)
	if l.Sequence != record.Count+1 {
		return nil
	}
	id, end, status := l.ID, l.Sequence, l.JobStatus()
	record.tally(l, l.Sequence)
	if highest > end {
		err := j.store.Scan(j.id, end+1, highest, func(e Entry) (bool, error) {
			if e.Sequence != end+1 {
				return false, nil
			}
			id, end = e.ID, e.Sequence
			return true, j.tallyStored(record, end)
		})
		if err != nil {
			return err
		}
		if end > l.Sequence {
			if _, status, err = j.store.copyOf(j.id, id); err != nil {
				return err
			}
		}
	}
	record.Count, record.Copy.LastID, record.Status = end, id, status
	record.EndedAt = 0
	if status.Ended() {
		record.EndedAt = c.At.UnixMilli()
	}
	return nil
}

// tallyStored counts a checkpoint that was stored before its turn.
func (j *Job) tallyStored(record *JobRecord, sequence uint64) error {
	if record.Copy.Counted != sequence-1 {
		return nil
	}
	json, err := j.store.Outline(j.id, sequence, nil)
	if err != nil {
		return err
	}
	if l, err := checkpoint.Locate(json); err == nil {
		record.tally(&l, sequence)
	}
	return nil
}

// applyUnsynced is apply for what may be lost in a crash.
func (s *Store) applyUnsynced(batch *pebble.Batch) error {
	return s.write(func() error { return s.db.Apply(batch, pebble.NoSync) })
}
