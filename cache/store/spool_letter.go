package store

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"milepost/internal/checkpoint"
)

// The spool holds what was accepted in front of an upstream that could not be
// reached, until the upstream has it (docs/decisions/0007-spool.md). Its letters
// stand in two key spaces of their own, so that nothing that happens to a copy
// takes them:
//
//	s  <job> <number>      letter: what is known of it but its body
//	b  <job> <number>      body of the request
//
// and what they mean for the copy of their job in its range:
//
//	d  <job> a <local id>  the upstream's id, empty as long as it has none
//	d  <job> x             relation
const (
	spaceLetter = 's'
	spaceBody   = 'b'

	kindLocal    = 'a'
	kindRelation = 'x'
)

// MaxRefusal bounds what is kept of an upstream's answer that refuses a letter,
// in bytes.
const MaxRefusal = 4 << 10

// Letter is a request to create a checkpoint that waits for its upstream.
type Letter struct {
	Job string
	ID  string // local id of the checkpoint
	// Key is the Idempotency-Key under which it is delivered, always the same, and
	// Body the hash of the body under which the caller sent it.
	Key  string
	Body [sha256.Size]byte
	Size int // of the body in bytes
	// Target is the path and query of the request, ContentType its header's value.
	Target, ContentType string
	// Delegator is the id in checkpoint.delegatedBy, which may be a local one too.
	Delegator string
	At        time.Time // of its acceptance, in whole milliseconds

	// Dead says that the upstream has refused it for good: with this status and
	// body, of which the first MaxRefusal bytes are kept, at that time.
	Dead      bool
	Status    int
	Refusal   []byte
	RefusedAt time.Time

	number, order uint64
}

func letterKey(space byte, job string, number uint64) []byte {
	k := append(make([]byte, 0, 1+checkpoint.IDLen+8), space)
	return binary.BigEndian.AppendUint64(append(k, job...), number)
}

func (l *Letter) encode() []byte {
	w := newWriter(256 + len(l.Refusal))
	w.string(l.ID)
	w.string(l.Key)
	w.raw(l.Body[:])
	w.uint(uint64(l.Size))
	w.string(l.Target)
	w.string(l.ContentType)
	w.string(l.Delegator)
	w.int(l.At.UnixMilli())
	w.uint(l.order)
	w.bool(l.Dead)
	if l.Dead {
		w.uint(uint64(l.Status))
		w.string(string(l.Refusal))
		w.int(l.RefusedAt.UnixMilli())
	}
	return w
}

// decodeLetter reads a letter under its key.
func decodeLetter(key, value []byte) (Letter, error) {
	r := newReader(value)
	l := Letter{ID: r.string(), Key: r.string()}
	copy(l.Body[:], r.take(sha256.Size))
	l.Size = r.length(maxUnpacked)
	l.Target, l.ContentType, l.Delegator = r.string(), r.string(), r.string()
	l.At, l.order = time.UnixMilli(r.int()), r.uint()
	if l.Dead = r.bool(); l.Dead {
		l.Status, l.Refusal, l.RefusedAt = r.length(999), []byte(r.string()), time.UnixMilli(r.int())
	}
	number, ok := keyNumber(key)
	if !ok || len(key) != 1+checkpoint.IDLen+8 {
		r.fail()
	}
	if r.err != nil {
		return Letter{}, r.err
	}
	l.Job, l.number = string(key[1:1+checkpoint.IDLen]), number
	return l, nil
}
