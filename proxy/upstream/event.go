package upstream

import (
	"bytes"
	"errors"
	"io"
	"time"
)

// ErrEventTooLarge is the error of a stream with an event beyond the bound.
var ErrEventTooLarge = errors.New("upstream: event too large")

// Event is one event of a stream of server-sent events.
type Event struct {
	// ID is the last event id in force, which may be that of an earlier event.
	ID string
	// Type is "message" where the stream names none.
	Type string
	// Data is the caller's own. Its lines are joined by LF; bytes that are not
	// UTF-8 are left as they came.
	Data []byte
}

// readSize is how much of a stream is asked for at once, in bytes.
const readSize = 32 << 10

// byteOrderMark may begin a stream.
const byteOrderMark = "\uFEFF"

// EventReader reads server-sent events as they come, however they are cut (HTML
// standard, "Interpreting an event stream"). An event that the stream ends in
// is dropped. It is for one goroutine.
type EventReader struct {
	r   io.Reader
	max int64
	buf []byte
	// rest is what was read and not looked at.
	rest []byte
	err  error

	// line is the beginning of a line whose end was not read yet. Of a comment
	// nothing is kept.
	line    []byte
	comment bool
	// cr says that the last line ended with CR, so an LF belongs to it.
	cr, begun bool
	// size is the length of the event's lines so far.
	size int64

	kind    string
	data    []byte
	hasData bool
	lastID  string
	retry   time.Duration
	retried bool
}

// NewEventReader returns a reader of r. The lines of one event, comments not
// counted, may have maxEvent bytes together.
func NewEventReader(r io.Reader, maxEvent int64) *EventReader {
	return &EventReader{r: r, max: maxEvent, buf: make([]byte, readSize)}
}

// Next returns the next event. The error is io.EOF at the end of the stream,
// ErrEventTooLarge, or that of the underlying reader; it stays.
func (r *EventReader) Next() (Event, error) {
	for {
		for len(r.rest) > 0 {
			e, ok, err := r.next()
			if err != nil {
				r.rest, r.err = nil, err
			} else if ok {
				return e, nil
			}
		}
		if r.err != nil {
			return Event{}, r.err
		}
		var n int
		n, r.err = r.r.Read(r.buf)
		r.rest = r.buf[:n]
	}
}

// LastID returns the last event id in force, which a block without data may
// have set too.
func (r *EventReader) LastID() string { return r.lastID }

// Retry returns the time that the stream wants to pass before it is opened
// again, and whether it has named one.
func (r *EventReader) Retry() (time.Duration, bool) { return r.retry, r.retried }

// next takes one line, or what there is of it, and reports whether it ended an
// event.
func (r *EventReader) next() (Event, bool, error) {
	if r.cr {
		r.cr = false
		if r.rest[0] == '\n' {
			r.rest = r.rest[1:]
			return Event{}, false, nil
		}
	}
	end := bytes.IndexAny(r.rest, "\r\n")
	piece, whole := r.rest, end >= 0
	if whole {
		piece, r.cr, r.rest = r.rest[:end], r.rest[end] == '\r', r.rest[end+1:]
	} else {
		r.rest = nil
	}
	if !r.comment && len(r.line) == 0 && len(piece) > 0 && piece[0] == ':' {
		r.comment = true
	}
	if r.comment {
		r.comment = !whole
		r.begun = true
		return Event{}, false, nil
	}
	if r.size += int64(len(piece)); r.size > r.max {
		return Event{}, false, ErrEventTooLarge
	}
	if !whole {
		r.line = append(r.line, piece...)
		return Event{}, false, nil
	}
	line, own := piece, false
	if len(r.line) > 0 {
		line, own = append(r.line, piece...), true
		r.line = nil
	}
	if !r.begun {
		r.begun = true
		line = bytes.TrimPrefix(line, []byte(byteOrderMark))
	}
	if len(line) == 0 {
		e, ok := r.dispatch()
		return e, ok, nil
	}
	if kept := r.field(line, own); own && !kept && cap(line) <= readSize {
		r.line = line[:0]
	}
	return Event{}, false, nil
}

// field takes a line that is not empty. own says that its memory is not part of
// the read buffer; it reports whether it has kept that memory, so that the data
// of a large event is not copied once more.
func (r *EventReader) field(line []byte, own bool) (kept bool) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	if len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	switch string(name) {
	case "data":
		switch {
		case r.hasData:
			r.data = append(append(r.data, '\n'), value...)
		case own:
			r.data, kept = value, true
		default:
			r.data = bytes.Clone(value)
		}
		r.hasData = true
	case "event":
		r.kind = string(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.lastID = string(value)
		}
	case "retry":
		if wait, ok := milliseconds(value); ok {
			r.retry, r.retried = wait, true
		}
	}
	return kept
}

// dispatch ends a block. It is an event if it has data.
func (r *EventReader) dispatch() (Event, bool) {
	e, ok := Event{ID: r.lastID, Type: r.kind, Data: r.data}, r.hasData
	if e.Type == "" {
		e.Type = "message"
	}
	r.kind, r.data, r.hasData, r.size = "", nil, false, 0
	return e, ok
}

// longestRetry is what a longer time to wait counts as.
const longestRetry = 24 * time.Hour

// milliseconds reads a number of digits only.
func milliseconds(digits []byte) (time.Duration, bool) {
	var d time.Duration
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		d = min(d*10+time.Duration(c-'0')*time.Millisecond, longestRetry)
	}
	return d, len(digits) > 0
}
