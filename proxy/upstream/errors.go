package upstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

// What can be wrong with the upstream. Errors of Client wrap one of them, or
// the error of the caller's own context when it was canceled.
var (
	// ErrRefused: no connection could be made, or the breaker is open. The
	// request has not reached the upstream. 503.
	ErrRefused = errors.New("the upstream cannot be reached")
	// ErrBroken: the connection ended or what came is not HTTP. The request may
	// have had its effect. 502.
	ErrBroken = errors.New("the upstream's answer broke off")
	// ErrLate: a deadline passed. The request may have had its effect, or have
	// it yet. 504.
	ErrLate = errors.New("the upstream did not answer in time")
	// ErrTooLarge: an answer that has to be held in memory is longer than
	// Options.MaxAnswer. 502.
	ErrTooLarge = errors.New("the upstream's answer is too large")
)

// failure is one of the sentinels with what it is about.
type failure struct {
	kind       error
	cause      error // may be nil
	retryAfter time.Duration
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.kind.Error()
	}
	return fmt.Sprintf("%v: %v", f.kind, f.cause)
}

func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// asFailure says which of the sentinels an error of an exchange is. The error of
// a canceled context stays what it is: nobody waits for its answer.
func asFailure(err error) error {
	var (
		known *failure
		own   *refusal
		dial  *dialError
	)
	switch {
	case errors.As(err, &known), errors.As(err, &own), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded), timedOut(err):
		return &failure{kind: ErrLate, cause: err}
	case errors.As(err, &dial):
		return &failure{kind: ErrRefused, cause: err, retryAfter: time.Second}
	}
	return &failure{kind: ErrBroken, cause: err}
}

// timedOut reports whether a deadline is what ended a read or write. The
// timeouts of fasthttp are no net.Error.
func timedOut(err error) bool {
	var late interface{ Timeout() bool }
	return errors.As(err, &late) && late.Timeout()
}

// StatusOf returns the status code of the answer to the caller of a request
// that ended with an error of this package: 502, 503 or 504.
func StatusOf(err error) int {
	switch {
	case errors.Is(err, ErrRefused):
		return fasthttp.StatusServiceUnavailable
	case errors.Is(err, ErrLate), errors.Is(err, context.DeadlineExceeded):
		return fasthttp.StatusGatewayTimeout
	}
	return fasthttp.StatusBadGateway
}

// RetryAfter returns how long to wait before the request is worth another try,
// in whole seconds and at least one.
func RetryAfter(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return max(1, int((f.retryAfter+time.Second-1)/time.Second))
	}
	return 1
}

// ReasonOf returns what the caller of a failed request is told. Addresses and
// certificates of the upstream are for the log, not for it.
func ReasonOf(err error) string {
	for _, kind := range []error{ErrRefused, ErrLate, ErrTooLarge} {
		if errors.Is(err, kind) {
			return sentence(kind)
		}
	}
	return sentence(ErrBroken)
}

func sentence(err error) string {
	s := []byte(err.Error())
	s[0] &^= 0x20
	return string(s)
}

// refusal is an answer of ours to a request that is not passed on.
type refusal struct {
	code   int
	reason string
}

func (r *refusal) Error() string { return strconv.Itoa(r.code) + ": " + r.reason }

// The requests that are not passed on.
var (
	errFraming    = &refusal{400, "Content-Length and Transfer-Encoding contradict each other"}
	errHeader     = &refusal{400, "Malformed header"}
	errTarget     = &refusal{400, "Malformed request target"}
	errTwice      = &refusal{400, "The header Authorization may be there once"}
	errUpgrade    = &refusal{501, "Upgrading the connection to another protocol is not supported"}
	errConnect    = &refusal{501, "CONNECT is not supported"}
	errBodyLate   = &refusal{408, "The body did not arrive in time"}
	errBodyBroken = &refusal{400, "The body ended before its announced length"}
)

// answerWith makes an error the response, in the body that every error of the
// API has.
func answerWith(ctx *fasthttp.RequestCtx, err error) {
	code, reason, retryAfter := 0, "", 0
	var own *refusal
	if errors.As(err, &own) {
		code, reason = own.code, own.reason
	} else {
		code, reason, retryAfter = StatusOf(err), ReasonOf(err), RetryAfter(err)
	}
	ctx.Response.Reset()
	ctx.SetStatusCode(code)
	if own != nil {
		// Where a request ends that can be read in two ways, or that broke off,
		// nobody knows: nothing behind it is read as another one.
		ctx.SetConnectionClose()
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	if retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(retryAfter))
	}
	body := append([]byte(`{"code":`), strconv.Itoa(code)...)
	body = append(body, `,"error":`...)
	body = checkpoint.AppendString(body, fasthttp.StatusMessage(code))
	body = append(body, `,"reason":`...)
	body = checkpoint.AppendString(body, reason)
	ctx.SetBody(append(body, '}'))
}
