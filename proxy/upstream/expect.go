package upstream

import (
	"bufio"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// continueWait is how long the upstream may take to say that it wants a body,
// until the caller is told to send it all the same: not every server answers an
// Expect (RFC 9110, section 10.1.1).
const continueWait = time.Second

// begun is a request whose head has been sent and whose body is awaited. It is
// kept with the request, which closes it if Pass does not take it.
type begun struct{ exchange *exchange }

// begunKey is where it is kept.
type begunKey struct{}

// Close implements io.Closer.
func (b *begun) Close() error {
	if x := b.exchange; x != nil {
		b.exchange = nil
		x.conn.drop()
		x.client.breaker.done(x.pass, neutral, nil)
	}
	return nil
}

// takeBegun returns the request that Expect has begun, if it has.
func takeBegun(ctx *fasthttp.RequestCtx) *begun {
	b, ok := ctx.UserValue(begunKey{}).(*begun)
	if !ok || b.exchange == nil {
		return nil
	}
	taken := *b
	b.exchange = nil
	return &taken
}

// Expect asks the upstream whether it wants the body of a request with Expect:
// 100-continue that is to be passed on. It is called by the server's
// ExpectHandler and returns its result: 100 to read the body and call Pass, or
// the status of the response, which is the upstream's answer or an error.
func (c *Client) Expect(ctx *fasthttp.RequestCtx) int {
	start := time.Since(epoch)
	proceed, err := c.ask(ctx, start)
	if proceed {
		return http.StatusContinue
	}
	if err != nil {
		answerWith(ctx, err)
	}
	c.passed.Done(ctx.Response.StatusCode(), time.Since(epoch)-start)
	return ctx.Response.StatusCode()
}

// ask sends the head of a request and waits for what the upstream says to it.
func (c *Client) ask(ctx *fasthttp.RequestCtx, start time.Duration) (proceed bool, err error) {
	r := requests.Get().(*request)
	defer r.release()
	if err := r.read(c, ctx); err != nil {
		return false, err
	}
	r.write(c, true)
	p, err := c.breaker.admit()
	if err != nil {
		return false, err
	}
	x := &exchange{client: c, pass: p, start: start}
	// A connection that has just been closed would cost the answer.
	if x.conn, err = c.pool.get(c.closing, true); err != nil {
		return false, x.settle(err)
	}
	if err = x.sendHead(r); err == nil {
		proceed, err = x.invited(&ctx.Response.Header)
	}
	if proceed {
		ctx.SetUserValue(begunKey{}, &begun{exchange: x})
		return true, nil
	}
	x.unsent = true
	return false, x.settle(x.finish(ctx, r, err))
}

// invited waits for 100 (Continue), or a final answer, whose head it reads.
func (x *exchange) invited(h *fasthttp.ResponseHeader) (bool, error) {
	now := time.Since(epoch)
	if err := x.conn.readUntil(now+continueWait, 0); err != nil {
		return false, err
	}
	if silent(x.conn.br) {
		return true, nil
	}
	if err := x.awaitHead(now); err != nil {
		return false, err
	}
	for range maxInterim {
		if err := h.Read(x.conn.br); err != nil {
			return false, err
		}
		switch status := h.StatusCode(); {
		case status == http.StatusContinue:
			return true, nil
		case status >= 200:
			return false, nil
		}
	}
	return false, errNothing
}

// silent reports whether nothing came until the deadline.
func silent(br *bufio.Reader) bool {
	_, err := br.Peek(1)
	return timedOut(err)
}
