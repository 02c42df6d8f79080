package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"milepost/internal/checkpoint"
)

// Checkpoint is one stored checkpoint.
type Checkpoint struct {
	ID       string
	Sequence uint64
	// JSON is the checkpoint as it was appended, byte for byte.
	JSON []byte
}

// Sequence returns the sequence of a checkpoint of a job, or ErrNotFound if the
// job has no such checkpoint or it is not on disk yet.
func (s *Store) Sequence(job, id string) (uint64, error) {
	v, closer, err := s.db.Get(bytesKey(job, kindID, id))
	if err != nil {
		return 0, notFound(err)
	}
	defer closer.Close()
	r := newReader(v)
	sequence := r.uint()
	if r.err != nil {
		return 0, r.err
	}
	if s.visible(job, sequence) < sequence {
		return 0, ErrNotFound
	}
	return sequence, nil
}

// Read returns the checkpoint of a job with that sequence. Its JSON follows
// what dst holds, in the same memory if there is room. It does not check
// whether the checkpoint is on disk: take the sequence from Sequence or from
// Job.Count.
func (s *Store) Read(job string, sequence uint64, dst []byte) (Checkpoint, error) {
	return s.read(job, sequence, dst, nil)
}

// Outline is Read without the messages: where messages, newMessages and
// inputMessages have elements, some of them or null stand in their place. It
// costs what is new in the checkpoint and not what that repeats. The checksum is
// of the whole and cannot be held against it.
func (s *Store) Outline(job string, sequence uint64, dst []byte) ([]byte, error) {
	v, closer, err := s.db.Get(numberKey(job, kindCheckpoint, sequence))
	if err != nil {
		return nil, notFound(err)
	}
	defer closer.Close()
	record, rest, err := decodeCheckpointRecord(v)
	if err == nil {
		src := partSource{s: s, job: job}
		defer src.close()
		dst, err = src.outline(&record, rest, dst)
	}
	if err != nil {
		return nil, fmt.Errorf("outline of checkpoint %d of job %s: %w", sequence, job, err)
	}
	return dst, nil
}

// read is Read that tells placed, if set, where each part stands in the JSON.
func (s *Store) read(job string, sequence uint64, dst []byte, placed func(start, end int, ordinal uint64)) (Checkpoint, error) {
	c, err := s.readKey(job, numberKey(job, kindCheckpoint, sequence), dst, placed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint %d of job %s: %w", sequence, job, err)
	}
	c.Sequence = sequence
	return c, nil
}

// readKey is read of the checkpoint record under a key.
func (s *Store) readKey(job string, key, dst []byte, placed func(start, end int, ordinal uint64)) (Checkpoint, error) {
	v, closer, err := s.db.Get(key)
	if err != nil {
		return Checkpoint{}, notFound(err)
	}
	defer closer.Close()
	record, rest, err := decodeCheckpointRecord(v)
	if err != nil {
		return Checkpoint{}, err
	}
	src := partSource{s: s, job: job, placed: placed}
	defer src.close()
	out, err := src.rebuild(&record, rest, dst)
	if err != nil {
		return Checkpoint{}, err
	}
	return Checkpoint{ID: record.id, JSON: out}, nil
}

// Entry is what a scan tells of a checkpoint without reading its JSON.
type Entry struct {
	ID       string
	Sequence uint64
	Summary  checkpoint.Summary
	Size     int // bytes of the JSON
}

