package main

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
)

const (
	idLength  = 24
	idLetters = "abcdefghijklmnopqrstuvwxyz"
	idSymbols = idLetters + "0123456789"
)

// newID returns an identifier as the API document wants it: 24 characters of
// ^[a-z0-9]+$, with a letter first.
func newID(rng *rand.Rand) string {
	var id [idLength]byte
	id[0] = idLetters[rng.IntN(len(idLetters))]
	for i := 1; i < idLength; i++ {
		id[i] = idSymbols[rng.IntN(len(idSymbols))]
	}
	return string(id[:])
}

// isID tells whether s has the form of an identifier.
func isID(s string) bool {
	if len(s) != idLength {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// newRand returns a generator that depends on seed and stream alone; streams
// of one seed are independent of each other.
func newRand(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream))
}

// randomSeed returns a seed that no earlier run has had.
func randomSeed() uint64 {
	var b [8]byte
	// Read never fails: the standard library ends the process instead.
	_, _ = crand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}
