package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// makeCertificate writes a certificate for 127.0.0.1 and its key, and returns
// their files and who trusts it.
func makeCertificate(t *testing.T, dir, name string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(file, kind string, b []byte) string {
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	return write(name+".crt", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", keyDER), roots
}

// With a certificate the API speaks HTTPS, and nothing else.
func TestHTTPS(t *testing.T) {
	base := t.TempDir()
	cert, key, roots := makeCertificate(t, base, "server")
	p := startProcess(t, filepath.Join(base, "data"), "MILEPOST_API_KEY="+secret,
		"MILEPOST_SERVER_TLS_CERT="+cert, "MILEPOST_SERVER_TLS_KEY="+key)
	client := func(c *tls.Config) *http.Client {
		// HTTP/2 is offered, as browsers do, and must not be chosen.
		tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
		t.Cleanup(tr.CloseIdleConnections)
		return &http.Client{Transport: tr}
	}
	trusting := client(&tls.Config{RootCAs: roots})
	ask := func(method, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequest(method, "https://"+p.api+path("https0000000000000000001"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		req.Header.Set("Content-Type", "application/json")
		resp, err := trusting.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.ProtoMajor != 1 {
			t.Errorf("%s: %s %v", method, resp.Proto, err)
		}
		return resp.StatusCode, string(b)
	}
	if code, b := ask("POST", requestBody(1)); code != 200 {
		t.Errorf("POST: %d %s", code, b)
	}
	if code, b := ask("GET", ""); code != 200 || !strings.Contains(b, `"total":1`) {
		t.Errorf("GET: %d %s", code, b)
	}

	if resp, err := http.Get("http://" + p.api + path("https0000000000000000001")); err == nil {
		_ = resp.Body.Close()
		t.Errorf("plain HTTP: %d, want no answer", resp.StatusCode)
	}
	old := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if resp, err := client(old).Get("https://" + p.api); err == nil {
		_ = resp.Body.Close()
		t.Error("TLS 1.1 was accepted")
	}
	if code, b := ask("GET", ""); code != 200 {
		t.Errorf("after those: %d %s", code, b)
	}
	if err := p.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.logs.String())
	}
	if says := "milepost serves https://" + p.api; !strings.Contains(p.stdout.String(), says) {
		t.Errorf("greeting %q, want %q", p.stdout.String(), says)
	}
}

// Files that the configuration names are read before anything is opened, and
// what is wrong with them is said with their name and their key.
func TestFilesWithFaults(t *testing.T) {
	base := t.TempDir()
	cert, key, _ := makeCertificate(t, base, "one")
	_, otherKey, _ := makeCertificate(t, base, "other")
	text := filepath.Join(base, "text")
	if err := os.WriteFile(text, []byte("no PEM, no JSON"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(base, "missing")
	for _, tt := range []struct {
		name               string
		cert, key, catalog string
		says               []string
	}{
		{"no certificate", missing, key, "", []string{missing + ": server.tls_cert: ", "no such file"}},
		{"no key", cert, missing, "", []string{missing + ": server.tls_key: ", "no such file"}},
		{"a directory", base, key, "", []string{base + ": server.tls_cert: ", "is a directory"}},
		{"no PEM", text, key, "", []string{text + ": server.tls_cert: ", "PEM"}},
		{"no PEM in the key", cert, text, "", []string{cert + ": server.tls_cert: ", text, "PEM"}},
		{"another's key", cert, otherKey, "", []string{cert + ": server.tls_cert: ", otherKey, "does not match"}},
		{"all at once", missing, text + "x", text, []string{"server.tls_cert", "server.tls_key", text + ": experts.catalog: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "config.toml")
			c := fmt.Sprintf("[server]\ntls_cert = %q\ntls_key = %q\n", tt.cert, tt.key)
			if tt.catalog != "" {
				c += fmt.Sprintf("[experts]\nmode = \"catalog\"\ncatalog = %q\n", tt.catalog)
			}
			if err := os.WriteFile(file, []byte(c), 0o600); err != nil {
				t.Fatal(err)
			}
			data := filepath.Join(t.TempDir(), "data")
			for _, args := range [][]string{
				{"check-config", "--config", file},
				{"serve", "--config", file, "--data", data, "--listen", "127.0.0.1:0", "--admin-listen", ""},
			} {
				cmd := exec.Command(binary, args...)
				out, _ := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != 2 {
					t.Errorf("%s: exit %d, want 2:\n%s", args[0], code, out)
				}
				for _, words := range tt.says {
					if !strings.Contains(string(out), words) {
						t.Errorf("%s does not say %q:\n%s", args[0], words, out)
					}
				}
			}
			if _, err := os.Stat(data); !os.IsNotExist(err) {
				t.Errorf("the data directory was made before the fault was found: %v", err)
			}
		})
	}
}
