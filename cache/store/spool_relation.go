package store

import (
	"github.com/cockroachdb/pebble/v2"
)

// relation says how the places of a copy relate to the upstream's sequences, once
// the copy has had checkpoints that the upstream lacks. As long as there is none,
// they are the same. A place that somebody has seen never changes, but by Drop.
type relation struct {
	// Base is the highest place that the copy had before: up to it they are the
	// same.
	Base uint64
	// Sequence is the upstream's up to which the copy has all, and ID the
	// checkpoint there. Between Base and Sequence an id tells the place.
	Sequence uint64
	ID       string
	// Pending are on their way to the upstream, Dead refused by it.
	Pending, Dead uint64
	// Apart says that places and sequences differ for as long as the copy lives.
	Apart bool
}

func (r *relation) encode() []byte {
	w := newWriter(64)
	w.uint(r.Base)
	w.uint(r.Sequence)
	w.string(r.ID)
	w.uint(r.Pending)
	w.uint(r.Dead)
	w.bool(r.Apart)
	return w
}

// over reports whether places and sequences are the same again.
func (r *relation) over() bool { return r.Pending == 0 && r.Dead == 0 && !r.Apart }

// put writes the relation of a job, or removes it when it is over.
func (r *relation) put(batch *pebble.Batch, job string) {
	if r.over() {
		_ = batch.Delete(dataKey(job, kindRelation), nil)
		return
	}
	_ = batch.Set(dataKey(job, kindRelation), r.encode(), nil)
}

// relation reads that of a job, nil if there is none.
func (s *Store) relation(job string) (*relation, error) {
	v, err := s.get(dataKey(job, kindRelation))
	if v == nil {
		return nil, err
	}
	r := newReader(v)
	return &relation{
		Base: r.uint(), Sequence: r.uint(), ID: r.string(), Pending: r.uint(), Dead: r.uint(), Apart: r.bool(),
	}, r.err
}

// Related reports whether the places of a copy may differ from the upstream's
// sequences, because it has, or has had, checkpoints that the upstream lacks.
func (s *Store) Related(job string) (bool, error) {
	r, err := s.relation(job)
	return r != nil, err
}

// begin returns the relation of a job that has none yet. The job's lock must be
// held.
func (j *Job) begin() (*relation, error) {
	r := new(relation)
	if !j.exists || j.record.Copy.Highest == 0 {
		return r, nil
	}
	r.Base, r.Sequence = j.record.Copy.Highest, j.record.Copy.Highest
	last, err := j.store.Entry(j.id, r.Base)
	r.ID = last.ID
	return r, err
}

// arrived notes that the upstream has given a sequence to what stands at a place,
// 0 if it gave none. It reports whether the upstream's job cannot be the one that
// the copy is of: it goes back, or has gone on unknown to us from its start.
func (r *relation) arrived(sequence, place uint64, id string) (strange bool) {
	if sequence == 0 {
		sequence = r.Sequence + 1
	}
	switch {
	case sequence == r.Sequence+1:
		r.Sequence, r.ID, r.Apart = sequence, id, r.Apart || sequence != place
		return false
	case sequence > r.Sequence:
		// Somebody else has written in between. The follower brings it.
		r.Apart = true
		return r.Sequence == 0
	}
	r.Apart = true
	return true
}

// placeApart is PlaceCopy for a job with a relation. The job's lock must be held.
func (j *Job) placeApart(c Copy, r *relation) (Placed, error) {
	id, sequence := c.Located.ID, c.Located.Sequence
	place, _, err := j.store.copyOf(j.id, id)
	if err != nil {
		return Placed{}, err
	}
	next := sequence == r.Sequence+1
	if place > 0 {
		if next && r.Pending == 0 {
			r.Sequence, r.ID, r.Apart = sequence, id, r.Apart || sequence != place
			return Placed{Place: place, Held: true}, j.putRelation(r)
		}
		return Placed{Place: place, Held: true}, nil
	}
	switch {
	case sequence > 0 && sequence <= r.Base:
		what, err := j.place(&c)
		if err != nil || what == placeHeld {
			return Placed{Held: err == nil}, err
		}
		if what == placeTaken && r.Pending > 0 {
			return Placed{Waits: true}, nil
		}
		return Placed{Place: sequence, Replaced: what == placeTaken}, j.writeCopy(&c, what, nil, j.store.applyUnsynced)
	case r.Pending > 0:
		// It may be the delivery of one that is there already.
		return Placed{Waits: true}, nil
	case sequence > 0 && sequence <= r.Sequence:
		return Placed{Place: sequence, Replaced: true}, j.writeCopy(&c, placeTaken, nil, j.store.applyUnsynced)
	case !next:
		return Placed{}, nil // what is before it comes first
	}
	c.Located.Sequence = j.record.Copy.Highest + 1
	r.Sequence, r.ID, r.Apart = sequence, id, r.Apart || sequence != c.Located.Sequence
	return Placed{Place: c.Located.Sequence}, j.writeCopy(&c, placeFree, func(batch *pebble.Batch) {
		r.put(batch, j.id)
	}, j.store.applyUnsynced)
}

func (j *Job) putRelation(r *relation) error {
	batch := j.store.db.NewBatch()
	defer batch.Close()
	r.put(batch, j.id)
	return j.store.applyUnsynced(batch)
}
