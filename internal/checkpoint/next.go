package checkpoint

import (
	"bytes"
	"sync"
)

// Messages are the messages of a checkpoint that was made by Encode.
type Messages struct {
	JSON     []byte // of the whole checkpoint
	Elements []Span // Document.Messages; not empty
}

// messagesName is how the messages of a body begin. Wherever these bytes are in
// JSON, the bracket opens an array: it is in no string, because a quotation mark
// in a string has a backslash before it, and the second has none.
const messagesName = `"messages":[`

// ParseNext is ParseRequest for a body that may begin with the messages of one
// of the checkpoints before it, as most do: a step repeats all messages of its
// run. These were checked when they came. They are compared and not read again,
// so that the work is that of what is new.
func ParseNext(body []byte, before []Messages) (*Request, error) {
	if r := parseRest(body, before); r != nil {
		return r, nil
	}
	return ParseRequest(body)
}

// parseRest parses a body but for the messages that are known. It returns nil
// where that does not do: nothing is known, or something is not as it mostly is,
// which ParseRequest will tell exactly.
func parseRest(body []byte, before []Messages) *Request {
	if len(before) == 0 {
		return nil
	}
	left, known := repeated(body, before)
	if known == nil {
		return nil
	}
	buf := rests.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxRest {
			rests.Put(buf)
		}
	}()
	rest := append(append((*buf)[:0], body[:left.at]...), body[left.at+left.length:]...)
	*buf = rest
	if spaces, err := inspect(rest); err != nil || spaces > 0 {
		return nil
	}
	w := walker{reader: readRest(body, rest, left), known: known}
	r, err := w.walk(len(rest))
	if err != nil || !w.counted {
		return nil
	}
	r.fill()
	return r
}

// rests is memory for bodies without what is known.
var rests = sync.Pool{New: func() any { return new([]byte) }}

// maxRest bounds the memory in bytes that is used again.
const maxRest = 64 << 10

// repeated finds the messages that body begins with among those of checkpoints
// before it: the gap that they are in body, and where each of them stands.
func repeated(body []byte, before []Messages) (left gap, known []Span) {
	at := bytes.Index(body, []byte(messagesName))
	if at < 0 {
		return gap{}, nil
	}
	at += len(messagesName)
	for _, m := range before {
		first, last := m.Elements[0], m.Elements[len(m.Elements)-1]
		all := m.JSON[first.Start:last.End]
		if len(all) <= left.length || !bytes.HasPrefix(body[at:], all) {
			continue
		}
		end := at + len(all)
		switch rest := body[end:]; {
		case len(rest) < 2, rest[0] == ',' && rest[1] == ']':
			continue
		case rest[0] == ',':
			end++
		case rest[0] != ']':
			continue
		}
		left = gap{at, end - at}
		known = make([]Span, len(m.Elements))
		for i, e := range m.Elements {
			known[i] = Span{e.Start - first.Start + at, e.End - first.Start + at}
		}
	}
	return left, known
}
