package upstream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

// authority makes certificates and writes them to files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.cert, a.key = a.sign("ca", template, nil)
	a.pool.AddCert(a.cert)
	return a
}

// sign makes a certificate and writes it and its key to files of that name.
func (a *authority) sign(name string, template *x509.Certificate, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signer := a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	a.write(name+".key", "PRIVATE KEY", secret)
	return cert, key
}

func (a *authority) write(name, kind string, der []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// leaf makes a certificate for the loopback address and for clients.
func (a *authority) leaf(name string) tls.Certificate {
	a.t.Helper()
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert)
	pair, err := tls.LoadX509KeyPair(a.file(name+".pem"), a.file(name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func TestHTTPS(t *testing.T) {
	a := newAuthority(t)
	up := upstreamtest.StartTLS(t, &tls.Config{
		Certificates: []tls.Certificate{a.leaf("server")}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		NextProtos: []string{"h2", "http/1.1"},
	})
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	a.leaf("client")
	o := patient(up.URL)
	o.CA, o.Cert, o.Key = a.file("ca.pem"), a.file("client.pem"), a.file("client.key")
	f := serve(t, o)
	for range 3 {
		if _, body := f.ask(get("/x")); body != "HTTP/1.1 client" {
			t.Errorf("Pass: %s", body)
		}
		answer, err := f.client.Do(t.Context(), "x", Request{Method: "GET", Target: "/a//b%2F"})
		if err != nil || string(answer.Body) != "HTTP/2.0 client" || last(t, up).Target != "/a//b%2F" {
			t.Errorf("Do: %v, %v, %s", answer, err, last(t, up).Target)
		}
	}
	if n := up.Accepted(); n != 2 {
		t.Errorf("%d connections", n)
	}

	o.Cert, o.Key = "", ""
	f = serve(t, o)
	resp, body := f.ask(get("/x"))
	wantError(t, resp, body, 502)
	if strings.Contains(body, "certificate") {
		t.Errorf("the caller is told %s", body)
	}

	o.CA = "" // the system's, which do not know ours
	f = serve(t, o)
	resp, body = f.ask(get("/x"))
	wantError(t, resp, body, 502)
	if _, err := f.client.Do(t.Context(), "x", Request{Method: "GET", Target: "/"}); !errors.Is(err, ErrBroken) {
		t.Errorf("Do: %v", err)
	}
}

func TestASilentHandshakeIsLate(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	o := patient("https://" + ln.Addr().String())
	o.ConnectTimeout = 100 * time.Millisecond
	f := serve(t, o)
	resp, body := f.ask(get("/x"))
	wantError(t, resp, body, 504)
	if _, err := f.client.Do(t.Context(), "x", Request{Method: "GET", Target: "/"}); !errors.Is(err, ErrLate) {
		t.Errorf("Do: %v", err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Options){
		"no URL":            func(o *Options) { o.URL = "" },
		"another scheme":    func(o *Options) { o.URL = "ftp://x" },
		"no host":           func(o *Options) { o.URL = "http:///x" },
		"a user":            func(o *Options) { o.URL = "http://u:p@x" },
		"a query":           func(o *Options) { o.URL = "http://x?y" },
		"a fragment":        func(o *Options) { o.URL = "http://x#y" },
		"nonsense":          func(o *Options) { o.URL = "http://[::1" },
		"no deadline":       func(o *Options) { o.HeaderTimeout = 0 },
		"a breaker's week":  func(o *Options) { o.BreakerWait = 6 * time.Second },
		"negative retries":  func(o *Options) { o.Retries = -1 },
		"no room":           func(o *Options) { o.MaxAnswer = 0 },
		"no file":           func(o *Options) { o.URL, o.CA = "https://x", "/nonexistent" },
		"an empty file":     func(o *Options) { o.URL, o.CA = "https://x", empty },
		"a key without its": func(o *Options) { o.URL, o.Key = "https://x", empty },
	} {
		o := patient("http://127.0.0.1")
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
