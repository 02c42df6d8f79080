package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Use is what a data directory is for: it serves one or the other.
type Use string

const (
	// UseOwn is for jobs that are the store's own.
	UseOwn Use = "own"
	// UseCopies is for copies of an upstream's jobs.
	UseCopies Use = "copies"
)

// ErrOtherUse says that the data directory is for the other use.
var ErrOtherUse = errors.New("the data directory has another use")

// useName is the name under which the store keeps its use.
const useName = "use"

// Dedicate marks the store as being for a use, for good once there is something
// of that use in it; one of the other use is ErrOtherUse, and stays what it is. A
// store from before there was a mark, or that is empty, is what it holds. If it
// holds both, it has been used as both, and is for the jobs of its own, which are
// nowhere else.
func (s *Store) Dedicate(to Use) error {
	v, err := s.Meta(useName)
	if err != nil || Use(v) == to {
		return err
	}
	held, err := s.held()
	if err != nil {
		return err
	}
	if held != "" && v != nil {
		held = Use(v)
	}
	if held != "" && held != to {
		return fmt.Errorf("cannot use %q: %w", s.opts.Dir, ErrOtherUse)
	}
	return s.SetMeta(useName, []byte(to))
}

// held returns the use that what is in the store tells of, "" if nothing is.
func (s *Store) held() (u Use, err error) {
	// What waits to be delivered to an upstream may be there without its job.
	spooled, err := s.any(spaceLetter)
	if err != nil {
		return "", err
	}
	if spooled {
		u = UseCopies
	}
	err = s.Jobs(func(_ string, r JobRecord) bool {
		if r.Copied {
			u = UseCopies
			return true
		}
		u = UseOwn
		return false
	})
	return u, err
}

// any reports whether there is anything in a key space.
func (s *Store) any(space byte) (bool, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{space}, UpperBound: []byte{space + 1}})
	if err != nil {
		return false, fmt.Errorf("cannot read from the store: %w", err)
	}
	found := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return false, fmt.Errorf("cannot read from the store: %w", err)
	}
	return found, nil
}
