package store

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// Append is one checkpoint to be stored, with everything that changes with it.
type Append struct {
	// ID is the checkpoint's id, Doc its JSON and where its parts stand.
	ID      string
	Doc     checkpoint.Document
	Summary checkpoint.Summary

	// Record is the job's record after it. Count must be one more than before;
	// Parts, Bytes, Coordinator and the totals are filled in.
	Record JobRecord
	// Line is the line of runs that the checkpoint belongs to, Previous the line's
	// run before it, and Run the one after it.
	Line     checkpoint.Line
	Previous RunRecord
	Run      checkpoint.Run
	// Usage is that of the step alone.
	Usage checkpoint.Usage

	// Idempotency, if set, is remembered as long as the job.
	Idempotency *Idempotency
	// Registrations are experts and organizations first seen with it.
	Registrations []Registration
}

// Idempotency is a request's idempotency key and what it was used for.
type Idempotency struct {
	Key  string            // as the client sent it
	Body [sha256.Size]byte // hash of the request's body
}

// Registration is a value that is written along with a checkpoint.
type Registration struct {
	Organization string
	// ExpertKey is the expert's key; empty if the organization itself is
	// registered.
	ExpertKey string
	Value     []byte
}

// Commit is an append on its way to disk.
type Commit struct {
	job      *Job
	batch    *pebble.Batch
	sequence uint64
	start    time.Time

	generation uint64
}

// Append applies a checkpoint to the job, whose lock must be held. After an
// error nothing has changed. Otherwise the job's next append may follow at
// once, and the caller must call Wait, without the lock.
func (j *Job) Append(a *Append) (*Commit, error) {
	s := j.store
	if err := s.Err(); err != nil {
		return nil, err
	}
	if j.exists && j.record.Copied {
		return nil, ErrCopiedJob
	}
	if a.Record.Count != j.record.Count+1 {
		return nil, fmt.Errorf("append of sequence %d to a job of %d checkpoints", a.Record.Count, j.record.Count)
	}
	previous, err := j.previous(a.Line)
	if err != nil {
		return nil, err
	}
	w := scratches.Get().(*scratch)
	defer w.release()
	p := makePlan(w, a.Doc, previous, j.record.Parts)
	p.record.id = a.ID
	p.record.summary = a.Summary
	sequence := a.Record.Count
	at := sequence
	if len(p.next.parts) == 0 {
		if at, err = j.lastAt(a.Line); err != nil {
			return nil, err
		}
	}

	var parent uint64
	if a.Line.CheckpointID != "" && a.begins() {
		if parent, err = j.runOf(a.Line.CheckpointID); err != nil {
			return nil, err
		}
	}
	run := a.next(sequence, parent)

	batch := s.db.NewBatchWithSize(len(p.parts) + len(p.record.literal) + 1024)
	stored := 0
	set := func(key []byte, value writer) {
		stored += len(key) + len(value)
		// A batch of no indexes does not fail to take a key.
		_ = batch.Set(key, value, nil)
		w.key, w.value = key, value
	}
	if p.parts != nil {
		key := appendNumberKey(w.key[:0], j.id, kindParts, p.first)
		stored += len(key) + len(p.parts)
		_ = batch.Set(key, p.parts, nil)
		w.key = key
	}
	set(appendNumberKey(w.key[:0], j.id, kindCheckpoint, sequence), p.record.encode(w.value))
	v := startWriter(w.value)
	v.uint(sequence)
	v.uint(run.First)
	set(append(appendDataKey(w.key[:0], j.id, kindID), a.ID...), v)
	if a.Line != (checkpoint.Line{}) {
		v = startWriter(w.value)
		v.run(&run, at)
		set(runKey(j.id, a.Line), v)
	}
	if a.Previous.First > 0 && a.begins() {
		v = startWriter(w.value)
		v.run(&a.Previous, 0)
		set(appendNumberKey(w.key[:0], j.id, kindPastRun, a.Previous.First), v)
	}
	if i := a.Idempotency; i != nil {
		v = startWriter(w.value)
		v.raw(i.Body[:])
		v.uint(sequence)
		set(idempotencyKey(j.id, i.Key), v)
	}
	for _, r := range a.Registrations {
		key := organizationKey(r.Organization)
		if r.ExpertKey != "" {
			key = expertKey(r.Organization, r.ExpertKey)
		}
		v = newWriter(1 + len(r.Value))
		v.raw(r.Value)
		_ = batch.Set(key, v, nil)
	}
	record := a.Record
	record.Parts = j.record.Parts + uint64(p.fresh)
	record.Bytes = j.record.Bytes + uint64(stored)
	if a.Line == (checkpoint.Line{}) {
		record.CoordinatorAt, record.Coordinator = at, run
	}
	if !j.exists {
		if key := record.listed(j.id); key != nil {
			_ = batch.Set(key, []byte{formatVersion}, nil)
		}
	}
	record.count(a)
	w.value = record.encode(w.value)
	_ = batch.Set(appendJobKey(w.key[:0], j.id), w.value, nil)

	c := &Commit{job: j, batch: batch, sequence: sequence, start: time.Now(), generation: j.generation}
	r := &s.registry
	r.mu.Lock()
	j.holders++ // given up by Wait
	r.mu.Unlock()
	if err := s.apply(batch); err != nil {
		j.Release()
		return nil, err
	}
	j.record, j.exists = record, true
	if len(p.next.parts) > 0 {
		p.next.organization = record.Organization
		s.lines.put(j.id, a.Line, p.next)
	}
	return c, nil
}

