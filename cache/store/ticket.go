package store

import (
	"encoding/binary"
	"fmt"
	"sync"
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

// sweepInterval is how often the notes of expired tickets are dropped, at most.
const sweepInterval = time.Hour

// ticketSweep knows up to which time of expiry the notes have been dropped.
type ticketSweep struct {
	mu    sync.Mutex
	until time.Time // the zero time since the start
}

// next returns the times of expiry to drop the notes between, or false if that is
// not due. It begins where the last one ended: range tombstones that overlap one
// another in a memtable take memory and time by the square of their number.
func (t *ticketSweep) next(now time.Time) (from, to time.Time, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.until) < sweepInterval {
		return from, to, false
	}
	from, t.until = t.until, now
	return from, now, true
}

// UseTicket notes that a ticket was used, until it expires, and waits until that
// is on disk. Once in a while it drops the notes of tickets that have expired by
// now.
func (s *Store) UseTicket(id string, expires, now time.Time) error {
	batch := s.db.NewBatch()
	if from, to, due := s.tickets.next(now); due {
		_ = batch.DeleteRange(ticketKey(from, ""), ticketKey(to, ""), nil)
	}
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
