package store

import (
	"bytes"
	"errors"
	"fmt"

	"milepost/internal/checkpoint"
)

// Errors of an import that callers tell apart.
var (
	// ErrImportConflict says that what is there contradicts an imported checkpoint.
	ErrImportConflict = errors.New("the job is another one")
	// ErrImportOrder says that an imported checkpoint does not follow the job's
	// last.
	ErrImportOrder = errors.New("the checkpoint is not the next of its job")
)

// Import is a checkpoint as another server gave it.
type Import struct {
	Organization string
	Application  string
	JSON         []byte // must not change afterwards
	// Parsed is what checkpoint.ParseImported says of JSON.
	Parsed checkpoint.Imported
}

// Import appends a checkpoint with the id, run, sequence and time that it has
// already, to the job of its expertJobId, whose lock must be held. It returns no
// commit if the job has the same checkpoint at that place. Other than that it is
// as Append, and the error also ErrImportConflict (the job is another
// organization's, or has something else at that place or under that id) or
// ErrImportOrder (the job has not come to it, or time would go back).
//
// The usage of the step alone is not in the checkpoint. It is taken for what the
// sum over the job grew by.
func (j *Job) Import(c *Import) (*Commit, error) {
	p := &c.Parsed
	record := j.record
	switch {
	case j.exists && record.Copied:
		return nil, ErrCopiedJob
	case j.exists && record.Organization != c.Organization:
		return nil, fmt.Errorf("the job belongs to another organization: %w", ErrImportConflict)
	case p.Sequence <= record.Count:
		held, err := j.store.Read(j.id, p.Sequence, nil)
		if err == nil && !bytes.Equal(held.JSON, c.JSON) {
			err = fmt.Errorf("the job has another checkpoint %d: %w", p.Sequence, ErrImportConflict)
		}
		return nil, err
	case p.Sequence != record.Count+1:
		return nil, fmt.Errorf("checkpoint %d comes behind %d: %w", p.Sequence, record.Count, ErrImportOrder)
	case j.exists && p.CreatedAt < record.LastAt:
		return nil, fmt.Errorf("checkpoint %d is older than the one before it: %w", p.Sequence, ErrImportOrder)
	}
	if v, err := j.store.get(bytesKey(j.id, kindID, p.ID)); err != nil || v != nil {
		if err == nil {
			err = fmt.Errorf("the id of checkpoint %d is also that of an earlier one: %w", p.Sequence, ErrImportConflict)
		}
		return nil, err
	}
	a := Append{
		ID: p.ID, Doc: checkpoint.Document{JSON: c.JSON, Parts: p.Parts, ActionType: p.ActionType}, Summary: p.Summary(),
		Line: p.Line, Previous: record.Coordinator, Usage: p.Usage.Since(record.Tokens),
		Run: checkpoint.Run{ID: p.RunID, Ended: p.Status.EndsRun()},
	}
	if a.Line != (checkpoint.Line{}) {
		var err error
		if a.Previous, err = j.Run(a.Line); err != nil {
			return nil, err
		}
	}
	if !j.exists {
		record = JobRecord{Organization: c.Organization, Application: c.Application, FirstAt: p.CreatedAt}
	}
	if a.Previous.ID != p.RunID {
		record.Runs++
	}
	record.Count = p.Sequence
	record.Status = p.JobStatus()
	record.LastAt, record.EndedAt = p.CreatedAt, 0
	if record.Status.Ended() {
		record.EndedAt = p.CreatedAt
	}
	a.Record = record
	return j.Append(&a)
}
