package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"milepost/internal/checkpoint"
)

const (
	// minPart is the length below which a part is kept as literal: a reference
	// and its hash would take as much space as the part.
	minPart = 64
	// maxNewParts bounds the keys that one checkpoint can cause. What exceeds
	// it is kept as literal: right, just not shared with later checkpoints.
	maxNewParts = 4096
	// maxResyncs bounds the searches for the place where the messages go on
	// after some of them moved, so that shuffled parts cost no more than hashed
	// ones.
	maxResyncs = 64
)

// plan is how a checkpoint is going to be stored.
type plan struct {
	record checkpointRecord
	parts  []byte              // the parts record's value, nil if no part is new
	first  uint64              // ordinal of the first new part
	hashes [][sha256.Size]byte // of the new parts, in order of their ordinals
	next   *line               // what the line's next checkpoint compares with
}

// line remembers the last checkpoint of a run's line: its JSON, and where in it
// each referenced part stands. The next checkpoint of the line mostly repeats
// these parts, and comparing bytes is many times cheaper than hashing them.
type line struct {
	json  []byte
	parts []linePart
}

type linePart struct {
	start, end int
	ordinal    uint64
	hash       uint64 // beginning of the part's SHA-256
}

// cost is the memory that a line holds on to.
func (l *line) cost() int64 { return int64(len(l.json)) + int64(len(l.parts))*32 }

// makePlan cuts doc at its parts. lookup finds the ordinal of a part stored
// before by its hash.
func makePlan(doc checkpoint.Document, previous *line, firstOrdinal uint64,
	lookup func(*[sha256.Size]byte) (uint64, bool, error)) (*plan, error) {

	p := &plan{first: firstOrdinal, next: &line{json: doc.JSON}}
	var (
		json     = doc.JSON
		cursor   int // in previous.parts: the part that is expected next
		fresh    map[[sha256.Size]byte]uint64
		newParts []checkpoint.Span
		literals []checkpoint.Span // pieces between the parts
		ops      []op
		litStart int // where the current literal begins
		hashed   int
		resyncs  int
	)
	if previous == nil {
		previous = &line{}
	}
	p.next.parts = make([]linePart, 0, len(doc.Parts))

	for _, span := range doc.Parts {
		part := json[span.Start:span.End]
		if len(part) < minPart {
			continue
		}
		var ordinal, id uint64
		repeated := false // within this same checkpoint
		if cursor < len(previous.parts) && bytes.Equal(part, previous.slice(cursor)) {
			ordinal, id = previous.parts[cursor].ordinal, previous.parts[cursor].hash
			cursor++
		} else {
			if hashed >= 2*maxNewParts {
				continue
			}
			hashed++
			hash := sha256.Sum256(part)
			known, found := fresh[hash]
			repeated = found
			short := binary.LittleEndian.Uint64(hash[:])
			switch {
			case found:
			case len(previous.parts) > 0:
				// The messages may have moved (a context was shortened): go on
				// comparing behind where this one stood. What the checkpoint
				// before does not have counts as new. Asking the database would
				// find the rare part that was dropped and came back, and cost
				// a third of every write.
				if i := previous.find(short, part); i >= 0 && resyncs < maxResyncs {
					resyncs++
					known, found, cursor = previous.parts[i].ordinal, true, i+1
				}
			case firstOrdinal > 0:
				// A new line of an old job, or the memory of it is gone.
				var err error
				if known, found, err = lookup(&hash); err != nil {
					return nil, err
				}
			}
			id = short
			switch {
			case found:
				ordinal = known
			case len(newParts) < maxNewParts:
				ordinal = firstOrdinal + uint64(len(newParts))
				newParts = append(newParts, span)
				p.hashes = append(p.hashes, hash)
				if fresh == nil {
					fresh = make(map[[sha256.Size]byte]uint64)
				}
				fresh[hash] = ordinal
			default:
				continue
			}
		}
		if !repeated {
			p.next.parts = append(p.next.parts, linePart{span.Start, span.End, ordinal, id})
		}
		if n := len(ops); n > 0 && ordinal == ops[n-1].first+ops[n-1].count &&
			span.Start == litStart+1 && json[litStart] == ',' {
			ops[n-1].count++
		} else {
			ops = append(ops, op{literal: span.Start - litStart, first: ordinal, count: 1})
			literals = append(literals, checkpoint.Span{Start: litStart, End: span.Start})
		}
		litStart = span.End
	}
	ops = append(ops, op{literal: len(json) - litStart})
	literals = append(literals, checkpoint.Span{Start: litStart, End: len(json)})

	literalSize := 0
	for _, l := range literals {
		literalSize += l.End - l.Start
	}
	c := &p.record
	c.size = len(json)
	c.crc = crc32.Checksum(json, castagnoli)
	c.ops = ops
	c.literalInParts = len(newParts) > 0 && literalSize <= maxLiteralInParts
	c.partsFirst = firstOrdinal

	if len(newParts) > 0 {
		rec := partsRecord{sizes: make([]int, len(newParts))}
		total := 0
		for i, s := range newParts {
			rec.sizes[i] = s.End - s.Start
			total += rec.sizes[i]
		}
		if c.literalInParts {
			rec.literal = literalSize
		}
		rec.block = make([]byte, 0, total+rec.literal)
		for _, s := range newParts {
			rec.block = append(rec.block, json[s.Start:s.End]...)
		}
		if c.literalInParts {
			rec.block = appendSpans(rec.block, json, literals)
		}
		p.parts = rec.encode()
	}
	if !c.literalInParts {
		c.literal = appendSpans(make([]byte, 0, literalSize), json, literals)
	}
	return p, nil
}

func appendSpans(dst, json []byte, spans []checkpoint.Span) []byte {
	for _, s := range spans {
		dst = append(dst, json[s.Start:s.End]...)
	}
	return dst
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
