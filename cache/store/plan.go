package store

import (
	"bytes"
	"hash/crc32"
	"slices"

	"milepost/internal/checkpoint"
)

const (
	// minPart is the length below which a part is kept as literal: a reference
	// and its place among the parts would take as much space.
	minPart = 64
	// maxNewParts bounds the work that one checkpoint can cause: each new part
	// is sought among the others. What exceeds it is kept as literal: right,
	// just not shared with later checkpoints.
	maxNewParts = 4096
	// maxResyncs bounds the searches for the place where the messages go on
	// after some of them moved, so that shuffled parts cost no more than hashed
	// ones.
	maxResyncs = 64
)

// plan is how a checkpoint is going to be stored. Its slices are of a scratch
// and used up before the next plan is made.
type plan struct {
	record checkpointRecord
	parts  []byte // the parts record's value, nil if no part is new
	first  uint64 // ordinal of the first new part
	fresh  int    // number of new parts
	next   *line  // what the line's next checkpoint compares with
}

// makePlan cuts doc at its parts. previous is the last checkpoint of the line,
// nil if there is none; what it does not hold counts as new.
func makePlan(w *scratch, doc checkpoint.Document, previous *line, firstOrdinal uint64) plan {
	p := plan{first: firstOrdinal, next: &line{json: doc.JSON, held: max(cap(doc.Enveloped), cap(doc.JSON))}}
	var (
		json     = doc.JSON
		cursor   int               // in previous.parts: the part that is expected next
		fresh    = w.hashes[:0]    // of the new parts
		newParts = w.newParts[:0]  // where they stand
		literals = w.literals[:0]  // pieces between the parts
		parts    = w.lineParts[:0] // of next
		ops      = w.ops[:0]
		litStart int // where the current literal begins
		hashed   int
		resyncs  int
	)
	if previous == nil {
		previous = &line{}
	}

	for _, span := range doc.Parts {
		part := json[span.Start:span.End]
		if len(part) < minPart {
			continue
		}
		var ordinal, hash uint64
		repeated := false // within this same checkpoint
		if cursor < len(previous.parts) && bytes.Equal(part, previous.slice(cursor)) {
			ordinal, hash = previous.parts[cursor].ordinal, previous.parts[cursor].hash
			cursor++
		} else {
			if hashed >= 2*maxNewParts {
				continue
			}
			hashed++
			hash = hashPart(part)
			i, moved := indexPart(fresh, newParts, json, hash, part), -1
			if i < 0 && resyncs < maxResyncs {
				moved = previous.find(hash, part)
			}
			switch {
			case i >= 0:
				ordinal, repeated = firstOrdinal+uint64(i), true
			case moved >= 0:
				// The messages may have moved (a context was shortened): go on
				// comparing behind where this one stood.
				resyncs++
				ordinal, cursor = previous.parts[moved].ordinal, moved+1
			case len(newParts) < maxNewParts:
				ordinal = firstOrdinal + uint64(len(newParts))
				newParts = append(newParts, span)
				fresh = append(fresh, hash)
			default:
				continue
			}
		}
		if !repeated {
			parts = append(parts, linePart{span.Start, span.End, ordinal, hash})
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
	w.hashes, w.newParts, w.literals, w.lineParts, w.ops = fresh, newParts, literals, parts, ops
	// In memory of their own, for they are kept: of the parts that doc has, many
	// may be too small to count.
	p.next.parts, p.next.messages = slices.Clone(parts), slices.Clone(doc.Messages)

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

	if p.fresh = len(newParts); p.fresh > 0 {
		rec := partsRecord{sizes: w.sizes[:0], block: w.block[:0]}
		for _, s := range newParts {
			rec.sizes = append(rec.sizes, s.End-s.Start)
		}
		rec.block = appendSpans(rec.block, json, newParts)
		if c.literalInParts {
			rec.literal = literalSize
			rec.block = appendSpans(rec.block, json, literals)
		}
		w.sizes, w.block = rec.sizes, rec.block
		w.parts = rec.encode(w.parts)
		p.parts = w.parts
	}
	if !c.literalInParts {
		w.literal = appendSpans(w.literal[:0], json, literals)
		c.literal = w.literal
	}
	return p
}

// indexPart returns which of the new parts is part, or -1. Few are new in most
// checkpoints, and their number is bounded, so there is no map of them.
func indexPart(hashes []uint64, parts []checkpoint.Span, json []byte, hash uint64, part []byte) int {
	for i, h := range hashes {
		if h == hash && bytes.Equal(part, json[parts[i].Start:parts[i].End]) {
			return i
		}
	}
	return -1
}

func appendSpans(dst, json []byte, spans []checkpoint.Span) []byte {
	for _, s := range spans {
		dst = append(dst, json[s.Start:s.End]...)
	}
	return dst
}
