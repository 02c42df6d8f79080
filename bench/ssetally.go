package main

// tally counts the events of one subscriber by their sequence.
type tally struct {
	// next is the sequence that must come, 0 if any may be the first.
	next uint32
	// delivered counts different events.
	delivered int64
	// doubled counts events that came again, disordered those that came after
	// a later one.
	doubled, disordered int64
	// missing holds the sequences that were skipped and have not come since.
	missing map[uint32]bool
}

// count takes note of an event.
func (t *tally) count(sequence uint32) {
	if t.next == 0 {
		t.next = sequence
	}
	switch {
	case sequence == t.next:
		t.next++
		t.delivered++
	case sequence > t.next:
		t.skip(sequence)
		t.next = sequence + 1
		t.delivered++
	case t.missing[sequence]:
		delete(t.missing, sequence)
		t.disordered++
		t.delivered++
	default:
		t.doubled++
	}
}

// maxMissing bounds what is remembered of one subscriber's gaps.
const maxMissing = 1 << 16

// skip takes note that the sequences from next to before the given one are missing.
func (t *tally) skip(before uint32) {
	if t.missing == nil {
		t.missing = map[uint32]bool{}
	}
	for n := t.next; n < before && len(t.missing) < maxMissing; n++ {
		t.missing[n] = true
	}
}

// finish takes note that events up to and with last were published: what has
// not come is missing.
func (t *tally) finish(last uint32) {
	if t.next != 0 && last >= t.next {
		t.skip(last + 1)
		t.next = last + 1
	}
}

// lost returns the number of events that did not come.
func (t *tally) lost() int64 { return int64(len(t.missing)) }
