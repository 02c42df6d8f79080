package store

import (
	"sync"

	"milepost/internal/checkpoint"
)

// scratch is the memory in which an append is prepared. What is written into
// the batch is copied there, so it serves the next append as well.
type scratch struct {
	hashes    []uint64
	newParts  []checkpoint.Span
	literals  []checkpoint.Span
	lineParts []linePart
	ops       []op
	sizes     []int

	block   []byte // of the parts record, before packing
	literal []byte // as it stands in the checkpoint record, before packing
	parts   writer // the parts record
	value   writer // any other value
	key     []byte
}

// maxScratch is the size in bytes of a block beyond which a scratch is not used
// again, so that one huge checkpoint does not pin its memory for ever.
const maxScratch = 256 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (w *scratch) release() {
	if cap(w.block)+cap(w.literal)+cap(w.parts)+cap(w.value)+32*cap(w.newParts)+32*cap(w.lineParts) <= maxScratch {
		scratches.Put(w)
	}
}