// Scan calls visit for the checkpoints of a job with sequences from first to
// last, both included, in that direction (first may be the greater), until it
// returns false or an error. visit must not block: the scan pins files of the
// database.
func (s *Store) Scan(job string, first, last uint64, visit func(Entry) (bool, error)) error {
	low, high := min(first, last), max(first, last)
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: numberKey(job, kindCheckpoint, low),
		UpperBound: numberKey(job, kindCheckpoint, high+1),
	})
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	defer it.Close()
	step, ok := it.Next, false
	if first <= last {
		ok = it.First()
	} else {
		step, ok = it.Prev, it.Last()
	}
	for ; ok; ok = step() {
		sequence, _ := keyNumber(it.Key())
		v, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		record, _, err := decodeCheckpointRecord(v)
		if err != nil {
			return fmt.Errorf("checkpoint %d of job %s: %w", sequence, job, err)
		}
		more, err := visit(Entry{ID: record.id, Sequence: sequence, Summary: record.summary, Size: record.size})
		if err != nil || !more {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	return nil
}

// partSource reads parts of one job in mostly ascending order.
type partSource struct {
	s   *Store
	job string
	it  *pebble.Iterator
	// placed, if set, is told where each part comes to stand.
	placed func(start, end int, ordinal uint64)

	// The parts record at hand: ordinals first to first+len(ends)-1.
	first uint64
	ends  []int
	block []byte
	valid bool
}

func (p *partSource) close() {
	if p.it != nil {
		_ = p.it.Close()
	}
}

// rebuild puts a checkpoint's JSON together and checks it.
func (p *partSource) rebuild(c *checkpointRecord, rest *reader, dst []byte) ([]byte, error) {
	literal, err := p.literal(c, rest)
	if err != nil {
		return nil, err
	}
	start := len(dst)
	out := dst
	if cap(out)-len(out) < c.size {
		out = make([]byte, start, start+c.size)
		copy(out, dst)
	}
	for _, o := range c.ops {
		if o.literal > len(literal) {
			return nil, fmt.Errorf("literal too short: %w", ErrCorrupt)
		}
		out = append(out, literal[:o.literal]...)
		literal = literal[o.literal:]
		if out, err = p.appendParts(out, start, o, start+c.size); err != nil {
			return nil, err
		}
	}
	if err := c.verify(out[start:]); err != nil {
		return nil, err
	}
	return out, nil
}

// literal returns what stands between the parts of a checkpoint.
func (p *partSource) literal(c *checkpointRecord, rest *reader) ([]byte, error) {
	if !c.literalInParts {
		literal := rest.unpack(nil)
		return literal, rest.err
	}
	v, closer, err := p.s.db.Get(numberKey(p.job, kindParts, c.partsFirst))
	if err != nil {
		return nil, notFound(err)
	}
	err = p.load(c.partsFirst, v)
	_ = closer.Close()
	if err != nil {
		return nil, err
	}
	end := 0
	if n := len(p.ends); n > 0 {
		end = p.ends[n-1]
	}
	// Later loads use the scratch memory again.
	return append([]byte(nil), p.block[end:]...), nil
}

// outline puts a checkpoint's JSON together with null for each run of parts.
func (p *partSource) outline(c *checkpointRecord, rest *reader, dst []byte) ([]byte, error) {
	literal, err := p.literal(c, rest)
	if err != nil {
		return nil, err
	}
	for _, o := range c.ops {
		if o.literal > len(literal) {
			return nil, fmt.Errorf("literal too short: %w", ErrCorrupt)
		}
		dst = append(dst, literal[:o.literal]...)
		literal = literal[o.literal:]
		if o.count > 0 {
			dst = append(dst, "null"...)
		}
	}
	return dst, nil
}

// appendParts appends the parts of an op, joined by commas, to a JSON that
// begins at start; limit is the length that a sound record cannot exceed.
func (p *partSource) appendParts(out []byte, start int, o op, limit int) ([]byte, error) {
	for n := range o.count {
		ordinal := o.first + n
		if err := p.seek(ordinal); err != nil {
			return nil, err
		}
		i := int(ordinal - p.first)
		begin := 0
		if i > 0 {
			begin = p.ends[i-1]
		}
		if n > 0 {
			out = append(out, ',')
		}
		if out = append(out, p.block[begin:p.ends[i]]...); len(out) > limit {
			return nil, fmt.Errorf("parts too long: %w", ErrCorrupt)
		}
		if p.placed != nil {
			end := len(out) - start
			p.placed(end-(p.ends[i]-begin), end, ordinal)
		}
	}
	return out, nil
}

// seek makes the record that holds a part the one at hand.
func (p *partSource) seek(ordinal uint64) error {
	if p.has(ordinal) {
		return nil
	}
	if p.it == nil {
		it, err := p.s.db.NewIter(&pebble.IterOptions{
			LowerBound: numberKey(p.job, kindParts, 0),
			UpperBound: dataKeyAfter(p.job, kindParts),
		})
		if err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		p.it = it
	}
	// The next record is mostly the one.
	ok := p.it.Valid() && p.it.Next()
	if ok {
		if n, _ := keyNumber(p.it.Key()); n != ordinal {
			ok = false
		}
	}
	if !ok {
		ok = p.it.SeekLT(numberKey(p.job, kindParts, ordinal+1))
	}
	if !ok {
		if err := p.it.Error(); err != nil {
			return fmt.Errorf("cannot read from the store: %w", err)
		}
		return fmt.Errorf("part %d is missing: %w", ordinal, ErrCorrupt)
	}
	first, _ := keyNumber(p.it.Key())
	v, err := p.it.ValueAndErr()
	if err != nil {
		return fmt.Errorf("cannot read from the store: %w", err)
	}
	if err := p.load(first, v); err != nil {
		return err
	}
	if !p.has(ordinal) {
		return fmt.Errorf("part %d is missing: %w", ordinal, ErrCorrupt)
	}
	return nil
}

func (p *partSource) has(ordinal uint64) bool {
	return p.valid && ordinal >= p.first && ordinal-p.first < uint64(len(p.ends))
}

// load unpacks a parts record.
func (p *partSource) load(first uint64, v []byte) error {
	p.valid = false
	r := newReader(v)
	n := r.length(uint64(len(v)))
	p.ends = p.ends[:0]
	total := 0
	for range n {
		total += r.length(maxUnpacked)
		p.ends = append(p.ends, total)
	}
	total += r.length(maxUnpacked) // the literal
	p.block = r.unpack(p.block[:0])
	if r.err == nil && total != len(p.block) {
		r.fail()
	}
	p.first, p.valid = first, r.err == nil
	return r.err
}

// dataKeyAfter is the end of the keys of one kind.
func dataKeyAfter(job string, kind byte) []byte { return dataKey(job, kind+1) }
