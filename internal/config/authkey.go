package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// minSecret is the least length of a secret. Sixteen random characters hold
// more than 80 bits.
const minSecret = 16

// maxName bounds a key's name, which stands in log lines.
const maxName = 64

// keyEntry is one entry of auth.keys while it is read.
type keyEntry struct {
	l     *loader
	path  string
	at    Where
	key   Key
	heard Where // where the secret was given
	bad   bool
}

// authKeys applies auth.keys.
func (l *loader) authKeys(v *value) {
	if v.kind != unstable.Array {
		l.wrongKind(keysPath, v, "an array of tables, each under [[auth.keys]]")
		return
	}
	names, hashes := map[string]string{}, map[[sha256.Size]byte]string{}
	for i, table := range v.items {
		e := keyEntry{l: l, path: fmt.Sprintf("%s[%d]", keysPath, i), at: table.at}
		if table.kind != unstable.Table {
			l.wrongKind(e.path, table, "a table")
			continue
		}
		e.read(table)
		if first, twice := names[e.key.Name]; twice && e.key.Name != "" {
			e.fault(table.entry("name").val.at, "name", "is also the name of %s", first)
		}
		names[e.key.Name] = e.path
		if first, twice := hashes[e.key.Hash]; twice && e.heard != (Where{}) {
			e.fault(e.heard, "", "has the same secret as %s", first)
		} else if e.heard != (Where{}) {
			hashes[e.key.Hash] = e.path
		}
		if !e.bad {
			l.cfg.Auth.Keys = append(l.cfg.Auth.Keys, e.key)
		}
	}
}

func (e *keyEntry) fault(at Where, name, format string, args ...any) {
	path := e.path
	if name != "" {
		path = join(path, name)
	}
	e.bad = true
	e.l.fault(at, path, format, args...)
}

func (e *keyEntry) read(table *value) {
	secrets := 0
	for _, entry := range table.entries {
		switch entry.name {
		case "name", "organization_id", "application_id":
			e.text(entry)
		case "secret", "secret_sha256", "secret_env":
			if secrets++; secrets > 1 {
				e.fault(entry.at, entry.name, "only one of secret, secret_sha256 and secret_env may be given")
			} else {
				e.text(entry)
			}
		case "scopes":
			e.scopes(entry.val)
		default:
			e.fault(entry.at, entry.name, "unknown %s", keyOrTable(entry.val))
		}
	}
	for _, name := range []string{"name", "organization_id", "application_id", "scopes"} {
		if table.entry(name) == nil {
			e.fault(e.at, name, "is missing")
		}
	}
	if secrets == 0 {
		e.fault(e.at, "secret", "is missing: give one of secret, secret_sha256 and secret_env")
	}
}

func (e *keyEntry) text(entry *entry) {
	v := entry.val
	if v.kind != unstable.String {
		e.fault(v.at, entry.name, "must be a string, got %s", kindName(v))
		return
	}
	var err error
	switch entry.name {
	case "name":
		e.key.Name, err = v.text, checkName(v.text)
	case "organization_id":
		e.key.OrganizationID, err = v.text, checkID(v.text)
	case "application_id":
		e.key.ApplicationID, err = v.text, checkID(v.text)
	default:
		e.key.Hash, err = e.l.hash(entry.name, v.text)
		if err == nil {
			e.heard = v.at
		}
	}
	if err != nil {
		e.fault(v.at, entry.name, "%v", err)
	}
}

func (e *keyEntry) scopes(v *value) {
	if v.kind != unstable.Array || len(v.items) == 0 {
		e.fault(v.at, "scopes", `must be a list of "read", "write" or both`)
		return
	}
	for _, scope := range v.items {
		granted := &e.key.Read
		switch {
		case scope.kind != unstable.String:
			e.fault(scope.at, "scopes", "must be a list of strings, got %s", kindName(scope))
			continue
		case scope.text == "write":
			granted = &e.key.Write
		case scope.text != "read":
			e.fault(scope.at, "scopes", `may hold "read" and "write", got %s`, quote(scope.text))
			continue
		}
		if *granted {
			e.fault(scope.at, "scopes", "names %s twice", quote(scope.text))
		}
		*granted = true
	}
}

// hash returns the hash of a secret that was given in one of three ways.
func (l *loader) hash(how, text string) (hash [sha256.Size]byte, err error) {
	switch how {
	case "secret_sha256":
		if n, err := hex.Decode(hash[:], []byte(text)[:min(len(text), 64)]); err != nil || n != len(hash) || len(text) != 64 {
			return hash, errors.New("must be the SHA-256 of the secret in 64 hexadecimal digits")
		}
		return hash, nil
	case "secret_env":
		// The name is not repeated: it may be the secret itself, misplaced.
		secret, ok := l.env[text]
		if !ok {
			return hash, errors.New("names a variable that is not set")
		}
		l.mentioned[text] = true
		if err := checkSecret(secret); err != nil {
			return hash, fmt.Errorf("names a variable whose value %w", err)
		}
		return sha256.Sum256([]byte(secret)), nil
	}
	if err := checkSecret(text); err != nil {
		return hash, err
	}
	return sha256.Sum256([]byte(text)), nil
}

// checkSecret wants what a client can send as a bearer token and nobody guesses.
func checkSecret(s string) error {
	if utf8.RuneCountInString(s) < minSecret {
		return fmt.Errorf("must have at least %d characters", minSecret)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("must be of visible ASCII characters, since it travels in a header")
	}
	return nil
}

func checkName(s string) error {
	if s == "" || len(s) > maxName || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("must have 1 to %d bytes, none of them a control character", maxName)
	}
	return nil
}

// checkID holds the pattern of ids: 24 characters ^[a-z0-9]+$.
func checkID(s string) error {
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(s) != 24 || slices.ContainsFunc([]rune(s), outside) {
		return fmt.Errorf("must have 24 characters a-z and 0-9, got %s", quote(s))
	}
	return nil
}
