package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// firstBackoff and maxBackoff bound the wait before a request is sent again.
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	// giveUpAfter bounds how long one request is retried.
	giveUpAfter = 2 * time.Minute
	// maxAnswer bounds an answer: it repeats the body, whose limit is 64 MiB by default.
	maxAnswer = 256 << 20
)

// client posts checkpoints as a careful runtime does: with an Idempotency-Key,
// and again with back-off while the server says that it cannot just now.
type client struct {
	target *url.URL
	key    string
	http   *http.Client
	// wait pauses before a retry; tests replace it.
	wait func(context.Context, time.Duration) error
	// retried is told each reason for sending a request again.
	retried func(reason string)
}

// newClient returns a client of the server at target.
func newClient(target, key string) (*client, error) {
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, usageError{fmt.Errorf("--target must be an http or https URL, not %q", target)}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A connection a job, however many jobs; and an answer repeats the body,
	// which nobody wants compressed on loopback.
	transport.MaxIdleConnsPerHost = transport.MaxIdleConns
	transport.DisableCompression = true
	return &client{target: u, key: key, http: &http.Client{Transport: transport}, wait: pause, retried: func(string) {}}, nil
}

// collectionPath is the path of a job's checkpoints.
func collectionPath(job string) string {
	return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/"
}

// collectionURL is the address of a job's checkpoints.
func (c *client) collectionURL(job string) string {
	return strings.TrimSuffix(c.target.String(), "/") + collectionPath(job)
}

// post sends r until it is answered, and returns the status and body of the
// last answer. It retries what an idempotency key makes safe to retry: lost
// connections and 409 (the first try is still at work), 429, 503 and 507.
func (c *client) post(ctx context.Context, job string, r request) (int, []byte, error) {
	backoff := firstBackoff
	deadline := time.Now().Add(giveUpAfter)
	for {
		status, header, body, err := c.send(ctx, job, r)
		if err == nil && !isTemporary(status) {
			return status, body, nil
		}
		if ctx.Err() != nil {
			return 0, nil, context.Cause(ctx)
		}
		reason := fmt.Sprintf("status %d", status)
		if err != nil {
			reason = err.Error()
		}
		delay := backoff/2 + rand.N(backoff/2)
		if asked, ok := retryAfter(header); ok && asked > delay {
			delay = asked
		}
		if time.Now().Add(delay).After(deadline) {
			if err != nil {
				return 0, nil, fmt.Errorf("cannot post to %s: %w", c.target, err)
			}
			return status, body, nil
		}
		c.retried(fmt.Sprintf("%s; again in %s", reason, delay.Round(time.Millisecond)))
		if err := c.wait(ctx, delay); err != nil {
			return 0, nil, err
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// send makes one try.
func (c *client) send(ctx context.Context, job string, r request) (int, http.Header, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.collectionURL(job), bytes.NewReader(r.body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Content-Type", "application/json")
	if r.idempotencyKey != "" {
		req.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	err = errors.Join(err, resp.Body.Close())
	return resp.StatusCode, resp.Header, body, err
}

// isTemporary tells whether the server asks to come back later.
func isTemporary(status int) bool {
	switch status {
	case http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return true
	}
	return false
}

// retryAfter reads the header of that name in its form of whole seconds.
func retryAfter(h http.Header) (time.Duration, bool) {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0, false
	}
	return min(time.Duration(seconds)*time.Second, giveUpAfter), true
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
