package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// Acceptance is a request that is to be spooled.
type Acceptance struct {
	Job string
	// Letter is what is known of it; its Job, Size and Body are filled in.
	Letter Letter
	Body   []byte // as it was sent
	Line   checkpoint.Line
	// Make makes the checkpoint. It is called with the job's lock held.
	Make func(Slot) (Copy, error)
}

// Slot is where a checkpoint of ours comes to stand.
type Slot struct {
	Place uint64 // its sequence in the copy
	// Last is the last checkpoint of its line in the copy, nil if there is none.
	Last []byte
}

// Accepted is a checkpoint of ours that is on disk.
type Accepted struct {
	Checkpoint
	// Replayed says that it was accepted before under the same key.
	Replayed bool
	// Apart says that the upstream may have checkpoints that the copy lacks, since
	// others write to the job, too.
	Apart bool
}

// Accept puts a request into the spool and its checkpoint at the end of the copy,
// under the local id of the letter, and returns when both are on disk: no reader
// sees the checkpoint before. The error is ErrSpoolFull, ErrSpoolKey, ErrOwnJob,
// ErrLowSpace or ErrFailed, that of Make, or of reading the store; nothing has
// changed then.
func (p *Spool) Accept(a Acceptance) (Accepted, error) {
	s := p.store
	if err := s.Err(); err != nil {
		return Accepted{}, err
	}
	j := s.Hold(a.Job)
	defer j.Release()
	if err := j.Lock(); err != nil {
		return Accepted{}, err
	}
	defer j.Unlock()
	if j.exists && !j.record.Copied {
		return Accepted{}, ErrOwnJob
	}
	l := a.Letter
	l.Job, l.Size, l.Body = a.Job, len(a.Body), sha256.Sum256(a.Body)
	l.At = l.At.Truncate(time.Millisecond)
	if have, found, err := p.Keyed(a.Job, l.Key, l.Body); found || err != nil {
		if err != nil {
			return Accepted{}, err
		}
		c, err := p.Checkpoint(have)
		return Accepted{Checkpoint: c, Replayed: true}, err
	}
	if !p.reserve(&l) {
		return Accepted{}, ErrSpoolFull
	}
	accepted, err := j.accept(&a, &l)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.bytes -= int64(l.Size)
		return Accepted{}, err
	}
	p.insert(&l)
	return accepted, nil
}

// Checkpoint reads the checkpoint of a letter from the copy, ErrNotFound if the
// copy is gone.
func (p *Spool) Checkpoint(l Letter) (Checkpoint, error) {
	place, err := p.store.Sequence(l.Job, l.ID)
	if err != nil {
		return Checkpoint{}, err
	}
	return p.store.Read(l.Job, place, nil)
}

// reserve finds room and a number for a letter.
func (p *Spool) reserve(l *Letter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes+int64(l.Size) > p.max {
		return false
	}
	p.bytes += int64(l.Size)
	l.number, l.order = p.next, p.next
	p.next++
	return true
}

// accept writes a letter and its checkpoint. The job's lock must be held.
func (j *Job) accept(a *Acceptance, l *Letter) (Accepted, error) {
	s := j.store
	r, err := s.relation(j.id)
	if err == nil && r == nil {
		r, err = j.begin()
	}
	if err != nil {
		return Accepted{}, err
	}
	slot := Slot{Place: j.record.Copy.Highest + 1}
	if slot.Last, err = j.lastOf(a.Line); err != nil {
		return Accepted{}, err
	}
	c, err := a.Make(slot)
	if err != nil {
		return Accepted{}, err
	}
	c.Located.ID, c.Located.Sequence = l.ID, slot.Place
	r.Pending++
	err = j.writeCopy(&c, placeFree, func(batch *pebble.Batch) {
		r.put(batch, j.id)
		body := newWriter(len(a.Body)/2 + 64)
		body.pack(a.Body)
		_ = batch.Set(letterKey(spaceBody, j.id, l.number), body, nil)
		_ = batch.Set(letterKey(spaceLetter, j.id, l.number), l.encode(), nil)
		_ = batch.Set(bytesKey(j.id, kindLocal, l.ID), newWriter(1), nil)
	}, func(batch *pebble.Batch) error {
		// Nobody is to see what a crash may take.
		j.durable.Store(slot.Place - 1)
		return s.commit(batch)
	})
	if err != nil {
		return Accepted{}, fmt.Errorf("cannot spool a checkpoint of job %s: %w", j.id, err)
	}
	return Accepted{Checkpoint: Checkpoint{ID: l.ID, Sequence: slot.Place, JSON: c.JSON}, Apart: r.Apart}, nil
}

// lastOf returns the last checkpoint of a line in the copy, nil if none is known.
// The job's lock must be held.
func (j *Job) lastOf(of checkpoint.Line) ([]byte, error) {
	if !j.exists {
		return nil, nil
	}
	at, err := j.lastAt(of)
	if err != nil {
		return nil, err
	}
	// A checkpoint with no message of note is not compared with, so that it may be
	// later than that.
	for _, place := range []uint64{j.record.Copy.Highest, at} {
		c, err := j.store.Read(j.id, place, nil)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if l, err := checkpoint.Locate(c.JSON); err == nil && l.Line == of {
			return c.JSON, nil
		}
	}
	return nil, nil
}
