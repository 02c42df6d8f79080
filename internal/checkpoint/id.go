package checkpoint

import "crypto/rand"

// IDLen is the length of every id of the API in bytes (the document's
// "A unique identifier for a resource").
const IDLen = 24

const (
	idLetters = "abcdefghijklmnopqrstuvwxyz"
	idChars   = idLetters + "0123456789"

	// A random byte at or above these limits is thrown away: taking the
	// remainder of it would make the first characters likelier than the rest.
	idLetterLimit = 256 - 256%len(idLetters)
	idCharLimit   = 256 - 256%len(idChars)
)

// ValidID reports whether s is an id: 24 characters of [a-z0-9].
func ValidID(s string) bool {
	return validID(s)
}

// ValidIDBytes is ValidID for bytes.
func ValidIDBytes(b []byte) bool {
	return validID(b)
}

func validID[T string | []byte](s T) bool {
	if len(s) != IDLen {
		return false
	}
	for i := range len(s) {
		if !isLowerAlnum(s[i]) {
			return false
		}
	}
	return true
}

// NewID returns a random id from the cryptographic source of the system, with
// a letter first. It carries 122 bits, so ids do not collide and cannot be
// guessed.
func NewID() string {
	var id [IDLen]byte
	var pool [2 * IDLen]byte
	n := 0
	for n < IDLen {
		rand.Read(pool[:]) // never fails: it ends the program instead
		for _, b := range pool {
			switch {
			case n == IDLen:
			case n == 0 && int(b) < idLetterLimit:
				id[n] = idLetters[int(b)%len(idLetters)]
				n++
			case n > 0 && int(b) < idCharLimit:
				id[n] = idChars[int(b)%len(idChars)]
				n++
			}
		}
	}
	return string(id[:])
}

func isLowerAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
}
