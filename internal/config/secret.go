package config

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden stands for a secret wherever one would be printed.
const hidden = "…hidden…"

// Secret is a string that packages fmt, slog and encoding/json do not show,
// alone or inside a Config. Reveal returns its value.
type Secret string

// Reveal returns the secret itself, for the one place that has to use it.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return hidden }

// Format hides the secret from every verb of package fmt, %#v, %x and %d too.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the secret from package slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoding/json and others that ask for it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
