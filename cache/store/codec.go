package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/klauspost/compress/s2"
)

// Every value starts with the version of its format. A value of a newer
// version was written by a newer program and is refused, never guessed at.
const formatVersion = 1

// ErrNewerFormat says that a value or the whole store was written by a newer
// version of the program.
var ErrNewerFormat = errors.New("written by a newer version of milepost: upgrade the program or restore an older backup")

// ErrCorrupt says that a stored value does not read back as it was written.
var ErrCorrupt = errors.New("stored value is damaged")

// writer appends the primitives that records are made of.
type writer []byte

// newWriter starts a value, with room for capacity bytes.
func newWriter(capacity int) writer { return append(make(writer, 0, capacity), formatVersion) }

// startWriter starts a value in the memory of dst.
func startWriter(dst writer) writer { return append(dst[:0], formatVersion) }

func (w *writer) uint(n uint64)   { *w = binary.AppendUvarint(*w, n) }
func (w *writer) int(n int64)     { *w = binary.AppendVarint(*w, n) }
func (w *writer) byte(b byte)     { *w = append(*w, b) }
func (w *writer) raw(b []byte)    { *w = append(*w, b...) }
func (w *writer) string(s string) { w.uint(uint64(len(s))); *w = append(*w, s...) }
func (w *writer) float(f float64) { *w = binary.LittleEndian.AppendUint64(*w, math.Float64bits(f)) }
func (w *writer) uint32(n uint32) { *w = binary.LittleEndian.AppendUint32(*w, n) }

func (w *writer) bool(b bool) {
	if b {
		w.byte(1)
	} else {
		w.byte(0)
	}
}

// reader takes primitives off a value. The first fault sticks; callers check
// err once, at the end.
type reader struct {
	b   []byte
	err error
}

// newReader checks the version byte of a value.
func newReader(b []byte) *reader {
	r := &reader{b: b}
	switch v := r.byte(); {
	case r.err != nil:
	case v > formatVersion:
		r.err = fmt.Errorf("record format %d, this program reads up to %d: %w", v, formatVersion, ErrNewerFormat)
	case v == 0:
		r.err = fmt.Errorf("record format 0: %w", ErrCorrupt)
	}
	return r
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("value too short: %w", ErrCorrupt)
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) int() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// length reads a count that must not exceed what a sane value can hold.
func (r *reader) length(limit uint64) int {
	n := r.uint()
	if n > limit {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bool() bool     { return r.byte() == 1 }
func (r *reader) string() string { return string(r.take(r.length(uint64(len(r.b))))) }

func (r *reader) float() float64 {
	if b := r.take(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// How the last part of a record is packed.
const (
	packedRaw = 0
	packedS2  = 1
)

// maxUnpacked bounds what one packed block may claim to hold, so that a
// damaged length cannot ask for absurd memory.
const maxUnpacked = 1 << 31

// pack appends b, compressed where that is smaller. S2 is chosen over zstd
// because a cold read unpacks the blocks of hundreds of checkpoints: it
// unpacks about six times as fast at four fifths of the saving, and its plain
// mode (the figures are of "better") because packing is on the path of every write
// (docs/decisions/0002-store-layout.md).
func (w *writer) pack(b []byte) {
	w.uint(uint64(len(b)))
	mark := len(*w)
	if limit := s2.MaxEncodedLen(len(b)); len(b) >= 64 && limit > 0 {
		*w = append(*w, packedS2)
		buf := slices.Grow(*w, limit)
		out := s2.Encode(buf[len(buf):cap(buf)], b)
		if len(out) < len(b) {
			*w = buf[:len(buf)+len(out)]
			return
		}
		*w = buf[:mark]
	}
	*w = append(append(*w, packedRaw), b...)
}

// unpack reads what pack wrote into dst, which is grown as needed.
func (r *reader) unpack(dst []byte) []byte {
	n := r.length(maxUnpacked)
	method := r.byte()
	if r.err != nil {
		return nil
	}
	switch method {
	case packedRaw:
		if len(r.b) != n {
			r.fail()
			return nil
		}
		return append(dst[:0], r.b...)
	case packedS2:
		if size, err := s2.DecodedLen(r.b); err != nil || size != n {
			r.fail()
			return nil
		}
		if cap(dst) < n {
			dst = make([]byte, n)
		}
		out, err := s2.Decode(dst[:n], r.b)
		if err != nil {
			r.err = fmt.Errorf("unpack: %v: %w", err, ErrCorrupt)
			return nil
		}
		return out
	default:
		r.fail()
		return nil
	}
}
