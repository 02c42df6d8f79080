package checkpoint

// These read the value that comes next. One of another kind than they are for is
// read over, so that what a newer API has made of a property does no harm.

// eachMember calls f for each member of an object, in order, doubles included:
// with its name unquoted and before its value, which f must read. It reports
// whether the value was an object.
func (r *reader) eachMember(f func(name []byte) error) (bool, error) {
	if r.kind() != kindObject {
		_, err := r.value()
		return false, err
	}
	if _, err := r.delim(); err != nil {
		return false, err
	}
	for r.kind() == kindString {
		name, err := r.value()
		if err != nil {
			return false, err
		}
		if err := f(unquote(name.of(r.src))); err != nil {
			return false, err
		}
	}
	_, err := r.delim()
	return true, err
}

// eachElement calls f with where each element of an array stands. It reports
// whether the value was an array.
func (r *reader) eachElement(f func(at Span) error) (bool, error) {
	if r.kind() != kindArray {
		_, err := r.value()
		return false, err
	}
	if _, err := r.delim(); err != nil {
		return false, err
	}
	for k := r.kind(); k != ']' && k != 0; k = r.kind() {
		at, err := r.value()
		if err != nil {
			return false, err
		}
		if err := f(at); err != nil {
			return false, err
		}
	}
	_, err := r.delim()
	return true, err
}

// text returns the text of a string, "" for another value.
func (r *reader) text() (string, error) {
	at, err := r.value()
	if err != nil {
		return "", err
	}
	if literal := at.of(r.src); kindOf(literal) == kindString {
		return string(unquote(literal)), nil
	}
	return "", nil
}

// textOf returns the text of one string property of an object, "" if there is
// none.
func (r *reader) textOf(property string) (text string, err error) {
	_, err = r.eachMember(func(name []byte) (err error) {
		if string(name) == property {
			text, err = r.text()
		} else {
			_, err = r.value()
		}
		return err
	})
	return text, err
}

// whole returns a whole number, 0 for another value.
func (r *reader) whole() (uint64, error) {
	at, err := r.value()
	if err != nil {
		return 0, err
	}
	n, _ := wholeNumber(at.of(r.src))
	return n, nil
}
