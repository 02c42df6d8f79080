// Package openapitest checks HTTP exchanges of tests against the description in
// package openapi, so that the server and its description cannot drift apart:
// what the server does and the description lacks is a fault of the exchange,
// and what the description has and no test has seen is listed by Unused.
//
// Only tests import it.
package openapitest

import (
	"net/http"
	"sync"
	"testing"

	"milepost/proxy/openapi"
)

// Validator checks exchanges against the description and records which
// responses were seen. It may be used by several goroutines at once.
type Validator struct {
	document *document
	coverage *coverage
	t        testing.TB // nil until With
}

// parseOnce parses the embedded description for all validators of a process.
var parseOnce = sync.OnceValues(func() (*document, error) { return parseDocument(openapi.YAML) })

// Open returns a validator that belongs to no test yet, for a package whose
// tests share one record of what was seen; see With and Missing. It fails if
// the description cannot be read.
func Open() (*Validator, error) {
	d, err := parseOnce()
	if err != nil {
		return nil, err
	}
	return &Validator{document: d, coverage: newCoverage()}, nil
}

// New returns a validator that reports to t.
func New(t testing.TB) *Validator {
	t.Helper()
	v, err := Open()
	if err != nil {
		t.Fatalf("cannot open the OpenAPI description: %v", err)
	}
	return v.With(t)
}

// With returns a validator that reports to t and shares the record of v.
func (v *Validator) With(t testing.TB) *Validator {
	return &Validator{document: v.document, coverage: v.coverage, t: t}
}

// Check reports to t each way in which an exchange does not match the
// description:
//
//   - the request, if the server accepted it (2xx or 304): its key, parameters,
//     content type and body;
//   - the response: its status, required headers, content type and body. A body
//     that stands in a content coding is decoded first.
//
// At a path or with a method that the description does not have, only the
// error responses that it sets aside for that are right. The body of an event
// stream is not looked at, and respBody may be nil there; Transport checks it.
func (v *Validator) Check(t testing.TB, req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) {
	t.Helper()
	for _, fault := range v.faults(exchange{req, reqBody, resp, respBody, true}) {
		t.Errorf("%s %s -> %d: %v", req.Method, req.URL.RequestURI(), resp.StatusCode, fault)
	}
}

// exchange is a request and the response to it.
type exchange struct {
	req      *http.Request
	reqBody  []byte
	resp     *http.Response
	respBody []byte
	complete bool // respBody is the whole body
}

// faults lists the ways in which an exchange does not match the description,
// and records it.
func (v *Validator) faults(x exchange) []error {
	template, values := v.document.findPath(x.req.URL.EscapedPath())
	if template == "" {
		return v.document.unroutedFaults(x, http.StatusNotFound, "RouteNotFound")
	}
	op, ok := v.document.findOperation(x.req.Method, template)
	if !ok {
		return v.document.unroutedFaults(x, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
	op.pathValues = values

	v.coverage.add(op.id, x.resp.StatusCode)
	var faults []error
	if accepted(x.resp.StatusCode) {
		faults = v.document.requestFaults(op, x)
	}
	return append(faults, v.document.responseFaults(op, x)...)
}

// accepted tells whether a status says that the request was right.
func accepted(status int) bool {
	return status/100 == 2 || status == http.StatusNotModified
}
