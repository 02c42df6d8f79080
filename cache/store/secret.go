package store

import "crypto/rand"

// secretLen is the length of a store's secrets in bytes.
const secretLen = 32

// Secret returns a random value that the store keeps under a name, made at the
// first call. It is in the store so that a backup has it too.
func (s *Store) Secret(name string) ([]byte, error) {
	v, err := s.Meta(name)
	if err != nil || len(v) == secretLen {
		return v, err
	}
	v = make([]byte, secretLen)
	_, _ = rand.Read(v) // does not fail
	return v, s.SetMeta(name, v)
}
