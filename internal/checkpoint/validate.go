package checkpoint

import (
	"fmt"
	"math"
	"strings"
)

// walker reads a body along the schema, in one pass.
type walker struct {
	*reader
	req    *Request
	path   []string // names of the objects that are open
	faults Faults
	// known are the messages in the reader's gap, where they stand in its source.
	// They count once the walk has come to them.
	known   []Span
	counted bool
}

const (
	messageLen = 512  // about what a message takes, to guess how many a body has
	maxGuess   = 1024 // as it is a guess only
)

// walk reads body, which inspect has passed, into a Request that has its
// literals only.
func walk(body []byte) (*Request, error) {
	w := walker{reader: read(body)}
	return w.walk(len(body))
}

// walk reads all; unread bytes of it are ahead.
func (w *walker) walk(unread int) (*Request, error) {
	defer w.close()
	w.req = &Request{src: w.src}
	w.path = make([]string, 0, 4)
	w.req.parts = make([]Span, 0, len(w.known)+min(8+unread/messageLen, maxGuess))
	if _, err := w.property(&requestSchema); err != nil {
		return nil, err
	}
	if err := w.end(); err != nil {
		return nil, err
	}
	if len(w.faults) > 0 {
		return nil, w.faults
	}
	return w.req, nil
}

// property reads the value of p. Its error is about syntax; what is wrong with
// the value is among the faults.
func (w *walker) property(p *property) (Span, error) {
	kind := w.kind()
	if kind != p.is.kind() {
		at, err := w.value()
		if err == nil {
			w.fault(p.name, "Invalid input: expected "+p.is.String()+", received "+typeName(kind), p.is.String(), typeName(kind))
		}
		return at, err
	}
	var at Span
	var err error
	switch p.is {
	case typeObject:
		at, err = w.object(p)
	case typeMessages:
		at, err = w.messages(p.list)
	default:
		at, err = w.value()
	}
	if err != nil {
		return at, err
	}
	literal := at.of(w.src)
	w.check(p, literal)
	if p.slot != slotNone {
		w.req.lit[p.slot] = literal
	}
	return at, nil
}

// object reads an object of known properties.
func (w *walker) object(p *property) (Span, error) {
	start, err := w.delim()
	if err != nil {
		return Span{}, err
	}
	if p.name != "" {
		w.path = append(w.path, p.name)
	}
	var seen uint32
	for w.kind() == kindString {
		nameAt, err := w.value()
		if err != nil {
			return Span{}, err
		}
		name := unquote(nameAt.of(w.src))
		i := find(p.of, name)
		if i < 0 {
			at, err := w.value()
			if err != nil {
				return Span{}, err
			}
			if p.open && !isResponseName(name) {
				w.req.unknown = append(append(w.req.unknown, ','), w.src[nameAt.Start:at.End]...)
			}
			continue
		}
		if seen&(1<<i) != 0 {
			return Span{}, &SyntaxError{int64(nameAt.Start), fmt.Sprintf("duplicate property %q", p.of[i].name)}
		}
		seen |= 1 << i
		if _, err := w.property(&p.of[i]); err != nil {
			return Span{}, err
		}
	}
	end, err := w.delim()
	if err != nil {
		return Span{}, err
	}
	for i := range p.of {
		if q := &p.of[i]; seen&(1<<i) == 0 && !q.optional {
			w.fault(q.name, "Required", q.is.String(), "undefined")
		}
	}
	if p.name != "" {
		w.path = w.path[:len(w.path)-1]
	}
	return Span{start, end + 1}, nil
}

// messages reads an array whose elements are kept apart.
func (w *walker) messages(id listID) (Span, error) {
	start, err := w.delim()
	if err != nil {
		return Span{}, err
	}
	l := &w.req.lists[id]
	l.from = len(w.req.parts)
	if id == listMessages && start+1 == w.left.at && len(w.req.parts)+len(w.known) <= MaxParts {
		w.req.parts = append(w.req.parts, w.known...)
		l.first, l.last = w.known[0], w.known[len(w.known)-1]
		w.counted = true
	}
	for k := w.kind(); k != ']' && k != 0; k = w.kind() {
		at, err := w.value()
		if err != nil {
			return Span{}, err
		}
		if l.first.End == 0 {
			l.first = at
		}
		l.last = at
		if len(w.req.parts) < MaxParts {
			w.req.parts = append(w.req.parts, at)
		}
	}
	end, err := w.delim()
	if err != nil {
		return Span{}, err
	}
	l.to = len(w.req.parts)
	l.at = Span{start, end + 1}
	return l.at, nil
}

// check checks what the kind of a value does not say.
func (w *walker) check(p *property, literal []byte) {
	switch p.is {
	case typeShort:
		if n := utf16Len(literal); n > maxShort {
			w.fault(p.name, fmt.Sprintf("Too long: at most %d characters", maxShort), "string", fmt.Sprintf("string of %d characters", n))
		}
	case typeID:
		if id := unquote(literal); !ValidIDBytes(id) {
			w.fault(p.name, fmt.Sprintf("Invalid id: must be %d characters of a-z and 0-9", IDLen), "id", excerpt(id))
		}
	case typeStatus:
		if s := unquote(literal); !isStatus(s) {
			w.fault(p.name, "Invalid status", statusNames, excerpt(s))
		}
	case typeNumber:
		if _, ok := parseNumber(literal); !ok {
			w.fault(p.name, "Invalid number: must be finite", "number", "Infinity")
		}
	case typeTime:
		if n, ok := parseNumber(literal); !ok || math.Abs(n) > maxTime {
			w.fault(p.name, "Invalid time: must be within 8.64e15 milliseconds of the epoch", "number", excerpt(literal))
		}
	}
}

// fault adds a fault of the property name of the object that is open.
func (w *walker) fault(name, message, expected, received string) {
	if len(w.faults) == MaxFaults {
		return
	}
	path := strings.Join(w.path, ".")
	if path != "" && name != "" {
		path += "."
	}
	w.faults = append(w.faults, Fault{Path: path + name, Message: message, Expected: expected, Received: received})
}

// find returns the index of the property called name, -1 if there is none.
func find(properties []property, name []byte) int {
	for i := range properties {
		if string(name) == properties[i].name {
			return i
		}
	}
	return -1
}

// kind returns the kind of JSON value that holds a t.
func (t valueType) kind() byte {
	switch t {
	case typeNumber, typeTime:
		return kindNumber
	case typeArray, typeMessages:
		return kindArray
	case typeRaw, typeObject:
		return kindObject
	}
	return kindString
}

// String returns the name of the type, as JavaScript people say it.
func (t valueType) String() string {
	return typeName(t.kind())
}

func typeName(kind byte) string {
	switch kind {
	case kindNull:
		return "null"
	case kindTrue, kindFalse:
		return "boolean"
	case kindString:
		return "string"
	case kindNumber:
		return "number"
	case kindArray:
		return "array"
	}
	return "object"
}

func isStatus(b []byte) bool {
	_, ok := parseStatus(b)
	return ok
}

// statusNames is what a status fault expects.
var statusNames = func() string {
	names := make([]string, len(statuses))
	for i, s := range statuses {
		names[i] = string(s)
	}
	return strings.Join(names, " | ")
}()

// excerpt returns what a fault shows of a value.
func excerpt(b []byte) string {
	const limit = 64
	if len(b) <= limit {
		return string(b)
	}
	return strings.ToValidUTF8(string(b[:limit]), "") + "…"
}
