package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Pretty renders JSON for a person: indented, cleaned for a terminal. Numbers,
// escapes and the order of properties stay as they are.
func Pretty(raw []byte) (string, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return "", fmt.Errorf("cannot read the answer: %w", err)
	}
	b.WriteByte('\n')
	return CleanJSON(b.String()), nil
}
