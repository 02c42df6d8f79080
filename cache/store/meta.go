package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// storeFormat is the version of the key grammar as a whole. It changes only
// when an older program could not work beside a newer one's keys. An older
// store is brought up to it when it is opened:
//
//	2  the jobs of an organization are listed
const storeFormat = 2

// checkFormat refuses a store of a newer grammar, marks a new one, and brings one
// of an older grammar up to date.
func (s *Store) checkFormat() error {
	v, err := s.Meta("format")
	switch {
	case err != nil:
		return err
	case v == nil:
		return s.markFormat()
	case len(v) != 4:
		return fmt.Errorf("format mark of %d bytes: %w", len(v), ErrCorrupt)
	}
	switch got := binary.BigEndian.Uint32(v); {
	case got > storeFormat:
		return fmt.Errorf("store format %d, this program knows up to %d: %w", got, storeFormat, ErrNewerFormat)
	case got < storeFormat:
		if err := s.listJobs(); err != nil {
			return err
		}
		return s.markFormat()
	}
	return nil
}

func (s *Store) markFormat() error {
	return s.SetMeta("format", binary.BigEndian.AppendUint32(nil, storeFormat))
}

// Meta returns a store-wide value by name, nil if there is none.
func (s *Store) Meta(name string) ([]byte, error) { return s.get(metaKey(name)) }

// SetMeta writes a store-wide value and waits until it is on disk.
func (s *Store) SetMeta(name string, value []byte) error {
	batch := s.db.NewBatch()
	_ = batch.Set(metaKey(name), value, nil)
	if err := s.apply(batch); err != nil {
		return err
	}
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return s.Err()
	}
	return batch.Close()
}

// Expert returns the digest that an organization's expert was registered with,
// as it was passed to Append, or nil.
func (s *Store) Expert(org, key string) ([]byte, error) { return s.registration(expertKey(org, key)) }

// Organization returns what was stored of an organization, or nil.
func (s *Store) Organization(org string) ([]byte, error) {
	return s.registration(organizationKey(org))
}

func (s *Store) registration(key []byte) ([]byte, error) {
	v, err := s.get(key)
	if v == nil {
		return nil, err
	}
	r := newReader(v)
	return r.b, r.err
}

// get returns a copy of a value, nil if there is none.
func (s *Store) get(key []byte) ([]byte, error) {
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read from the store: %w", err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}
