package main

import (
	"bytes"
	"errors"
	"fmt"
)

// maxStreamHead bounds the head of a stream's answer in bytes.
const maxStreamHead = 16 << 10

// sseStream is what a subscriber knows of its stream between two reads: where
// it is in the answer's head, in the chunks of the body (RFC 9112, section
// 7.1), and in the marker or the padding of an event. It looks for markers
// and parses nothing else; an event counts when its padding has come, which is
// before the few bytes that close its frame.
type sseStream struct {
	// verify compares the padding of events and looks for the empty line
	// between two; without it, padding may be discarded unread.
	verify bool
	// trace is what events are compared with that have no padding, nil for padding.
	trace *traceEvents

	head    []byte
	begun   bool
	chunked bool
	ended   bool
	// chunkLeft is how much of the present chunk is to come. chunkLine gathers
	// the line with the next chunk's size; trailing tells that the line ends a
	// chunk's data, final that it follows the last chunk.
	chunkLeft       int64
	chunkLine       []byte
	trailing, final bool

	// partial is how much of a marker has come, fields what of its fields.
	partial int
	fields  [markerFields]byte
	// event is the one whose padding is coming; left is how much.
	event marker
	left  int
	// newlines counts those in a row, blank tells that an empty line has come
	// since the last event.
	newlines int
	blank    bool
	any      bool
	// gathered is what has come since the last event, of a trace alone.
	gathered []byte
}

// maxChunkLine bounds the line before a chunk in bytes.
const maxChunkLine = 64

// errNotSSE says that the answer is no stream of events.
var errNotSSE = errors.New("no stream of events")

// feed takes the bytes of the next read and calls got for each event.
func (s *sseStream) feed(b []byte, got func(marker)) error {
	if !s.begun {
		rest, err := s.feedHead(b)
		if err != nil || !s.begun {
			return err
		}
		b = rest
	}
	if !s.chunked {
		return s.feedBody(b, got)
	}
	for len(b) > 0 {
		if s.ended {
			return fmt.Errorf("%d bytes after the end of the stream", len(b))
		}
		if s.chunkLeft > 0 {
			n := int(min(s.chunkLeft, int64(len(b))))
			if err := s.feedBody(b[:n], got); err != nil {
				return err
			}
			s.chunkLeft -= int64(n)
			b = b[n:]
			continue
		}
		rest, err := s.feedChunkLine(b)
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// feedHead takes bytes of the head and returns those of the body behind it.
func (s *sseStream) feedHead(b []byte) ([]byte, error) {
	s.head = append(s.head, b...)
	end := bytes.Index(s.head, []byte("\r\n\r\n"))
	if end < 0 {
		if len(s.head) > maxStreamHead {
			return nil, fmt.Errorf("%w: the head has more than %d bytes", errNotSSE, maxStreamHead)
		}
		return nil, nil
	}
	head := s.head[:end]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return nil, fmt.Errorf("%w: %s", errNotSSE, excerpt(s.head))
	}
	if v, _ := headerValue(head, "Content-Type"); !bytes.HasPrefix(v, []byte("text/event-stream")) {
		return nil, fmt.Errorf("%w: the content type is %q", errNotSSE, v)
	}
	v, _ := headerValue(head, "Transfer-Encoding")
	s.chunked = bytes.EqualFold(v, []byte("chunked"))
	s.begun = true
	rest := s.head[end+4:]
	s.head = nil
	return rest, nil
}

// feedChunkLine takes bytes of the line between two chunks.
func (s *sseStream) feedChunkLine(b []byte) ([]byte, error) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		s.chunkLine = append(s.chunkLine, b...)
		if len(s.chunkLine) > maxChunkLine {
			return nil, fmt.Errorf("a chunk begins with %q", s.chunkLine)
		}
		return nil, nil
	}
	line := append(s.chunkLine, b[:i]...)
	s.chunkLine = s.chunkLine[:0]
	if len(line) > maxChunkLine {
		return nil, fmt.Errorf("a chunk begins with %q", line[:maxChunkLine])
	}
	line = bytes.TrimSuffix(line, []byte("\r"))
	if s.final {
		// Fields may follow; an empty line ends the body.
		s.ended = len(line) == 0
		return b[i+1:], nil
	}
	if s.trailing {
		if len(line) > 0 {
			return nil, fmt.Errorf("a chunk ends with %q", line)
		}
		s.trailing = false
		return b[i+1:], nil
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	n, err := parseHex(bytes.TrimSpace(size))
	if err != nil {
		return nil, fmt.Errorf("a chunk begins with %q", line)
	}
	s.chunkLeft, s.trailing, s.final = n, n > 0, n == 0
	return b[i+1:], nil
}

