package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"
)

// markerMagic begins a marker. Its first byte does not occur in it again, nor
// anywhere else in a frame, and no JSON encoder escapes any of it.
const markerMagic = "^mp:"

const (
	// markerFields is the length of the fields in hexadecimal digits.
	markerFields = 8 + 8 + 16 + 8
	// markerLength is the length of a whole marker in bytes.
	markerLength = len(markerMagic) + markerFields
)

// marker stands once in each published event, so that a reader finds which one
// it has, and how old it is, without parsing the frame around it. Padding
// follows it.
type marker struct {
	// job is the number of the job within the run, sequence that of the event
	// within the job, from 1.
	job, sequence uint32
	// sent is when the event was to be sent, since the origin of the run.
	sent time.Duration
	// padding is the number of bytes of padding that follow.
	padding uint32
}

// appendMarker appends m.
func appendMarker(b []byte, m marker) []byte {
	return fmt.Appendf(b, markerMagic+"%08x%08x%016x%08x", m.job, m.sequence, uint64(m.sent), m.padding)
}

// parseMarker reads the markerFields bytes behind markerMagic.
func parseMarker(fields []byte) (marker, error) {
	var raw [markerFields / 2]byte
	if _, err := hex.Decode(raw[:], fields[:markerFields]); err != nil {
		return marker{}, fmt.Errorf("a marker reads %q", fields[:markerFields])
	}
	number := func(b []byte) (n uint64) {
		for _, x := range b {
			n = n<<8 | uint64(x)
		}
		return n
	}
	m := marker{
		job:      uint32(number(raw[:4])),
		sequence: uint32(number(raw[4:8])),
		sent:     time.Duration(number(raw[8:16])),
		padding:  uint32(number(raw[16:])),
	}
	if m.padding > maxPadding {
		return marker{}, fmt.Errorf("a marker reads %q", fields[:markerFields])
	}
	return m, nil
}

// maxPadding bounds the padding of an event in bytes.
const maxPadding = 512 << 10

// paddingText returns the padding of an event: prose that differs between
// neighbours, so that no store keeps it once.
func (m marker) paddingText() []byte {
	pool := textPool()
	at := (int(m.sequence)*7919 + int(m.job)*104729) % (len(pool) - maxPadding)
	return pool[at : at+int(m.padding)]
}

// differs says that an event is not what was published.
func (m marker) differs() error {
	return fmt.Errorf("event %d of job %d is not the one that was published", m.sequence, m.job)
}

// appendPayload appends the marker m and its padding, so that the whole has
// size bytes; m.padding is set.
func appendPayload(b []byte, m marker, size int) []byte {
	m.padding = uint32(min(max(0, size-markerLength), maxPadding))
	return append(appendMarker(b, m), m.paddingText()...)
}

// findMagic returns where markerMagic, or what may become it with more bytes,
// begins in b, and how much of it is there; len(b) and 0 if it is not there.
func findMagic(b []byte) (at, length int) {
	if i := bytes.Index(b, []byte(markerMagic)); i >= 0 {
		return i, len(markerMagic)
	}
	for n := min(len(markerMagic)-1, len(b)); n > 0; n-- {
		if bytes.HasSuffix(b, []byte(markerMagic[:n])) {
			return len(b) - n, n
		}
	}
	return len(b), 0
}
