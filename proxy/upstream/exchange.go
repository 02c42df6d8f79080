package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// minRate is the least that a body must move on average to get more time than
// Options.RequestTimeout, in bytes a second.
const minRate = 16 << 10

// maxShortAnswer is the longest body, in bytes, that is read before its head is
// passed on, so that an answer which breaks off can still become a 502.
const maxShortAnswer = bufferSize

// maxInterim is how many answers of 1xx may come before the final one.
const maxInterim = 100

// errNothing: the connection ended before the first byte of an answer.
var errNothing = errors.New("the connection was closed")

// exchange is one request of Pass on its connection to the upstream.
type exchange struct {
	client *Client
	conn   *conn
	pass   pass
	start  time.Duration // since epoch
	moved  int64         // of the bodies, in bytes
	events bool          // the answer is an event stream
	unsent bool          // the upstream did not get the whole request
	// answered says that an answer has come while the body is still being sent.
	answered atomic.Bool
}

// settle tells the breaker how the request went. An exchange that failed has
// given up its connection.
func (x *exchange) settle(err error) error {
	if err != nil {
		err = asFailure(err)
	}
	x.client.breaker.done(x.pass, outcomeOf(err), err)
	return err
}

// deadline is when the exchange must have ended, or must have gone on, as far as
// is known now.
func (x *exchange) deadline(now time.Duration) time.Duration {
	if x.events {
		return now + x.client.o.RequestTimeout
	}
	return x.start + x.client.o.RequestTimeout + time.Duration(x.moved/minRate)*time.Second
}

// slack is how much later than that it may end.
func (x *exchange) slack() time.Duration { return slack(x.client.o.RequestTimeout) }

// sendHead sends the head alone.
func (x *exchange) sendHead(r *request) error {
	if err := x.conn.writeUntil(x.deadline(x.start), x.slack()); err != nil {
		return err
	}
	_, err := x.conn.Write(r.head)
	return err
}

// send sends a request that is in memory and reads the head of its answer.
func (x *exchange) send(ctx *fasthttp.RequestCtx, r *request) error {
	if err := x.awaitHead(time.Since(epoch)); err != nil {
		return err
	}
	left, err := x.conn.peeker.sendAndWait(r.head)
	if err == nil && len(left) > 0 {
		if err = x.conn.writeUntil(x.deadline(x.start), x.slack()); err == nil {
			_, err = x.conn.Write(left)
		}
	}
	if err != nil {
		// The connection was closed before: nothing has come.
		if timedOut(err) {
			return err
		}
		return fmt.Errorf("%w: %w", errNothing, err)
	}
	return readHead(x.conn.br, &ctx.Response.Header)
}

// awaitHead sets the deadline for the head of an answer to a request that has
// been sent.
func (x *exchange) awaitHead(now time.Duration) error {
	limit := x.client.o.HeaderTimeout
	return x.conn.readUntil(now+limit, slack(limit))
}

// readHead reads the head of the final answer.
func readHead(br *bufio.Reader, h *fasthttp.ResponseHeader) error {
	for range maxInterim {
		if err := h.Read(br); err != nil {
			if err == io.EOF {
				return errNothing
			}
			return err
		}
		switch status := h.StatusCode(); {
		case status == fasthttp.StatusSwitchingProtocols || status < 100:
			return fmt.Errorf("unexpected status %d", status)
		case status >= 200:
			return nil
		}
	}
	return errors.New("too many interim answers")
}

// finish makes the answer whose head has been read the response, or gives the
// connection up for an error.
func (x *exchange) finish(ctx *fasthttp.RequestCtx, r *request, err error) error {
	if err == nil {
		err = x.answer(ctx, r)
	}
	if err != nil && x.conn != nil {
		x.conn.drop()
		x.conn = nil
	}
	return err
}

// answer makes the answer whose head has been read the response. If the body is
// streamed, the connection belongs to it.
func (x *exchange) answer(ctx *fasthttp.RequestCtx, r *request) error {
	resp := &ctx.Response
	h := &resp.Header
	length, status := h.ContentLength(), h.StatusCode()
	old := !h.IsHTTP11()
	// The response is ours: what the upstream speaks ends here.
	h.SetProtocol(protocol)
	h.SetNoDefaultContentType(true)
	closes := dropHopsOf(h) || x.unsent || old
	switch {
	case r.method == fasthttp.MethodHead || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified:
		resp.SkipBody = true
		x.leave(closes)
		return nil
	case length >= 0 && length <= maxShortAnswer:
		if err := x.readShort(resp, length); err != nil {
			return err
		}
		x.leave(closes)
		return nil
	}
	x.events = length < 0 && hasToken(h.ContentType(), "text/event-stream")
	body := newAnswerBody(x, h, length, closes)
	if length < 0 && r.old {
		return body.hold(resp)
	}
	resp.ImmediateHeaderFlush = true
	resp.SetBodyStream(body, max(length, -1))
	return nil
}

// protocol is the version of every response.
var protocol = []byte("HTTP/1.1")

// readShort reads a short body into the response.
func (x *exchange) readShort(resp *fasthttp.Response, length int) error {
	br := x.conn.br
	if length == 0 {
		return nil
	}
	if br.Buffered() < length {
		if err := x.conn.readUntil(x.deadline(time.Since(epoch)), x.slack()); err != nil {
			return err
		}
	}
	b, err := br.Peek(length)
	if err != nil {
		return whole(err)
	}
	resp.SetBody(b)
	_, err = br.Discard(length)
	return err
}

// whole makes the end of a connection within a message the error that it is.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// leave ends an exchange that is complete.
func (x *exchange) leave(closes bool) {
	c := x.conn
	x.conn = nil
	if closes {
		c.drop()
		return
	}
	x.client.pool.put(c, time.Since(epoch))
}