// parseHex reads a hexadecimal number of up to 15 digits.
func parseHex(b []byte) (int64, error) {
	if len(b) == 0 || len(b) > 15 {
		return 0, fmt.Errorf("%q is no number", b)
	}
	n := int64(0)
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, fmt.Errorf("%q is no number", b)
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}

// feedBody takes bytes of the body.
func (s *sseStream) feedBody(b []byte, got func(marker)) error {
	for len(b) > 0 {
		switch {
		case s.left > 0:
			n := min(s.left, len(b))
			if s.verify {
				text := s.event.paddingText()
				at := len(text) - s.left
				if !bytes.Equal(text[at:at+n], b[:n]) {
					return s.event.differs()
				}
			}
			s.take(n, got)
			b = b[n:]
		case s.partial >= len(markerMagic):
			n := copy(s.fields[s.partial-len(markerMagic):], b)
			s.partial += n
			b = b[n:]
			if s.partial == markerLength {
				if err := s.begin(got); err != nil {
					return err
				}
			}
		case s.partial > 0:
			// Nothing of what has come of the magic can begin another one.
			if b[0] != markerMagic[s.partial] {
				s.gather([]byte(markerMagic[:s.partial]))
				s.partial, s.newlines = 0, 0
				continue
			}
			s.partial++
			b = b[1:]
		default:
			at, n := findMagic(b)
			if s.verify {
				s.between(b[:at])
				s.gather(b[:at])
			}
			s.partial = n
			b = b[at+n:]
		}
	}
	return nil
}

// begin takes note of a whole marker.
func (s *sseStream) begin(got func(marker)) error {
	m, err := parseMarker(s.fields[:])
	if err != nil {
		return err
	}
	if s.verify && s.any && !s.blank {
		return fmt.Errorf("no empty line before event %d of job %d", m.sequence, m.job)
	}
	if s.verify && s.trace != nil {
		if err := s.trace.check(m, s.gathered); err != nil {
			return err
		}
		s.gathered = s.gathered[:0]
	}
	s.partial, s.event, s.left = 0, m, int(m.padding)
	s.blank, s.newlines, s.any = false, 0, true
	if s.left == 0 {
		got(m)
	}
	return nil
}

// take takes note of n bytes of padding.
func (s *sseStream) take(n int, got func(marker)) {
	s.left -= n
	if s.left == 0 {
		got(s.event)
	}
}

// between looks for an empty line in what stands between two events.
func (s *sseStream) between(b []byte) {
	for _, c := range b {
		switch c {
		case '\n':
			s.newlines++
			s.blank = s.blank || s.newlines > 1
		case '\r':
		default:
			s.newlines = 0
		}
	}
}

// gather keeps b to be compared with an event of the trace.
func (s *sseStream) gather(b []byte) {
	if s.verify && s.trace != nil {
		s.gathered = append(s.gathered, b...)
	}
}

// discardable returns how many of the next bytes are padding that nobody
// compares, so that the kernel may drop them unread.
func (s *sseStream) discardable() int {
	if s.verify || !s.begun {
		return 0
	}
	if s.chunked {
		return int(min(int64(s.left), s.chunkLeft))
	}
	return s.left
}

// discarded takes note that n of the discardable bytes are gone.
func (s *sseStream) discarded(n int, got func(marker)) {
	if s.chunked {
		s.chunkLeft -= int64(n)
	}
	s.take(n, got)
}
