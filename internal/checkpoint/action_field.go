package checkpoint

import (
	"errors"
	"slices"
)

// fieldType is what the reference client requires of a field of an action.
type fieldType uint8

const (
	fieldString fieldType = iota
	fieldNumber
	fieldBool
	fieldEntry   // "directory" or "file"
	fieldObject  // an object of fields
	fieldObjects // an array of such objects
	fieldStrings
	fieldNumbers
)

// field is a field that an action copies from a tool's result.
type field struct {
	name     string
	is       fieldType
	optional bool
	of       []field
}

// maxFields is the largest number of fields in one object.
const maxFields = 13

// errShape says that a value is not what the client requires.
var errShape = errors.New("not the shape of the action")

// appendFields appends those members of object that are fields, each with a
// comma before it, in the order of fields. A required one that is absent or of
// the wrong type is errShape; an optional one is then left out.
func appendFields(dst, object []byte, fields []field) ([]byte, error) {
	var values [maxFields][]byte
	err := members(object, func(name, value []byte) error {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.name == string(name) }); i >= 0 {
			values[i] = value
		}
		return nil
	})
	if err != nil {
		return dst, err
	}
	for i := range fields {
		before := len(dst)
		if dst, err = fields[i].append(dst, values[i]); err == nil {
			continue
		}
		if dst = dst[:before]; !fields[i].optional {
			return dst, errShape
		}
	}
	return dst, nil
}

// append appends the field with its value, which is nil if it is absent.
func (f *field) append(dst, value []byte) ([]byte, error) {
	dst = append(dst, `,"`...)
	dst = append(dst, f.name...)
	dst = append(dst, `":`...)
	return f.appendValue(dst, value)
}

func (f *field) appendValue(dst, value []byte) ([]byte, error) {
	switch f.is {
	case fieldObject:
		return f.appendObject(dst, value)
	case fieldObjects:
		return appendList(dst, value, f.appendObject)
	case fieldStrings:
		return appendList(dst, value, (&field{is: fieldString}).appendValue)
	case fieldNumbers:
		return appendList(dst, value, (&field{is: fieldNumber}).appendValue)
	}
	if !f.is.allows(value) {
		return dst, errShape
	}
	return append(dst, value...), nil
}

// allows reports whether a plain value is of type t.
func (t fieldType) allows(value []byte) bool {
	switch kind := kindOf(value); t {
	case fieldNumber:
		if kind != kindNumber || len(value) > MaxNumberLen {
			return false
		}
		_, finite := parseNumber(value)
		return finite
	case fieldBool:
		return kind == kindTrue || kind == kindFalse
	case fieldEntry:
		s := ""
		if kind == kindString {
			s = string(unquote(value))
		}
		return s == "directory" || s == "file"
	default:
		return kind == kindString
	}
}

func (f *field) appendObject(dst, value []byte) ([]byte, error) {
	start := len(dst)
	dst, err := appendFields(dst, value, f.of)
	if err != nil {
		return dst, err
	}
	// The comma before the first field gives way to the bracket: every object
	// here has a required field.
	dst[start] = '{'
	return append(dst, '}'), nil
}

// appendList appends an array, element by element, which sheds white space.
func appendList(dst, value []byte, appendElement func(dst, value []byte) ([]byte, error)) ([]byte, error) {
	dst = append(dst, '[')
	first := true
	err := elements(value, func(v []byte) (err error) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst, err = appendElement(dst, v)
		return err
	})
	return append(dst, ']'), err
}
