// Package origin is the embedded authority over checkpoints: it gives each its
// id, sequence and run, keeps the status and the totals of its job, and makes
// sure that the store and whoever watches see them in that order.
//
// It is the counterpart of an upstream, which has the same authority elsewhere.
package origin

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// Errors of Create that callers tell apart. Those of the store come through.
var (
	// ErrJobNotFound says that the job belongs to another organization.
	ErrJobNotFound = errors.New("expert job not found")
	// ErrKeyInUse says that the first request with the idempotency key is
	// still being worked on.
	ErrKeyInUse = errors.New("a request with this idempotency key is still being worked on")
	// ErrKeyReused says that the idempotency key came with another body before.
	ErrKeyReused = errors.New("this idempotency key was used with another body")
)

// ExpertError says that an expert does not exist, or cannot because its key or
// name is malformed.
type ExpertError struct{ Key string }

func (e *ExpertError) Error() string { return "Expert not found: " + e.Key }

// Creation is a request to create a checkpoint that passed validation.
type Creation struct {
	// Organization and Application are those of the caller's key.
	Organization string
	Application  string
	JobID        string
	Request      *checkpoint.Request
	// IdempotencyKey is empty if the client sent none; Body is the body as it
	// was sent and is needed only with a key.
	IdempotencyKey string
	Body           []byte
	// Envelope is what the answer has around the checkpoint.
	Envelope checkpoint.Envelope
}

// Created is a checkpoint that is on disk.
type Created struct {
	store.Checkpoint
	// Enveloped is the checkpoint in its envelope. The two share memory, which
	// the store goes on reading: neither may be changed.
	Enveloped []byte
	// Status is the job's status after it.
	Status checkpoint.JobStatus
	// Replayed says that it was created by an earlier request with the same
	// idempotency key.
	Replayed bool
}

// Origin is the embedded authority. Its methods may be used concurrently.
type Origin struct {
	store   *store.Store
	experts experts
	now     func() time.Time
}

// New returns the origin over an open store. catalog is nil in mode open.
func New(s *store.Store, catalog *checkpoint.Catalog) *Origin {
	return &Origin{store: s, experts: newExperts(s, catalog), now: time.Now}
}

// Create stores a checkpoint and returns when it is on disk.
func (o *Origin) Create(c Creation) (Created, error) {
	job := o.store.Hold(c.JobID)
	defer job.Release()

	if c.IdempotencyKey != "" {
		if !job.Reserve(c.IdempotencyKey) {
			return Created{}, ErrKeyInUse
		}
		defer job.Free(c.IdempotencyKey)
	}
	created, commit, err := o.apply(job, &c)
	if err != nil || commit == nil {
		return created, err
	}
	// The lock is free again: what follows on this job shares the sync.
	return created, commit.Wait()
}

// apply does what needs the job's lock. Without a commit the checkpoint is an
// earlier one.
func (o *Origin) apply(job *store.Job, c *Creation) (Created, *store.Commit, error) {
	if err := job.Lock(); err != nil {
		return Created{}, nil, err
	}
	defer job.Unlock()

	record, exists := job.Record()
	if exists && record.Organization != c.Organization {
		return Created{}, nil, ErrJobNotFound
	}
	a := store.Append{Line: c.Request.Line()}
	if c.IdempotencyKey != "" {
		a.Idempotency = &store.Idempotency{Key: c.IdempotencyKey, Body: sha256.Sum256(c.Body)}
		sequence, body, found, err := job.Answered(c.IdempotencyKey)
		switch {
		case err != nil:
			return Created{}, nil, err
		case found && body != a.Idempotency.Body:
			return Created{}, nil, ErrKeyReused
		case found:
			return o.replay(c, sequence)
		}
	}

	// A clock that was set back must not make a later checkpoint look older:
	// all orders of a list are one order.
	now := o.now()
	if last := time.UnixMilli(record.LastAt); exists && now.Before(last) {
		now = last
	}
	digests, err := o.experts.resolve(c, now)
	if err != nil {
		return Created{}, nil, err
	}
	defer digests.done()

	if !exists {
		record = store.JobRecord{
			Organization: c.Organization,
			Application:  c.Application,
			FirstAt:      now.UnixMilli(),
		}
	}
	if err := nextRun(job, &record, &a, c.Request.Status); err != nil {
		return Created{}, nil, err
	}
	advance(&record, c.Request, now)

	a.ID = checkpoint.NewID()
	a.Doc = c.Request.Encode(checkpoint.Assigned{
		ID: a.ID, RunID: a.Run.ID, JobID: c.JobID, Sequence: record.Count, CreatedAt: now,
		Expert: digests.expert, DelegateToExpert: digests.delegateTo, DelegatedByExpert: digests.delegatedBy,
		Envelope: c.Envelope,
	})
	a.Summary = checkpoint.Summary{
		Status: string(c.Request.Status), ActionType: a.Doc.ActionType, ExpertKey: c.Request.Expert.Key,
		SkillName: c.Request.SkillName, ToolName: c.Request.ToolName,
	}
	a.Record = record
	// The usage of a step is that step's alone; a checkpoint's adds up over the
	// whole job already, delegates included.
	a.Usage = c.Request.StepUsage
	a.Registrations = digests.registrations

	commit, err := job.Append(&a)
	if err != nil {
		return Created{}, nil, fmt.Errorf("cannot store checkpoint %d of job %s: %w", record.Count, c.JobID, err)
	}
	digests.keep()
	return Created{
		Checkpoint: store.Checkpoint{ID: a.ID, Sequence: record.Count, JSON: a.Doc.JSON},
		Enveloped:  a.Doc.Enveloped, Status: record.Status,
	}, commit, nil
}

// replay answers with the checkpoint that the idempotency key has created.
func (o *Origin) replay(c *Creation, sequence uint64) (Created, *store.Commit, error) {
	first, err := o.store.Read(c.JobID, sequence, []byte(c.Envelope.Before))
	if err != nil {
		return Created{}, nil, err
	}
	whole := append(first.JSON, c.Envelope.After...)
	first.JSON = whole[len(c.Envelope.Before) : len(whole)-len(c.Envelope.After)]
	return Created{Checkpoint: first, Enveloped: whole, Replayed: true}, nil, nil
}
