package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Request is one whose body is in memory.
type Request struct {
	Method string
	Target string      // path and query, byte for byte
	Header http.Header // without hop-by-hop ones; is not changed
	Body   []byte
}

// Answer is what the upstream said, with its body in memory. Hop-by-hop headers
// are gone.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request and returns the whole answer, whatever its status. route
// is the label of the metrics.
//
// A GET, HEAD or OPTIONS, or any request with an Idempotency-Key, is sent again
// when it failed, or when the answer was a 502, 503 or 504, up to
// Options.Retries times within the deadline; any other only if it cannot have
// reached the upstream.
func (c *Client) Do(ctx context.Context, route string, r Request) (*Answer, error) {
	return c.timed(ctx, route, &r, c.attempts)
}

// timed bounds the time of a request and counts it. do gets the bounded context and
// the caller's.
func (c *Client) timed(ctx context.Context, route string, r *Request, do func(ctx, caller context.Context, r *Request) (*Answer, error)) (*Answer, error) {
	start := time.Now()
	bounded, cancel := context.WithTimeout(ctx, c.o.RequestTimeout)
	defer cancel()
	a, err := do(bounded, ctx, r)
	code := 0
	switch {
	case err == nil:
		code = a.Status
	case ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded):
		code = StatusOf(err)
	}
	c.routes.of(route).Done(code, time.Since(start))
	return a, err
}

// attempts tries until there is an answer that is worth giving. caller is the
// context that ctx is made of.
func (c *Client) attempts(ctx, caller context.Context, r *Request) (*Answer, error) {
	again := repeatable(r.Method, r.Header.Get("Idempotency-Key") != "")
	for attempt := 1; ; attempt++ {
		a, err := c.attempt(ctx, caller, r)
		var floor time.Duration
		retry := err != nil && ctx.Err() == nil && (again || errors.Is(err, ErrRefused)) &&
			!errors.Is(err, errBreakerOpen) && !errors.Is(err, ErrTooLarge)
		if err == nil && again {
			floor, retry = passing(a.Status, a.Header.Get("Retry-After"))
		}
		if !retry || attempt > c.o.Retries || !c.wait(ctx, attempt, floor) {
			return a, err
		}
	}
}

// attempt sends a request once.
func (c *Client) attempt(ctx, caller context.Context, r *Request) (*Answer, error) {
	p, err := c.breaker.admit()
	if err != nil {
		return nil, err
	}
	a, err := c.exchange(ctx, r)
	if err != nil {
		err = asFailure(err)
	}
	c.breaker.done(p, outcomeFor(caller, err), err)
	return a, err
}

func (c *Client) exchange(ctx context.Context, r *Request) (*Answer, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	// No more than the bound is read, however long the rest.
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.o.MaxAnswer+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > c.o.MaxAnswer {
		return nil, &failure{kind: ErrTooLarge}
	}
	dropHops(resp.Header)
	return &Answer{Status: resp.StatusCode, Header: resp.Header, Body: body}, nil
}

// send sends a request and returns when the head of its answer is there.
func (c *Client) send(ctx context.Context, r *Request) (*http.Response, error) {
	if !strings.HasPrefix(r.Target, "/") || strings.HasPrefix(c.prefix+r.Target, "//") {
		return nil, errTarget
	}
	// Opaque is sent as it is; a parsed path might be written otherwise.
	req := &http.Request{
		Method: r.Method, Host: c.host, Header: r.Header.Clone(),
		URL: &url.URL{Scheme: c.scheme, Host: c.host, Opaque: c.prefix + r.Target},
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	if c.o.Authorization != "" {
		req.Header.Set("Authorization", c.o.Authorization)
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // none, instead of that of net/http
	}
	if r.Body != nil {
		req.ContentLength = int64(len(r.Body))
		req.Body = io.NopCloser(bytes.NewReader(r.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.Body)), nil }
	}
	return c.http.RoundTrip(req.WithContext(ctx))
}
