package proxy

import (
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/origin"
)

// apiError is an answer that is no success. This file is the one table of what
// the API says when something is wrong (semantics.md, "Requests and errors").
type apiError struct {
	code   int
	reason string
	// faults, if set, is the reason of a 422 instead.
	faults checkpoint.Faults
	// retryAfter is the header's value in seconds, if there is one.
	retryAfter int
	// allow lists the methods of a 405.
	allow string
}

func (e *apiError) Error() string { return strconv.Itoa(e.code) + ": " + e.reason }

// The errors whose text is fixed.
var (
	errUnauthorized       = &apiError{code: 401, reason: "Failed to authenticate"}
	errNoRoute            = &apiError{code: 404, reason: "No such route"}
	errScopeRead          = &apiError{code: 403, reason: "The key lacks the scope read"}
	errScopeWrite         = &apiError{code: 403, reason: "The key lacks the scope write"}
	errCheckpointNotFound = &apiError{code: 404, reason: "Checkpoint not found"}
	errJobNotFound        = &apiError{code: 404, reason: "Expert job not found"}
	errMediaType          = &apiError{code: 415, reason: "The body must be application/json"}
	errBodyTooLarge       = &apiError{code: 413, reason: "The body is larger than server.max_body"}
	errTicketTooLarge     = &apiError{code: 413, reason: "The body is larger than 64 KiB"}
	errBodyTimeout        = &apiError{code: 408, reason: "The request did not arrive in time"}
	errHeaderTooLarge     = &apiError{code: 431, reason: "The request head is larger than server.max_header"}
	errMalformed          = &apiError{code: 400, reason: "Malformed HTTP request"}
	errBodyCut            = &apiError{code: 400, reason: "The body ended before its announced length"}
	errKeyInUse           = &apiError{code: 409, reason: "A request with this Idempotency-Key is still being worked on"}
	errRate               = &apiError{code: 429, reason: "The key makes more requests than server.rate_limit", retryAfter: 1}
	errBusy               = &apiError{code: 503, reason: "Too many requests are in flight", retryAfter: 1}
	errScanTimeout        = &apiError{code: 503, reason: "The filter took longer than server.scan_timeout", retryAfter: 5}
	errLowSpace           = &apiError{code: 507, reason: "The disk is nearly full; reads go on"}
	errStoreFailed        = &apiError{code: 503, reason: "The store has failed and the server is restarting", retryAfter: 5}
	errSubscribers        = &apiError{code: 503, reason: "Too many streams are open", retryAfter: 5}
	errSubscribersOfKey   = &apiError{code: 429, reason: "The key has more streams open than stream.max_subscribers_per_key", retryAfter: 5}
	errSubscribersOfJob   = &apiError{code: 503, reason: "Too many streams of the job are open", retryAfter: 5}
	errDraining           = &apiError{code: 503, reason: "The server is shutting down", retryAfter: 1}
	errInternal           = &apiError{code: 500, reason: "Internal error"}
)

// errorFor maps what the packages below return.
func errorFor(err error) *apiError {
	var (
		api    *apiError
		syntax *checkpoint.SyntaxError
		faults checkpoint.Faults
		expert *origin.ExpertError
	)
	switch {
	case errors.As(err, &api):
		return api
	case errors.As(err, &syntax):
		return &apiError{code: 400, reason: syntax.Error()}
	case errors.As(err, &faults):
		return &apiError{code: 422, faults: faults}
	case errors.As(err, &expert):
		return &apiError{code: 400, reason: clip(expert.Error(), 600)}
	case errors.Is(err, origin.ErrJobNotFound):
		return errJobNotFound
	case errors.Is(err, origin.ErrKeyInUse):
		return errKeyInUse
	case errors.Is(err, origin.ErrKeyReused):
		return &apiError{code: 422, faults: checkpoint.Faults{{
			Path: "Idempotency-Key", Message: "the key was used with another body before",
			Expected: "the same body", Received: "another body",
		}}}
	case errors.Is(err, store.ErrLowSpace):
		return errLowSpace
	case errors.Is(err, store.ErrFailed):
		return errStoreFailed
	}
	return errInternal
}

// clip shortens what a client sent before it is sent back.
func clip(s string, limit int) string {
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// title is the error's name as HTTP gives it; the document has one of its own
// for 422.
func (e *apiError) title() string {
	if e.code == 422 {
		return "Validation Failed"
	}
	return fasthttp.StatusMessage(e.code)
}

// write makes e the response.
func (e *apiError) write(ctx *fasthttp.RequestCtx) {
	body := append(ctx.Response.Body()[:0], `{"code":`...)
	body = strconv.AppendInt(body, int64(e.code), 10)
	body = append(body, `,"error":`...)
	body = checkpoint.AppendString(body, e.title())
	body = append(body, `,"reason":`...)
	if e.faults != nil {
		list, err := checkpoint.Marshal(e.faults)
		if err != nil {
			list = []byte(`[]`)
		}
		body = append(body, list...)
	} else {
		body = checkpoint.AppendString(body, e.reason)
	}
	body = append(body, '}')

	h := &ctx.Response.Header
	ctx.SetStatusCode(e.code)
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	if e.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	if e.allow != "" {
		h.Set("Allow", e.allow)
	}
	if e.code == 401 {
		h.Set("WWW-Authenticate", "Bearer")
	}
	ctx.SetBody(body)
}
