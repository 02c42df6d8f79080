package checkpoint

import "bytes"

// What messages and results hold is the client's: any JSON. Whatever has not
// the shape of a message counts as one without a text part.

// messageText returns the literal of the text of a message's first text part,
// nil if it has none.
func messageText(message []byte) []byte {
	if kindOf(message) != kindObject {
		return nil
	}
	return firstText(pick(message, "contents")[0])
}

// firstText returns the literal of the text of the first text part among
// parts, nil if there is none. A part whose text is no string is none.
func firstText(parts []byte) []byte {
	if kindOf(parts) != kindArray {
		return nil
	}
	var text []byte
	err := elements(parts, func(part []byte) error {
		if kindOf(part) != kindObject {
			return nil
		}
		fields := pick(part, "type", "text")
		if kindOf(fields[0]) == kindString && string(unquote(fields[0])) == "textPart" && kindOf(fields[1]) == kindString {
			text = fields[1]
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return nil
	}
	return text
}

// pick returns the values of the members of object with these names, each nil
// if it is absent. Of a member that is there twice it is the last, as in
// JavaScript.
func pick(object []byte, names ...string) [][]byte {
	values := make([][]byte, len(names))
	err := members(object, func(name, value []byte) error {
		for i, n := range names {
			if string(name) == n {
				values[i] = value
			}
		}
		return nil
	})
	if err != nil {
		return make([][]byte, len(names))
	}
	return values
}

// isJSON reports whether text is one JSON value.
func isJSON(text []byte) bool {
	r := read(text)
	defer r.close()
	if _, err := r.value(); err != nil {
		return false
	}
	return r.end() == nil
}

// trimSpace removes what is white space to JSON from both ends.
func trimSpace(text []byte) []byte {
	return bytes.Trim(text, " \t\n\r")
}
