package upstream

import (
	"context"
	"net/http"
	"time"
)

// Open sends a GET and returns when the head of its answer is there, whatever
// its status. The body must be closed; ctx ends it. There is no deadline but
// for the head.
func (c *Client) Open(ctx context.Context, route, target string, h http.Header) (*http.Response, error) {
	start := time.Now()
	p, err := c.breaker.admit()
	if err != nil {
		c.routes.of(route).Done(StatusOf(err), time.Since(start))
		return nil, err
	}
	resp, err := c.send(ctx, &Request{Method: http.MethodGet, Target: target, Header: h})
	if err != nil {
		err = asFailure(err)
	}
	c.breaker.done(p, outcomeFor(ctx, err), err)
	switch {
	case err == nil:
		c.routes.of(route).Done(resp.StatusCode, time.Since(start))
		dropHops(resp.Header)
	case ctx.Err() == nil:
		c.routes.of(route).Done(StatusOf(err), time.Since(start))
	}
	return resp, err
}
