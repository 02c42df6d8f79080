package checkpoint

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// unquote returns the text of a JSON string, which must be well formed. A
// surrogate that is escaped alone has no UTF-8: it becomes the six characters
// of its escape, so that it is the same escape again where the text is read as
// JSON. Without any escape the text is part of the literal, not a copy.
func unquote(literal []byte) []byte {
	s := literal[1 : len(literal)-1]
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	text := make([]byte, 0, len(s))
	for ; i >= 0; i = bytes.IndexByte(s, '\\') {
		text = append(text, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			text, s = appendEscaped(text, s)
		default: // '"', '\\', '/'
			text = append(text, c)
		}
	}
	return append(text, s...)
}

// appendEscaped appends the character whose escape's digits s starts with, and
// returns what follows it.
func appendEscaped(text, s []byte) (_, rest []byte) {
	r := hexRune(s)
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(text, r), s[4:]
	}
	if len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
		if pair := utf16.DecodeRune(r, hexRune(s[6:])); pair != utf8.RuneError {
			return utf8.AppendRune(text, pair), s[10:]
		}
	}
	if trailingBackslashes(text)%2 == 1 {
		// A backslash before a surrogate is no escape of JSON. It must not
		// become one by what stands for the surrogate.
		text = append(text, 0)
	}
	text = append(text, `\u`...)
	return append(text, s[:4]...), s[4:]
}

func trailingBackslashes(b []byte) int {
	n := 0
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// hexRune returns the character of four hexadecimal digits.
func hexRune(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits[:4]), 16, 16) // the grammar has been checked
	return rune(n)
}

// utf16Len returns the length of the text of a JSON string as JavaScript
// counts it, in UTF-16 units.
func utf16Len(literal []byte) int {
	n := 0
	for s := literal[1 : len(literal)-1]; len(s) > 0; n++ {
		switch {
		case s[0] != '\\':
			r, size := utf8.DecodeRune(s)
			if s = s[size:]; r > 0xFFFF {
				n++
			}
		case s[1] == 'u':
			s = s[6:]
		default:
			s = s[2:]
		}
	}
	return n
}
