package store

import (
	"fmt"
	"hash/crc32"

	"milepost/internal/checkpoint"
)

// A checkpoint is stored as references and what is new. Its JSON is cut at its
// parts (the elements of messages, newMessages and inputMessages): a part that
// the job has stored before is referred to by its ordinal, a new one goes into
// the parts record of this checkpoint, and everything between the parts is the
// checkpoint's literal. A job of n steps, each repeating all messages before
// it, so takes space for its n steps and not for n².

// op says how a piece of the JSON comes about: literal bytes first, then a run
// of parts with consecutive ordinals, joined by commas.
type op struct {
	literal      int
	first, count uint64
}

// checkpointRecord is the value under a checkpoint's sequence.
type checkpointRecord struct {
	id      string
	summary checkpoint.Summary
	size    int    // bytes of the JSON
	crc     uint32 // Castagnoli, of the JSON
	ops     []op

	// The literal stands in the checkpoint's own parts record when it is short
	// and there is one: both are compressed as one, and a tool result mostly
	// repeats what the new message says. A long one stands here, so that
	// reading a later checkpoint, which needs those parts, need not unpack it.
	literalInParts bool
	partsFirst     uint64 // ordinal of that parts record
	literal        []byte // packed, unless literalInParts
}

// maxLiteralInParts bounds what every later reader of the same parts must
// unpack for nothing.
const maxLiteralInParts = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes the record into the memory of dst.
func (c *checkpointRecord) encode(dst writer) writer {
	w := startWriter(dst)
	w.string(c.id)
	w.string(c.summary.Status)
	w.string(c.summary.ActionType)
	w.string(c.summary.ExpertKey)
	w.string(c.summary.SkillName)
	w.string(c.summary.ToolName)
	w.uint(uint64(c.size))
	w.uint32(c.crc)
	w.uint(uint64(len(c.ops)))
	// Ordinals mostly go on where the run before ended, so the difference is
	// small and one byte.
	var next uint64
	for _, o := range c.ops {
		w.uint(uint64(o.literal))
		w.int(int64(o.first - next))
		w.uint(o.count)
		next = o.first + o.count
	}
	w.bool(c.literalInParts)
	if c.literalInParts {
		w.uint(c.partsFirst)
	} else {
		w.pack(c.literal)
	}
	return w
}

// decodeCheckpointRecord reads a record; literal is left packed in rest.
func decodeCheckpointRecord(b []byte) (c checkpointRecord, rest *reader, err error) {
	r := newReader(b)
	c.id = r.string()
	c.summary = checkpoint.Summary{
		Status: r.string(), ActionType: r.string(), ExpertKey: r.string(),
		SkillName: r.string(), ToolName: r.string(),
	}
	c.size = r.length(maxUnpacked)
	c.crc = r.uint32()
	// An op takes three bytes at least.
	n := r.length(uint64(len(r.b) / 3))
	c.ops = make([]op, 0, n)
	var next uint64
	for range n {
		o := op{literal: r.length(maxUnpacked)}
		o.first = next + uint64(r.int())
		o.count = r.uint()
		next = o.first + o.count
		c.ops = append(c.ops, o)
	}
	c.literalInParts = r.bool()
	if c.literalInParts {
		c.partsFirst = r.uint()
	}
	return c, r, r.err
}

// partsRecord is the value under the ordinal of its first part: the new parts
// of one checkpoint one after the other, then perhaps its literal.
type partsRecord struct {
	sizes   []int
	literal int
	block   []byte
}

// encode writes the record into the memory of dst.
func (p *partsRecord) encode(dst writer) writer {
	w := startWriter(dst)
	w.uint(uint64(len(p.sizes)))
	for _, n := range p.sizes {
		w.uint(uint64(n))
	}
	w.uint(uint64(p.literal))
	w.pack(p.block)
	return w
}

// verify compares a rebuilt JSON with what was written.
func (c *checkpointRecord) verify(json []byte) error {
	if len(json) != c.size || crc32.Checksum(json, castagnoli) != c.crc {
		return fmt.Errorf("checkpoint %s does not rebuild to what was written: %w", c.id, ErrCorrupt)
	}
	return nil
}