// apply writes a batch to the log and the memtable. An error there leaves the
// database unusable; Pebble says so by its logger or by a panic.
func (s *Store) apply(batch *pebble.Batch) error {
	return s.write(func() error { return s.db.ApplyNoSyncWait(batch, pebble.Sync) })
}

// write runs what writes to the log, and tells when the log cannot be written.
func (s *Store) write(apply func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			s.fail(fmt.Errorf("pebble: write-ahead log: %v", r))
			err = s.Err()
		}
	}()
	if err := apply(); err != nil {
		return fmt.Errorf("cannot write to the store: %w", err)
	}
	// Fatalf came back: the batch may or may not be in the log.
	if s.failed.Load() != nil {
		return s.Err()
	}
	return nil
}

// Wait blocks until the checkpoint is on disk and readers may see it. After an
// error it may or may not be there, and the store has failed.
func (c *Commit) Wait() error {
	defer c.job.Release()
	s := c.job.store
	if err := c.batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return s.Err()
	}
	if s.opts.CommitObserver != nil {
		s.opts.CommitObserver(time.Since(c.start))
	}
	// The log is synced in order, so all before this one are on disk as well.
	c.job.raise(c.generation, c.sequence)
	return c.batch.Close()
}

// Run returns the current run of a delegation's line, the zero RunRecord if it
// has none. The job's lock must be held.
func (j *Job) Run(of checkpoint.Line) (RunRecord, error) {
	run, _, err := j.run(of)
	return run, err
}

// run is Run with the sequence of the line's last checkpoint with parts, 0 if
// there is none.
func (j *Job) run(of checkpoint.Line) (run RunRecord, at uint64, err error) {
	v, err := j.store.get(runKey(j.id, of))
	if v == nil {
		return run, 0, err
	}
	r := newReader(v)
	run, at = r.run(of)
	return run, at, r.err
}

// Answered returns the sequence that an idempotency key was answered with and
// the hash of the body it came with. found is false if the key is new. The
// job's lock must be held.
func (j *Job) Answered(key string) (sequence uint64, body [sha256.Size]byte, found bool, err error) {
	v, err := j.store.get(idempotencyKey(j.id, key))
	if v == nil {
		return 0, body, false, err
	}
	r := newReader(v)
	copy(body[:], r.take(sha256.Size))
	sequence = r.uint()
	return sequence, body, true, r.err
}

func idempotencyKey(job, key string) []byte {
	h := sha256.Sum256([]byte(key))
	return bytesKey(job, kindIdempotency, h[:])
}

func runKey(job string, l checkpoint.Line) []byte {
	w := make(writer, 0, 128)
	w.string(l.CheckpointID)
	w.string(l.ToolCallID)
	w.string(l.ExpertKey)
	h := sha256.Sum256(w)
	return bytesKey(job, kindRun, h[:])
}

func notFound(err error) error {
	if errors.Is(err, pebble.ErrNotFound) {
		return ErrNotFound
	}
	return fmt.Errorf("cannot read from the store: %w", err)
}
