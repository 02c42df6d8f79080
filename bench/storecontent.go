package main

import (
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// contentStore is milepost's store.
type contentStore struct{ *store.Store }

// openContent opens or creates the store in dir.
func openContent(dir string) (contentStore, error) {
	st, err := store.Open(store.Options{Dir: dir})
	return contentStore{st}, err
}

// newContentKeeper returns a keeper that is milepost's store.
func newContentKeeper(dir string) (keeper, error) { return openContent(dir) }

// openContentReader returns a reader that is milepost's store.
func openContentReader(dir string) (reader, error) { return openContent(dir) }

// close implements keeper and reader.
func (s contentStore) close() error { return s.Close() }

// write implements keeper: what is done for a POST below its validation.
func (s contentStore) write(sequence uint64, doc document) error {
	commit, err := s.apply(sequence, doc)
	if err != nil {
		return err
	}
	return commit.Wait()
}

// apply appends the job's next checkpoint.
func (s contentStore) apply(sequence uint64, doc document) (*store.Commit, error) {
	job := s.Hold(documentJob)
	defer job.Release()
	if err := job.Lock(); err != nil {
		return nil, err
	}
	defer job.Unlock()
	record, _ := job.Record()
	record.Organization, record.Application = "organization", "application"
	record.Count, record.Status, record.LastAt = sequence, checkpoint.JobProcessing, time.Now().UnixMilli()
	return job.Append(&store.Append{
		ID: documentID(sequence), Doc: doc.Document, Summary: doc.summary, Record: record,
		Line: doc.line, Run: checkpoint.Run{ID: documentID(0)},
	})
}

// read implements reader.
func (s contentStore) read(sequence uint64, dst []byte) ([]byte, error) {
	c, err := s.Read(documentJob, sequence, dst)
	return c.JSON, err
}
