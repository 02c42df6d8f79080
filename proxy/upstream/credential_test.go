package upstream

import (
	"crypto/sha256"
	"testing"
)

// Only the very same bytes are the same credential.
func TestCredentialIsOfTheWholeValueAsSent(t *testing.T) {
	if got := CredentialOf([]byte("Bearer secret")); got != sha256.Sum256([]byte("Bearer secret")) {
		t.Errorf("%x is not the SHA-256 of the value", got)
	}
	if CredentialOf(nil) != (Credential{}) || CredentialOf([]byte{}) != (Credential{}) {
		t.Error("no value is not the zero credential")
	}
	seen := map[Credential]string{}
	for _, value := range []string{
		"", " ", "Bearer secret", "bearer secret", "BEARER secret", "Bearer Secret", "Bearer  secret", "Bearer secret ", " Bearer secret",
		"Bearer\tsecret", "secret", "Bearer secret, Bearer secret", "Bearer secret\x00", "Basic c2VjcmV0", "Bearer s%65cret",
	} {
		c := CredentialOf([]byte(value))
		if other, ok := seen[c]; ok {
			t.Errorf("%q and %q are one credential", value, other)
		}
		seen[c] = value
	}
}
