package upstream

import (
	"context"
	"errors"
	"time"

	"github.com/valyala/fasthttp"
)

// Pass relays a request and its answer: method, path and query byte for byte,
// headers without those of the connection, trailers, and the bodies piece by
// piece. Where there is no answer of the upstream, the response is an error in
// the API's body: 400 for a request that can be read in two ways, 501 for an
// upgrade, else that of StatusOf with Retry-After.
//
// The server must set StreamRequestBody, and it writes the body of the answer
// after Pass has returned: the connection to the upstream is in use until the
// response has been written or reset. The answer's Date gets through if the
// server sets NoDefaultDate.
//
// An upstream that answers before it has the whole body gets no more of it if
// the answer is an error; otherwise the body is sent before the answer is relayed,
// to its end or until the upstream has taken nothing more of it for
// Options.HeaderTimeout.
func (c *Client) Pass(ctx *fasthttp.RequestCtx) {
	start := time.Since(epoch)
	if err := c.relay(ctx, start); err != nil {
		answerWith(ctx, err)
	}
	c.passed.Done(ctx.Response.StatusCode(), time.Since(epoch)-start)
}

func (c *Client) relay(ctx *fasthttp.RequestCtx, start time.Duration) error {
	r := requests.Get().(*request)
	defer r.release()
	if err := r.read(c, ctx); err != nil {
		return err
	}
	if b := takeBegun(ctx); b != nil {
		x := b.exchange
		x.start = start
		return x.settle(x.finish(ctx, r, x.upload(ctx, r)))
	}
	r.write(c, false)
	long := r.length < 0 || r.length > maxShortBody
	if r.length > 0 && !long {
		if err := r.addBody(ctx, start+c.o.RequestTimeout); err != nil {
			return err
		}
	}
	for attempt := 1; ; attempt++ {
		err := c.attemptPass(ctx, r, start, long)
		retry := err != nil && !errors.Is(err, errBreakerOpen) &&
			(errors.Is(err, ErrRefused) || r.repeatable && !long && outcomeOf(err) == failed)
		if !retry || attempt > c.o.Retries || time.Since(epoch) > start+c.o.RequestTimeout || !c.wait(context.Background(), attempt, 0) {
			return err
		}
	}
}

// attemptPass relays a request once, or once more on a new connection if the
// upstream had closed the one that it was sent on.
func (c *Client) attemptPass(ctx *fasthttp.RequestCtx, r *request, start time.Duration, long bool) error {
	p, err := c.breaker.admit()
	if err != nil {
		return err
	}
	for fresh := false; ; fresh = true {
		ctx.Response.ResetBody()
		x := &exchange{client: c, pass: p, start: start}
		if x.conn, err = c.pool.get(c.closing, fresh); err != nil {
			return x.settle(err)
		}
		reused := x.conn.reused
		if long {
			if err = x.sendHead(r); err == nil {
				err = x.upload(ctx, r)
			}
		} else {
			err = x.send(ctx, r)
		}
		err = x.finish(ctx, r, err)
		if reused && r.repeatable && !long && errors.Is(err, errNothing) {
			continue
		}
		return x.settle(err)
	}
}
