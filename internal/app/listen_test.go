package app

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"milepost/internal/config"
)

// What the greeting names is an address that a client can call.
func TestAddressCanBeCalled(t *testing.T) {
	for _, tt := range []struct{ listen, cert, want string }{
		{"127.0.0.1:0", "", "http://127.0.0.1:"},
		{"127.0.0.1:0", "cert.pem", "https://127.0.0.1:"},
		{":0", "", "http://localhost:"},
		{"0.0.0.0:0", "", "http://localhost:"},
		{"unix:" + filepath.Join(t.TempDir(), "socket"), "", "unix:/"},
	} {
		ln, err := listen(tt.listen, nil)
		if err != nil {
			t.Fatal(err)
		}
		cfg := config.Default()
		cfg.Server.Listen, cfg.Server.TLSCert = tt.listen, tt.cert
		got := address(ln, cfg)
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s…", tt.listen, got, tt.want)
		}
		network, _, _ := strings.Cut(tt.listen, ":")
		if network != "unix" {
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			if !strings.HasSuffix(got, ":"+port) {
				t.Errorf("%s: %s, want port %s", tt.listen, got, port)
			}
		}
		_ = ln.Close()
	}
}
