package ingest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"milepost/internal/terminal"
)

// stub is a server that takes everything and remembers what it was sent, in
// order. answer, if set, may answer first.
type stub struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request) bool

	mu    sync.Mutex
	keys  []string
	notes []string
}

func newStub(t *testing.T) *stub {
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if s.answer != nil && s.answer(w, r) {
		return
	}
	if r.Method != http.MethodPost {
		_, _ = io.WriteString(w, `{"data":{"checkpoints":[]},"meta":{"total":0}}`)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	s.mu.Lock()
	s.keys = append(s.keys, key)
	s.mu.Unlock()
	sum := sha256.Sum256([]byte(key))
	_, _ = fmt.Fprintf(w, `{"data":{"checkpoint":{"id":%q}}}`, hex.EncodeToString(sum[:12]))
}

func (s *stub) note(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, text)
}

// posted returns the keys of the checkpoints, with spaces between them.
func (s *stub) posted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.keys, " ")
}

func (s *stub) noted(words string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.notes, "\n"), words)
}

func (s *stub) poster(t *testing.T) *Poster {
	t.Helper()
	c, err := terminal.NewClient(s.URL, "key")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return NewPoster(c, s.note, 0)
}

// completed is an event of a checkpoint with the id.
func completed(id string) string {
	return head + `"checkpoint":{"id":"` + id + `"},"step":{}}`
}
