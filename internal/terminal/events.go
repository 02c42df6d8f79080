package terminal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

// maxEvent bounds an event's data in bytes; it is the bound of an answer.
const maxEvent = maxAnswer

var errEventTooLarge = errors.New("an event of the stream is larger than 512 MiB")

// event is one server-sent event (HTML standard, section 9.2).
type event struct {
	id   string // the last id that came, of this event or of one before it
	name string // "message" if the event has none
	data []byte
}

// eventReader reads the events of a stream. Lines end with LF or CRLF; a bare
// CR is not a line's end here.
type eventReader struct {
	r  *bufio.Reader
	id string
	// retry is the wait before the next connection that the server asked for, 0
	// if it did not.
	retry time.Duration
}

func newEventReader(r io.Reader) *eventReader {
	return &eventReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// next returns the next event. One that is cut is not returned: the error is
// io.EOF when the stream ended, wherever it did.
func (r *eventReader) next() (event, error) {
	e := event{name: "message"}
	hasData := false
	for {
		line, err := r.line()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			if hasData {
				e.id = r.id
				return e, nil
			}
			e = event{name: "message"}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "data":
			if len(e.data)+len(value) > maxEvent {
				return event{}, errEventTooLarge
			}
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data, hasData = append(e.data, value...), true
		case "event":
			e.name = string(value)
		case "id":
			if bytes.IndexByte(value, 0) < 0 {
				r.id = string(value)
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				r.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// line returns the next line without its end. It is good until the next call.
func (r *eventReader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		whole := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			if line, err = r.r.ReadSlice('\n'); len(whole)+len(line) > maxEvent {
				return nil, errEventTooLarge
			}
			whole = append(whole, line...)
		}
		line = whole
	}
	if err != nil {
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
