package app

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

// defaultKey is what the store keeps of the key that is made when none is
// configured. It is in the store so that a backup has it too.
type defaultKey struct {
	Hash           []byte `json:"hash"`
	OrganizationID string `json:"organizationId"`
	ApplicationID  string `json:"applicationId"`
}

const defaultKeyName = "default"

// NewSecret returns a random secret of 256 bits.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // does not fail (crypto/rand)
	return "mp_" + base64.RawURLEncoding.EncodeToString(b[:])
}

// resolveKeys returns the keys in force. Without configured ones there is one
// default key: the secret of MILEPOST_API_KEY, or one made at the first start,
// which is returned as first to be shown once.
func resolveKeys(cfg *config.Config, s *store.Store, log *slog.Logger) (keys []config.Key, first string, err error) {
	if cfg.Upstream.URL != "" && cfg.Upstream.Auth == "forward" {
		return nil, "", nil // the upstream has the keys
	}
	given := cfg.APIKey.Reveal()
	if len(cfg.Auth.Keys) > 0 {
		if given != "" {
			log.Warn("MILEPOST_API_KEY is ignored because auth.keys are configured")
		}
		return cfg.Auth.Keys, "", nil
	}
	raw, err := s.Meta("default-key")
	if err != nil {
		return nil, "", err
	}
	var k defaultKey
	if raw != nil {
		if err := json.Unmarshal(raw, &k); err != nil || len(k.Hash) != sha256.Size {
			return nil, "", fmt.Errorf("the store's default key is damaged: %w", store.ErrCorrupt)
		}
	} else {
		k = defaultKey{OrganizationID: checkpoint.NewID(), ApplicationID: checkpoint.NewID()}
	}
	secret := given
	if secret == "" && raw == nil {
		secret = NewSecret()
		first = secret
	}
	if secret != "" {
		hash := sha256.Sum256([]byte(secret))
		if string(hash[:]) != string(k.Hash) {
			k.Hash = hash[:]
			v, err := json.Marshal(&k)
			if err != nil {
				return nil, "", err
			}
			if err := s.SetMeta("default-key", v); err != nil {
				return nil, "", fmt.Errorf("cannot store the default key: %w", err)
			}
		}
	}
	return []config.Key{{
		Name: defaultKeyName, Hash: [sha256.Size]byte(k.Hash),
		OrganizationID: k.OrganizationID, ApplicationID: k.ApplicationID, Read: true, Write: true,
	}}, first, nil
}

// greet tells the person at the terminal where the server is and what to try.
func greet(w io.Writer, base, first string) {
	key := "$MILEPOST_API_KEY"
	_, _ = fmt.Fprintf(w, "milepost serves %s\n", base)
	if first != "" {
		key = first
		_, _ = fmt.Fprintf(w, "API key (shown this once, only its hash is kept): %s\n", first)
	}
	if strings.HasPrefix(base, "http") { // and no socket
		_, _ = fmt.Fprintf(w, "the viewer: %s/ui/\n", base)
	}
	_, _ = fmt.Fprintf(w, "try: go run ./bench runtime --target %s --key %s\n", base, key)
}
