package terminal

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// APIError is an answer that is no success.
type APIError struct {
	Code   int    // the HTTP status
	Reason string // what the server said, cleaned; the status' text if nothing
	Faults []Fault

	// RetryAfter is how long the server asked to wait, 0 if it did not.
	RetryAfter time.Duration
}

// Fault is one of the faults of a 422.
type Fault struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Error says the status and the reason.
func (e *APIError) Error() string {
	return fmt.Sprintf("the server answered %d: %s", e.Code, e.Reason)
}

// maxError bounds the body of an error that is read, maxShownFaults how many
// faults its text names.
const (
	maxError       = 64 << 10
	maxShownFaults = 3
)

func readAPIError(resp *http.Response) *APIError {
	e := &APIError{Code: resp.StatusCode, Reason: http.StatusText(resp.StatusCode)}
	if n, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(n) * time.Second
	}
	if to := resp.Header.Get("Location"); to != "" {
		e.Reason += ": set the target to where " + Clean(to) + " is"
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return e
	}
	var body struct {
		Reason json.RawMessage `json:"reason"`
	}
	if json.Unmarshal(text, &body) != nil {
		return e
	}
	var reason string
	switch {
	case json.Unmarshal(body.Reason, &reason) == nil && reason != "":
		e.Reason = Clean(reason)
	case json.Unmarshal(body.Reason, &e.Faults) == nil && len(e.Faults) > 0:
		var said []string
		for _, f := range e.Faults[:min(len(e.Faults), maxShownFaults)] {
			said = append(said, f.Path+": "+f.Message)
		}
		e.Reason = Clean(strings.Join(said, "; "))
		if more := len(e.Faults) - maxShownFaults; more > 0 {
			e.Reason += fmt.Sprintf(" (and %d more)", more)
		}
	}
	return e
}

// Temporary reports whether the same request may succeed later. Everything
// that is no answer is, but a certificate that is not trusted.
func Temporary(err error) bool {
	var (
		api  *APIError
		cert *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &cert):
		return false
	case !errors.As(err, &api):
		return true
	}
	switch api.Code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	// 501 and 505 will not change, 507 does when there is room again.
	return api.Code >= 500 && api.Code != http.StatusNotImplemented && api.Code != http.StatusHTTPVersionNotSupported
}
