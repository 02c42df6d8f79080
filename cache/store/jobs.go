package store

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// registry holds the jobs that are being written to. A job is in it at least as
// long as somebody holds it or a commit of it is on its way to disk, and then
// for a while, so that the next append need not read its record.
type registry struct {
	mu   sync.Mutex
	jobs map[string]*Job
	idle int // jobs without a holder
}

// maxIdleJobs bounds the jobs that nobody holds: about a kilobyte each.
const maxIdleJobs = 4096

// Job is the write side of one job. Whoever appends holds it (Store.Hold …
// Release) and its lock (Lock … Unlock) from reading the record to applying
// the next; the wait for the sync is outside of the lock.
type Job struct {
	id    string
	store *Store

	mu     sync.Mutex
	record JobRecord
	exists bool
	loaded bool

	holders int // guarded by the registry's lock; commits under way count too

	// durable is the sequence up to which everything is on disk; known says
	// that it has been set. Readers show nothing beyond it.
	durable atomic.Uint64
	known   atomic.Bool

	stateMu sync.Mutex
	// generation counts the deletions, so that a commit of a deleted job does
	// not raise the mark of the one that follows under the same id.
	generation uint64
	keys       map[string]struct{}
}

// Hold returns the job's write side; the caller must Release it.
func (s *Store) Hold(id string) *Job {
	r := &s.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.jobs[id]
	if j == nil {
		j = &Job{id: id, store: s}
		r.jobs[id] = j
	} else if j.holders == 0 {
		r.idle--
	}
	j.holders++
	return j
}

// Release gives up a hold.
func (j *Job) Release() {
	r := &j.store.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	if j.holders--; j.holders > 0 {
		return
	}
	// In a failed store the mark must stay: what was applied beyond it may never
	// reach the disk.
	if r.idle++; r.idle <= maxIdleJobs || j.store.failed.Load() != nil {
		return
	}
	// The order of a map is random; nearly all jobs in this one are idle.
	for id, other := range r.jobs {
		if other.holders == 0 {
			delete(r.jobs, id)
			r.idle--
			return
		}
	}
}

// ID returns the job's id.
func (j *Job) ID() string { return j.id }

// Lock takes the job's lock and makes sure that its record is loaded. After an
// error the lock is not held.
func (j *Job) Lock() error {
	j.mu.Lock()
	if j.loaded {
		return nil
	}
	record, err := j.store.jobRecord(j.id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		j.mu.Unlock()
		return err
	}
	j.record, j.exists, j.loaded = record, err == nil, true
	j.durable.Store(record.Count)
	if record.Copied {
		j.durable.Store(math.MaxUint64)
	}
	j.known.Store(true)
	return nil
}

// Unlock gives up the job's lock.
func (j *Job) Unlock() { j.mu.Unlock() }

// Record returns the job's record as of the last append, which may not be on
// disk yet, and whether the job exists. The lock must be held.
func (j *Job) Record() (JobRecord, bool) { return j.record, j.exists }

// Reserve marks an idempotency key as being worked on. It reports false if
// somebody else has it; otherwise the caller must Free it.
func (j *Job) Reserve(key string) bool {
	j.stateMu.Lock()
	defer j.stateMu.Unlock()
	if _, taken := j.keys[key]; taken {
		return false
	}
	if j.keys == nil {
		j.keys = make(map[string]struct{})
	}
	j.keys[key] = struct{}{}
	return true
}

// raise moves the durable mark up to a sequence of a generation.
func (j *Job) raise(generation, sequence uint64) {
	j.stateMu.Lock()
	defer j.stateMu.Unlock()
	if generation == j.generation && sequence > j.durable.Load() {
		j.durable.Store(sequence)
	}
}

// restart begins a new generation with nothing on disk.
func (j *Job) restart() {
	j.stateMu.Lock()
	defer j.stateMu.Unlock()
	j.generation++
	j.durable.Store(0)
}

// Free undoes Reserve.
func (j *Job) Free(key string) {
	j.stateMu.Lock()
	defer j.stateMu.Unlock()
	delete(j.keys, key)
}

// jobRecord reads a record as it was last applied, on disk or not.
func (s *Store) jobRecord(id string) (JobRecord, error) {
	v, closer, err := s.db.Get(jobKey(id))
	if err != nil {
		return JobRecord{}, notFound(err)
	}
	defer closer.Close()
	record, err := decodeJobRecord(v)
	if err != nil {
		return JobRecord{}, fmt.Errorf("record of job %s: %w", id, err)
	}
	return record, nil
}

// visible lowers a count read from the database to what is on disk.
//
// The count must have been read before the call: a commit that the count
// includes had its job registered when it was applied, and a job leaves the
// registry only when all its commits are on disk. So a job that is not there
// now, or has only been registered since, had everything on disk that the
// count includes.
func (s *Store) visible(id string, count uint64) uint64 {
	s.registry.mu.Lock()
	j := s.registry.jobs[id]
	s.registry.mu.Unlock()
	if j != nil && j.known.Load() {
		return min(count, j.durable.Load())
	}
	return count
}

// Job returns the record of a job. Its Count is of what is on disk; the other
// totals may run ahead of it by the commits on their way. Of a copy it may be 0.
func (s *Store) Job(id string) (JobRecord, error) {
	record, err := s.jobRecord(id)
	if err != nil {
		return JobRecord{}, err
	}
	if record.Count = s.visible(id, record.Count); record.Count == 0 && !record.Copied {
		return JobRecord{}, ErrNotFound
	}
	return record, nil
}
