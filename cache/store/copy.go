package store

import (
	"errors"
	"slices"
	"time"

	"milepost/internal/checkpoint"
)

// A job is either the store's own, written by Append, or the copy of a job that
// an upstream owns, written by PutCopy. A copy stands under the same keys, so
// whatever reads, deletes, retains or backs up a job does so with either. The two
// differ in what they promise: a copy may have holes, for checkpoints come as
// they were asked for, and may be lost in a crash, for they can be asked for
// again.
var (
	// ErrOwnJob says that the job is the store's own and takes no copies.
	ErrOwnJob = errors.New("the job is the store's own and no copy")
	// ErrCopiedJob says that the job is a copy and takes no appends.
	ErrCopiedJob = errors.New("the job is a copy of an upstream's")
	// ErrCopyLines says that a copy is not on one line, as an event must be
	// (checkpoint.OneLine makes it so).
	ErrCopyLines = errors.New("a copy must have no line breaks")
)

// kindLoose is the kind of the keys of copies that came without a sequence, in
// the range of their job:
//
//	d  <job> u <checkpoint id>                 checkpoint record
const kindLoose = 'u'

// Copy is a checkpoint as an upstream gave it.
type Copy struct {
	JSON []byte // on one line; the store keeps nothing of this memory
	// Located is what checkpoint.Locate says of JSON. Without a sequence the
	// copy is found by its id alone, by ReadCopy.
	Located checkpoint.Located
	// At is now. Retention lets those copies go first that were written to
	// longest ago.
	At time.Time
}

// CopyRecord is what the record of a copied job has beside a JobRecord's usual
// fields, of which Count is the end of the part without holes from 1 on, and
// Status the status after that checkpoint.
type CopyRecord struct {
	LastID  string // id of the checkpoint whose sequence is Count
	Highest uint64 // greatest sequence that is there; beyond Count there is a hole
	Loose   uint64 // checkpoints that are there without a sequence

	// Counted is how many checkpoints the job's Tokens, Steps and Experts cover. If
	// it is not Count, one of them told no usage or was counted by nobody, and what
	// comes later is not counted either.
	Counted uint64
}

// HasTotals reports whether Tokens, Steps and Experts are those of all Count
// checkpoints.
func (j *JobRecord) HasTotals() bool { return !j.Copied || j.Count > 0 && j.Copy.Counted == j.Count }

// tally counts the next checkpoint of a copy. What an upstream adds up over a job
// tells what its step took.
func (j *JobRecord) tally(l *checkpoint.Located, sequence uint64) {
	if !l.HasUsage || j.Copy.Counted != sequence-1 {
		return
	}
	// In memory of its own: whether the record is written is not certain yet.
	j.Experts = slices.Clone(j.Experts)
	j.count(&Append{Summary: l.Summary(), Usage: l.Usage.Since(j.Tokens)})
	j.Copy.Counted = sequence
}

// uncounted forgets what was counted, after a checkpoint was taken out.
func (j *JobRecord) uncounted() {
	j.Copy.Counted, j.Tokens, j.Steps, j.Experts = 0, checkpoint.Usage{}, 0, nil
}

// Complete reports whether a copy has every checkpoint up to its last.
func (j *JobRecord) Complete() bool {
	return j.Copied && j.Count > 0 && j.Copy.Highest == j.Count && j.Copy.Loose == 0
}

// CopyTail returns the end of the part of a copy that has no holes from the
// first checkpoint on: the id and sequence of its last, or nothing if there is no
// such part. It costs two reads. The error is ErrOwnJob if the job is no copy. Where
// the copy has, or has had, checkpoints that the upstream lacks, it is the
// upstream's last that is there, by the upstream's sequence.
func (s *Store) CopyTail(job string) (lastID string, sequence uint64, err error) {
	record, err := s.jobRecord(job)
	switch {
	case errors.Is(err, ErrNotFound):
		return "", 0, nil
	case err != nil:
		return "", 0, err
	case !record.Copied:
		return "", 0, ErrOwnJob
	}
	r, err := s.relation(job)
	if err == nil && r != nil && record.Count >= r.Base {
		return r.ID, r.Sequence, nil
	}
	return record.Copy.LastID, record.Count, err
}

// ReadCopy returns a checkpoint of a copy by its id, with or without a sequence,
// or ErrNotFound. Its JSON follows what dst holds, in the same memory if there is
// room.
func (s *Store) ReadCopy(job, id string, dst []byte) (Checkpoint, error) {
	sequence, err := s.Sequence(job, id)
	var c Checkpoint
	switch {
	case err == nil:
		c, err = s.Read(job, sequence, dst)
	case errors.Is(err, ErrNotFound):
		c, err = s.readKey(job, bytesKey(job, kindLoose, id), dst, nil)
	}
	if err != nil {
		return Checkpoint{}, err
	}
	if c.ID != id {
		return Checkpoint{}, ErrNotFound // the copy was replaced meanwhile
	}
	return c, nil
}

// hasHole reports whether a copy has checkpoints beyond its end.
func (j *JobRecord) hasHole() bool { return j.Copy.Highest > j.Count }
