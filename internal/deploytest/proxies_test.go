//go:build proxies

package deploytest

import (
	"bufio"
	"bytes"
	"context"
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
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	secret  = "secret-of-the-proxies-test"
	jobPath = "/api/studio/v1/expert_jobs/proxied00000000000000001/checkpoints/"
)

// given are the addresses that tests have been given: the system may offer one
// again before its server listens there.
var given sync.Map

func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := ln.Addr().String()
		_ = ln.Close()
		if _, taken := given.LoadOrStore(address, nil); !taken {
			return address
		}
	}
}

// start runs a program until the end of the test and shows what it said if the
// test has failed.
func start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		killer := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer killer.Stop()
		if err := cmd.Wait(); err != nil && name != "caddy" {
			t.Errorf("%s ended with %v", name, err)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
}

// eventually waits for something to become true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !is(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// site is a server behind a proxy that ends TLS.
type site struct {
	t          *testing.T
	api, admin string
	front      string // host:port of the proxy
	client     *http.Client
}

// serve starts a server; the proxy is still to be started at front.
func serve(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "milepost")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "milepost/cmd/milepost").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := &site{t: t, api: freeAddress(t), admin: freeAddress(t), front: freeAddress(t)}
	start(t, []string{"MILEPOST_API_KEY=" + secret, "MILEPOST_STREAM_HEARTBEAT=1s"},
		binary, "--listen", s.api, "--admin-listen", s.admin, "--data", filepath.Join(dir, "data"))
	transport := &http.Transport{
		// Whatever the name, it is this machine.
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.front)
		},
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
	}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	eventually(t, "the server is ready", func() bool { return get("http://"+s.admin+"/readyz") == http.StatusOK })
	return s
}

func get(url string) int {
	resp, err := http.Get(url)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// ask sends a request through the proxy.
func (s *site) ask(method, path, body string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "https://milepost.example.com"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	req.Header.Set("Accept-Encoding", "gzip")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// post stores a checkpoint with a text of so many bytes.
func (s *site) post(step int, status string, size int) {
	s.t.Helper()
	usage := `{"inputTokens":1,"outputTokens":1,"reasoningTokens":0,"totalTokens":2,"cachedInputTokens":0}`
	body := fmt.Sprintf(`{"checkpoint":{"status":%q,"stepNumber":%d,"messages":[{"id":"m","type":"userMessage","contents":[{"id":"c","type":"textPart","text":%q}]}],`+
		`"expert":{"key":"helper@1.0.0","name":"helper","version":"1.0.0"},"usage":%s},"step":{"stepNumber":%d,"newMessages":[],"usage":%s,"startedAt":1766560657248}}`,
		status, step, strings.Repeat("x", size), usage, step, usage)
	resp := s.ask("POST", jobPath, body)
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("step %d: %d, %v: %.300s", step, resp.StatusCode, err, answer)
	}
}

// metric returns the line of a series without labels.
func (s *site) metric(name string) string {
	resp, err := http.Get("http://" + s.admin + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), name+" ") {
			return lines.Text()
		}
	}
	return ""
}

// works holds a proxy to what it must do: the largest bodies pass, a stream
// comes event by event and uncompressed, ends with its job, and is closed at
// the server when its reader goes.
func (s *site) works() {
	s.t.Helper()
	eventually(s.t, "the proxy answers", func() bool {
		c, err := net.Dial("tcp", s.front)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	s.post(1, "init", 10)

	stream := s.ask("GET", jobPath+"stream", "")
	if stream.StatusCode != 200 || stream.Header.Get("Content-Encoding") != "" || stream.ProtoMajor != 2 {
		s.t.Fatalf("the stream answers %s %d, %v", stream.Proto, stream.StatusCode, stream.Header)
	}
	frames := bufio.NewReader(stream.Body)
	event := func() (name string, size int) {
		s.t.Helper()
		for {
			line, err := frames.ReadString('\n')
			if err != nil {
				s.t.Fatal(err)
			}
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				name = strings.TrimSpace(v)
			}
			if strings.HasPrefix(line, "data: ") {
				return name, len(line)
			}
		}
	}
	if name, _ := event(); name != "message" {
		s.t.Errorf("the first event is %q", name)
	}
	// Each is read before the next is sent: a proxy that gathers them would
	// leave this waiting.
	for step, size := range []int{100, 300_000, 100, 60 << 20} {
		s.post(step+2, "proceeding", size)
		if name, got := event(); name != "message" || got < size {
			s.t.Errorf("step %d: event %q of %d bytes, want %d", step+2, name, got, size)
		}
	}
	gone := s.ask("GET", jobPath+"stream", "")
	if _, err := gone.Body.Read(make([]byte, 1)); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "two streams are open", func() bool { return s.metric("milepost_stream_subscribers") == "milepost_stream_subscribers 2" })
	if err := gone.Body.Close(); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the stream without a reader is closed", func() bool { return s.metric("milepost_stream_subscribers") == "milepost_stream_subscribers 1" })

	s.post(6, "completed", 10)
	if name, _ := event(); name != "message" {
		s.t.Errorf("the last event is %q", name)
	}
	if name, _ := event(); name != "complete" {
		s.t.Errorf("then comes %q", name)
	}
	if rest, err := io.ReadAll(frames); err != nil || strings.TrimSpace(string(rest)) != "" {
		s.t.Errorf("after complete: %q, %v", rest, err)
	}
	if refused := s.ask("GET", "/api/milepost/v1/stream?job=unknown", ""); refused.StatusCode != 422 {
		s.t.Errorf("a wrong id answers %d", refused.StatusCode)
	}
}

// adapt replaces what an operator would, and fails if that is not there.
func adapt(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%q is not in the file", pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNginx(t *testing.T) {
	s := serve(t)
	dir := t.TempDir()
	certificate(t, dir)
	site := adapt(t, read(t, "deploy/proxy/nginx.conf"),
		"127.0.0.1:8080", s.api, "listen 443", "listen "+s.front,
		"/etc/ssl/milepost.pem", filepath.Join(dir, "cert.pem"), "/etc/ssl/private/milepost.key", filepath.Join(dir, "key.pem"))
	write(t, filepath.Join(dir, "milepost.conf"), site)
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // its workers write where only root may
	}
	conf := filepath.Join(dir, "nginx.conf")
	write(t, conf, fmt.Sprintf(`
%[2]s
pid %[1]s/pid;
error_log stderr warn;
daemon off;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	gzip on;
	gzip_types *;
	include %[1]s/milepost.conf;
}
`, dir, user))
	if out, err := exec.Command("nginx", "-t", "-c", conf).CombinedOutput(); err != nil || bytes.Contains(out, []byte("[warn]")) {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	start(t, nil, "nginx", "-c", conf)
	s.works()
}

func TestCaddy(t *testing.T) {
	s := serve(t)
	dir := t.TempDir()
	certificate(t, dir)
	conf := filepath.Join(dir, "Caddyfile")
	// The certificate is ours, so that it asks no authority for one.
	write(t, conf, "{\n\tadmin off\n\tauto_https off\n}\n"+adapt(t, read(t, "deploy/proxy/Caddyfile"),
		"127.0.0.1:8080", s.api,
		"milepost.example.com {", "https://"+s.front+", https://milepost.example.com:"+port(t, s.front)+" {\n\tbind 127.0.0.1\n\ttls "+
			filepath.Join(dir, "cert.pem")+" "+filepath.Join(dir, "key.pem")))
	start(t, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir},
		"caddy", "run", "--adapter", "caddyfile", "--config", conf)
	s.works()
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// certificate writes one that nobody else trusts.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"milepost.example.com"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}
