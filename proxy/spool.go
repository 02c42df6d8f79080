package proxy

import (
	"errors"

	"milepost/cache/store"
)

// ErrNoSpool says that the server is not in front of an upstream with auth
// "local", without which there is no spool.
var ErrNoSpool = errors.New(`there is no spool without upstream.url and upstream.auth = "local"`)

// Spooled returns what waits for the upstream, and what it has refused, by jobs and
// in the order of delivery. The error is ErrNoSpool or of reading the store.
func (s *Server) Spooled() ([]store.Letter, error) {
	p, err := s.spool()
	if err != nil {
		return nil, err
	}
	return p.letters.List()
}

// RetrySpooled puts a checkpoint that the upstream has refused back to those that
// wait, behind those of its job, or all of them if id is empty. It returns how many
// that were. The error is ErrNoSpool, store.ErrNotFound if none that was refused has
// that id, or of writing the store.
func (s *Server) RetrySpooled(id string) (n int, err error) {
	p, err := s.spool()
	if err != nil {
		return 0, err
	}
	letters, err := p.letters.List()
	if err != nil {
		return 0, err
	}
	for _, l := range letters {
		if !l.Dead || id != "" && l.ID != id {
			continue
		}
		if err := p.retry(l); err != nil {
			return n, err
		}
		n++
	}
	if n == 0 && id != "" {
		return 0, store.ErrNotFound
	}
	return n, nil
}

// DropSpooled removes a checkpoint that the upstream does not have, from the spool
// and from the copy. The error is ErrNoSpool, store.ErrNotFound if none has that
// id, or of writing the store.
func (s *Server) DropSpooled(id string) error {
	p, err := s.spool()
	if err != nil {
		return err
	}
	l, err := p.letters.Find(id)
	if err != nil {
		return err
	}
	return p.drop(l)
}

// DeleteJob removes a job from the store, and what of it waits for an upstream.
func (s *Server) DeleteJob(job string) error {
	p, err := s.spool()
	if err != nil {
		return s.store.Delete(job)
	}
	if err := p.letters.Delete(job); err != nil {
		return err
	}
	p.holds.release(job)
	return nil
}

func (s *Server) spool() (*spool, error) {
	if s.sidecar == nil || s.sidecar.spool == nil {
		return nil, ErrNoSpool
	}
	return s.sidecar.spool, nil
}
