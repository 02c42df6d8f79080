package store

import (
	"encoding/binary"
	"fmt"
	"time"
)

// spaceTicket is the key space of the tickets that were used:
//
//	t  <time of expiry, seconds> <ticket id>   nothing but the format's version
const spaceTicket = 't'

// ticketKey begins with the time of expiry, so that what has expired is one
// range.
func ticketKey(expires time.Time, id string) []byte {
	k := binary.BigEndian.AppendUint64([]byte{spaceTicket}, uint64(max(expires.Unix(), 0)))
	return append(k, id...)
}

// UseTicket notes that a ticket was used, until it expires, and waits until that
// is on disk. It drops the notes of tickets that have expired by now.
func (s *Store) UseTicket(id string, expires, now time.Time) error {
	batch := s.db.NewBatch()
	_ = batch.DeleteRange(ticketKey(time.Time{}, ""), ticketKey(now, ""), nil)
	_ = batch.Set(ticketKey(expires, id), []byte{formatVersion}, nil)
	if err := s.apply(batch); err != nil {
		return err
	}
	if err := batch.SyncWait(); err != nil {
		s.fail(fmt.Errorf("pebble: sync of the write-ahead log: %w", err))
		return s.Err()
	}
	return batch.Close()
}

// TicketUsed reports whether a ticket was used before.
func (s *Store) TicketUsed(id string, expires time.Time) (bool, error) {
	v, err := s.get(ticketKey(expires, id))
	return v != nil, err
}
