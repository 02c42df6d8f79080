package upstream

import "crypto/sha256"

// Credential stands for what a caller authenticates itself with to the upstream:
// the SHA-256 of the whole value of its Authorization header. It can be kept,
// compared and logged where the value must not be: how long a comparison takes
// tells of the hash alone, and nobody can choose a value by its hash. The zero
// Credential is that of a request without the header.
type Credential [sha256.Size]byte

// CredentialOf returns the credential of the value of an Authorization header, byte
// for byte as it was sent: another case, scheme or space is another credential,
// for only the upstream knows whether it means the same. An empty value is none.
//
// A request with more than one such header has no credential: which of them the
// upstream takes is not known, so it must be refused before.
func CredentialOf(authorization []byte) Credential {
	if len(authorization) == 0 {
		return Credential{}
	}
	return sha256.Sum256(authorization)
}
