// Package upstreamtest is an upstream for tests: it counts what reaches it and
// misbehaves on command.
package upstreamtest

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
)

// Request is the head of one that has reached the server.
type Request struct {
	Method, Target string // the target byte for byte
	Host           string
	Header         http.Header
}

// Server is an upstream on the loopback interface.
type Server struct {
	// URL is http:// or https:// and the address, which stays the same while the
	// server is down.
	URL string

	t       testing.TB
	address string
	secure  *tls.Config

	mu       sync.Mutex
	server   *http.Server
	served   chan struct{} // closed when the server has ended
	handler  http.HandlerFunc
	mode     Mode
	release  chan struct{} // closed when what hangs is to end
	requests []Request
	accepted int
	open     map[net.Conn]bool
}

// Start returns a server that answers as Echo does. It ends with the test.
func Start(t testing.TB) *Server { return start(t, nil) }

// StartTLS is Start with HTTPS, and HTTP/2 if the configuration offers it.
func StartTLS(t testing.TB, config *tls.Config) *Server { return start(t, config) }

func start(t testing.TB, secure *tls.Config) *Server {
	t.Helper()
	s := &Server{t: t, secure: secure, handler: Echo, release: make(chan struct{}), open: make(map[net.Conn]bool)}
	s.Up()
	t.Cleanup(s.Down)
	return s
}

// Up makes a server that is down listen again.
func (s *Server) Up() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = ln.Addr().String()
	s.URL = "http://" + s.address
	server := &http.Server{Handler: http.HandlerFunc(s.serve), DisableGeneralOptionsHandler: true, ConnState: s.follow, ErrorLog: log.New(io.Discard, "", 0)}
	serve := func() error { return server.Serve(Paced(ln)) }
	if s.secure != nil {
		s.URL = "https://" + s.address
		server.TLSConfig = s.secure.Clone()
		serve = func() error { return server.ServeTLS(Paced(ln), "", "") }
	}
	s.server, s.served = server, make(chan struct{})
	served := s.served
	go func() {
		defer close(served)
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			s.t.Errorf("the test upstream ended: %v", err)
		}
	}()
}

// Down closes the listener and all connections: it refuses new ones until Up.
func (s *Server) Down() {
	s.Release()
	s.mu.Lock()
	server, served := s.server, s.served
	s.server = nil
	var open []net.Conn
	for c := range s.open {
		open = append(open, c)
	}
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close()
	for _, c := range open {
		_ = c.Close()
	}
	<-served
}

// Release lets end what hangs.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.release)
	s.release = make(chan struct{})
}

// Answer sets what answers while the server behaves.
func (s *Server) Answer(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// Misbehave sets how the server answers from the next request on.
func (s *Server) Misbehave(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
}

// Requests returns what has reached the server so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Accepted returns how many connections were made so far, Open how many of them
// the server has open.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// Open returns how many connections the server has open.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func (s *Server) follow(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.accepted++
		s.open[c] = true
	case http.StateClosed:
		delete(s.open, c)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, Request{r.Method, r.RequestURI, r.Host, r.Header.Clone()})
	mode, handler, release := s.mode, s.handler, s.release
	s.mu.Unlock()
	if mode == Behave {
		handler(w, r)
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError) // HTTP/2 has other ways to misbehave
		return
	}
	defer func() {
		s.follow(c, http.StateClosed)
		_ = c.Close()
	}()
	mode.on(c, release)
}

// Echo answers 200 with the body and the trailers of the request.
func Echo(w http.ResponseWriter, r *http.Request) {
	for name := range r.Trailer {
		w.Header().Add("Trailer", name)
	}
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	_, _ = io.Copy(w, r.Body)
	for name, values := range r.Trailer {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
}

// Paced bounds what the connections of a listener have on their way. Without it
// the kernel's loopback overruns slow readers, drops, and waits for its timer.
func Paced(ln net.Listener) net.Listener { return paced{ln} }

type paced struct{ net.Listener }

// Accept implements net.Listener.
func (l paced) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if t, ok := c.(*net.TCPConn); ok {
		err = t.SetWriteBuffer(128 << 10)
	}
	return c, err
}
