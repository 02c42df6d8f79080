package checkpoint

import "errors"

// errStop ends a walk that has found what it looked for.
var errStop = errors.New("stop")

// These walk a value that is at hand as raw JSON. They check its grammar as
// they go, so it need not be known to be JSON, and call f with parts of doc.

// members calls f for each member of the object doc, with its name unquoted,
// in order, doubles included. An error of f ends the walk and is returned.
func members(doc []byte, f func(name, value []byte) error) error {
	r := read(doc)
	defer r.close()
	if r.kind() != kindObject {
		return r.notThe("object")
	}
	if _, err := r.delim(); err != nil {
		return err
	}
	for r.kind() == kindString {
		name, err := r.value()
		if err != nil {
			return err
		}
		value, err := r.value()
		if err != nil {
			return err
		}
		if err := f(unquote(name.of(doc)), value.of(doc)); err != nil {
			return err
		}
	}
	if _, err := r.delim(); err != nil {
		return err
	}
	return r.end()
}

// elements calls f for each element of the array doc, in order. An error of f
// ends the walk and is returned.
func elements(doc []byte, f func(value []byte) error) error {
	r := read(doc)
	defer r.close()
	if r.kind() != kindArray {
		return r.notThe("array")
	}
	if _, err := r.delim(); err != nil {
		return err
	}
	for k := r.kind(); k != ']' && k != 0; k = r.kind() {
		value, err := r.value()
		if err != nil {
			return err
		}
		if err := f(value.of(doc)); err != nil {
			return err
		}
	}
	if _, err := r.delim(); err != nil {
		return err
	}
	return r.end()
}

// notThe is the error of a document that is not of the kind it should be: what
// is wrong with its syntax, if there is something.
func (r *reader) notThe(kind string) error {
	at, err := r.value()
	if err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	return &SyntaxError{int64(at.Start), "not an " + kind}
}

// kindOf returns the kind of the value raw, which must be JSON without white
// space before it: 0 if there is none.
func kindOf(raw []byte) byte {
	if len(raw) == 0 {
		return 0
	}
	switch c := raw[0]; c {
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return kindNumber
	default:
		return c
	}
}
