package openapitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
)

// Transport returns a RoundTripper that sends requests by next and checks each
// exchange. Faults go to the test of v; if it has none, RoundTrip returns them
// as its error.
//
// The bytes of a request go out as they would without it. A response body is
// read whole before RoundTrip returns, except for that of an event stream,
// whose events are checked as they pass; the reader gets their faults as an
// error if there is no test.
func (v *Validator) Transport(next http.RoundTripper) http.RoundTripper {
	return &transport{validator: v, next: next}
}

type transport struct {
	validator *Validator
	next      http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	out, sent, err := record(req)
	if err != nil {
		return nil, err
	}
	resp, err := t.next.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	x := exchange{req: req, reqBody: sent(), resp: resp}
	if isEventStream(resp) {
		resp.Body = t.checkEvents(x)
	} else {
		var readErr error
		x.respBody, readErr = io.ReadAll(resp.Body)
		x.complete = readErr == nil
		resp.Body = received(x.respBody, readErr, resp.Body)
	}
	if err := t.report(x); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return resp, nil
}

// report hands the faults of an exchange to the test, or returns them.
func (t *transport) report(x exchange) error {
	v := t.validator
	if v.t != nil {
		v.t.Helper()
	}
	var all []error
	for _, fault := range v.faults(x) {
		fault = fmt.Errorf("%s %s -> %d: %w", x.req.Method, x.req.URL.RequestURI(), x.resp.StatusCode, fault)
		if v.t != nil {
			v.t.Error(fault)
			continue
		}
		all = append(all, fault)
	}
	return errors.Join(all...)
}

// isEventStream tells whether a response is a stream that may never end.
func isEventStream(resp *http.Response) bool {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return mediaType == "text/event-stream"
}

// received is a body that was read already: the bytes, then the error that
// reading them ended with. Closing it closes the original.
func received(body []byte, err error, original io.Closer) io.ReadCloser {
	var r io.Reader = bytes.NewReader(body)
	if err != nil {
		r = io.MultiReader(r, failingReader{err})
	}
	return struct {
		io.Reader
		io.Closer
	}{r, original}
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// record returns the request to send in place of req, and a function for what
// its body was. A body that can be had again is left alone, so that the
// transport can send it again on a new connection.
func record(req *http.Request) (out *http.Request, sent func() []byte, err error) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, func() []byte { return nil }, nil
	}
	if req.GetBody == nil {
		r := &recorder{ReadCloser: req.Body}
		out = req.Clone(req.Context())
		out.Body = r
		return out, r.bytes, nil
	}
	again, err := req.GetBody()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot get the request body again: %w", err)
	}
	body, err := io.ReadAll(again)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the request body again: %w", err)
	}
	return req, func() []byte { return body }, again.Close()
}

// recorder keeps what is read of a request body. A transport may go on reading
// while the response is already there, hence the lock.
type recorder struct {
	io.ReadCloser
	mu   sync.Mutex
	sent []byte
}

// Read implements io.Reader.
func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, p[:n]...)
	return n, err
}

// bytes returns what was read so far.
func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.sent)
}
