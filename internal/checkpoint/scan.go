package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

const (
	// MaxDepth is how deep the objects and arrays of a body may be nested.
	MaxDepth = 512

	// MaxNumberLen is the length in bytes that a number may have. A double
	// needs 25; what is much longer only costs those who must convert it.
	MaxNumberLen = 1024
)

// inspect checks what the JSON library leaves open: that the body is UTF-8, is
// not nested too deep and has no absurd numbers. It skips strings whole and
// takes the rest for JSON, whose grammar is checked afterwards. It returns the
// number of bytes of insignificant white space.
func inspect(body []byte) (spaces int, err error) {
	if !utf8.Valid(body) {
		return 0, &SyntaxError{invalidUTF8(body), "invalid UTF-8"}
	}
	depth := 0
	for i := 0; i < len(body); {
		switch c := body[i]; c {
		case '"':
			i = stringEnd(body, i)
			// Most often a string follows in two bytes: a value, a name.
			for i+1 < len(body) && body[i+1] == '"' && (body[i] == ':' || body[i] == ',') {
				i = stringEnd(body, i+1)
			}
			continue
		case '{', '[':
			if depth++; depth > MaxDepth {
				return 0, &SyntaxError{int64(i), fmt.Sprintf("nested deeper than %d", MaxDepth)}
			}
		case '}', ']':
			depth--
		case ' ', '\t', '\n', '\r':
			spaces++
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			end := numberEnd(body, i)
			if end-i > MaxNumberLen {
				return 0, &SyntaxError{int64(i), fmt.Sprintf("number of more than %d bytes", MaxNumberLen)}
			}
			i = end
			continue
		}
		i++
	}
	return spaces, nil
}

// appendCompact appends src without insignificant white space. src must be
// JSON.
func appendCompact(dst, src []byte) []byte {
	start := 0
	for i := 0; i < len(src); {
		switch src[i] {
		case '"':
			i = stringEnd(src, i)
			continue
		case ' ', '\t', '\n', '\r':
			dst = append(dst, src[start:i]...)
			start = i + 1
		}
		i++
	}
	return append(dst, src[start:]...)
}

// stringEnd returns the position after the string that starts at the quotation
// mark at i: the length of b if it does not end. It looks at eight bytes at a
// time, for most strings of a body are short or full of escapes, which a call
// of bytes.IndexByte for each mark would be slower at.
func stringEnd(b []byte, i int) int {
	i++
	for i+8 <= len(b) {
		// A byte of zero in a word gives a byte whose highest bit is set; the
		// lowest such byte is exact.
		eight := binary.LittleEndian.Uint64(b[i:])
		quotes, slashes := eight^(ones*'"'), eight^(ones*'\\')
		special := ((quotes-ones)&^quotes | (slashes-ones)&^slashes) & (ones << 7)
		if special == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(special) / 8
		if b[i] == '"' {
			return i + 1
		}
		i += 2
	}
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

const ones = 0x0101010101010101

// numberEnd returns the position after the characters of numbers from i on.
func numberEnd(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return i
		}
	}
	return i
}

// invalidUTF8 returns the position of the first byte of b that is not UTF-8.
func invalidUTF8(b []byte) int64 {
	i := 0
	for i < len(b) {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		i += size
	}
	return int64(i)
}
