package proxy

import (
	"errors"

	"milepost/cache/store"
)

// seen returns the record of a job that a source lets its caller see, or
// errJobNotFound.
func (s *Server) seen(job string, source jobSource) (store.JobRecord, error) {
	record, err := s.store.Job(job)
	if errors.Is(err, store.ErrNotFound) || err == nil && !source.sees(&record) {
		err = errJobNotFound
	}
	return record, err
}

// same returns errJobNotFound if a job is not the one any more whose record was
// read before: it was deleted, and perhaps begun anew under the same id by another
// organization. Who answers with what was read after the record asks for this
// last. Any other error is of reading the store.
func (s *Server) same(job string, before *store.JobRecord) error {
	now, err := s.store.Job(job)
	if errors.Is(err, store.ErrNotFound) ||
		err == nil && (now.Organization != before.Organization || now.Copied != before.Copied || now.FirstAt != before.FirstAt) {
		return errJobNotFound
	}
	return err
}
