package terminal

import (
	"errors"
	"net"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// Whoever cannot reach the server is told what to do about it, and nothing where
// the cause alone says it.
func TestHint(t *testing.T) {
	secure := httptest.NewTLSServer(nil)
	defer secure.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	for _, tt := range []struct{ name, target, want string }{
		{"nobody listens", "http://" + gone.Addr().String(), "MILEPOST_URL"},
		{"no such socket", "unix:" + filepath.Join(t.TempDir(), "socket"), "MILEPOST_URL"},
		{"a signer that is not known", secure.URL, "SSL_CERT_FILE"},
	} {
		c, err := NewClient(tt.target, "key")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Checkpoint(t.Context(), strings.Repeat("j", 24), strings.Repeat("c", 24))
		if err == nil || !strings.Contains(err.Error(), "cannot reach the server") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if got := hint(errors.New("context deadline exceeded")); got != "" {
		t.Errorf("a cause that says it all: %q", got)
	}
}
