package store

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"

	"milepost/internal/checkpoint"
)

// line remembers the last checkpoint of a run's line: its JSON, and where in it
// each referenced part stands. The next checkpoint of the line mostly repeats
// these parts, and comparing bytes is many times cheaper than hashing them.
type line struct {
	json  []byte
	parts []linePart
	// messages are the elements of that list, of an append; organization is the
	// job's.
	messages     []checkpoint.Span
	organization string
	// held is the memory in bytes that json is part of.
	held int
}

type linePart struct {
	start, end int
	ordinal    uint64
	hash       uint64 // hashPart of it
}

// cost is the memory that a line holds on to.
func (l *line) cost() int64 {
	return int64(l.held) + int64(cap(l.parts))*32 + int64(cap(l.messages))*16
}

func (l *line) slice(i int) []byte { return l.json[l.parts[i].start:l.parts[i].end] }

// find returns where a part stands, or -1.
func (l *line) find(hash uint64, part []byte) int {
	for i := range l.parts {
		if l.parts[i].hash == hash && bytes.Equal(part, l.slice(i)) {
			return i
		}
	}
	return -1
}

var partSeed = maphash.MakeSeed()

// hashPart tells most different parts apart; those that it does not are
// compared. Nothing of it is stored, and with its seed it cannot be attacked.
func hashPart(part []byte) uint64 { return maphash.Bytes(partSeed, part) }

// previous returns the checkpoint that the line's next one is compared with,
// nil if there is none: the line's last with parts, from memory or, after the
// memory of it is gone, from the store; for a new line the coordinator's.
func (j *Job) previous(of checkpoint.Line) (*line, error) {
	if last := j.store.lines.get(j.id, of); last != nil {
		return last, nil
	}
	at, err := j.lastAt(of)
	switch {
	case err != nil:
		return nil, err
	case at == 0 && of != (checkpoint.Line{}):
		return j.previous(checkpoint.Line{})
	case at == 0:
		return nil, nil
	}
	last, err := j.store.readLine(j.id, at)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) {
		// Damage to an old checkpoint is reported to those who read it. The
		// next one needs nothing of it: its parts are stored anew.
		return nil, nil
	}
	return last, err
}

// maxRecent is how many lines of a job Messages looks at: more than run at the
// same time in most.
const maxRecent = 4

// Messages returns the messages of the last checkpoints of a job, those of them
// that are in memory, for checkpoint.ParseNext. It returns none to another
// organization than the job's, which is to learn nothing of them, not even by the
// time that something takes.
func (s *Store) Messages(organization, job string) (known []checkpoint.Messages) {
	for _, l := range s.lines.recent(job, maxRecent) {
		if len(l.messages) > 0 && l.organization == organization {
			known = append(known, checkpoint.Messages{JSON: l.json, Elements: l.messages})
		}
	}
	return known
}

// lastAt returns the sequence of the line's last checkpoint with parts, 0 if it
// has none.
func (j *Job) lastAt(of checkpoint.Line) (uint64, error) {
	if of == (checkpoint.Line{}) {
		return j.record.CoordinatorAt, nil
	}
	_, at, err := j.run(of)
	return at, err
}

// readLine reads a checkpoint back as one to compare with.
func (s *Store) readLine(job string, sequence uint64) (*line, error) {
	l := new(line)
	seen := make(map[uint64]bool)
	c, err := s.read(job, sequence, nil, func(start, end int, ordinal uint64) {
		// As in a plan, a part that stands twice is expected once.
		if !seen[ordinal] {
			seen[ordinal] = true
			l.parts = append(l.parts, linePart{start: start, end: end, ordinal: ordinal})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read what checkpoint follows: %w", err)
	}
	l.json, l.held = c.JSON, cap(c.JSON)
	for i := range l.parts {
		l.parts[i].hash = hashPart(l.slice(i))
	}
	return l, nil
}
