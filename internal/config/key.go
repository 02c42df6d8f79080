package config

import "crypto/sha256"

// Key is one entry of auth.keys, ready to be compared with. The secret itself is
// not kept.
type Key struct {
	// Name is unique among the keys and stands for the key in logs.
	Name string
	// Hash is the SHA-256 of the secret.
	Hash [sha256.Size]byte
	// OrganizationID owns what the key writes and bounds what it sees.
	OrganizationID string
	// ApplicationID is stored with what the key writes.
	ApplicationID string
	// Read and Write are the key's scopes; at least one is set.
	Read, Write bool
}

// String returns the name: all of a key that belongs in a log.
func (k Key) String() string { return k.Name }
