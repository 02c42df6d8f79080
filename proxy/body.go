package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// tooLarge counts and returns a 413.
func (s *Server) tooLarge() error {
	s.metrics.LimitRejections.WithLabelValues("max_body").Inc()
	return errBodyTooLarge
}

// body reads the request's body within the limits. release gives back the
// memory that it counts for and is to be called when the body is done with.
func (s *Server) body(ctx *fasthttp.RequestCtx, l *limits) (body []byte, release func(), err error) {
	length := ctx.Request.Header.ContentLength()
	if length == 0 || length < -1 {
		return nil, func() {}, nil
	}
	if !isJSON(ctx.Request.Header.ContentType()) || len(ctx.Request.Header.ContentEncoding()) > 0 {
		return nil, nil, errMediaType
	}
	if int64(length) > l.maxBody {
		return nil, nil, s.tooLarge()
	}
	expected := int64(length)
	if length < 0 { // chunked: any length up to the limit
		expected = l.maxBody
	}
	giveBack := l.bodyBytes.acquire(expected, l.queueTimeout)
	if giveBack == nil {
		return nil, nil, errBusy
	}
	buf := bodies.Get().(*[]byte)
	release = func() {
		if cap(*buf) <= maxPooledBody {
			bodies.Put(buf)
		}
		giveBack()
	}
	if *buf, err = s.readBody(ctx, l, length, *buf); err != nil {
		release()
		// What is left of the body cannot be told from a next request.
		ctx.SetConnectionClose()
		return nil, nil, err
	}
	return *buf, release, nil
}

// bodies is memory for bodies. Most are gone when their request has been
// answered: what is kept of a checkpoint is a copy.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxPooledBody bounds the bodies, in bytes, whose memory is used again, so
// that a few huge ones do not pin theirs.
const maxPooledBody = 256 << 10

// readBody reads a body of the given length, negative if it comes in chunks,
// into the memory of b, which it returns in any case.
func (s *Server) readBody(ctx *fasthttp.RequestCtx, l *limits, length int, b []byte) ([]byte, error) {
	stream, limit := ctx.RequestBodyStream(), length
	b = b[:0]
	if length >= 0 {
		// The beginning, which is mostly all, has been read with the head and
		// needs no deadline.
		b = slices.Grow(b, min(length, maxFirstGrowth))
		n, err := stream.Read(b[:min(length, cap(b))])
		if b = b[:n]; n == length {
			return b, nil
		}
		if err != nil {
			return b, s.bodyError(err)
		}
	} else {
		limit = int(l.maxBody) + 1
	}
	if err := ctx.SetReadDeadline(s.bodyDeadline(l, length)); err != nil {
		return b, errBodyCut
	}
	for len(b) < limit {
		if len(b) == cap(b) {
			// Memory grows with what arrives, not with what is announced.
			b = slices.Grow(b, min(max(len(b), bytes.MinRead), limit-len(b)))
		}
		n, err := stream.Read(b[len(b):min(cap(b), limit)])
		b = b[:len(b)+n]
		if err == io.EOF && (length < 0 || len(b) == length) {
			break
		}
		if err != nil {
			return b, s.bodyError(err)
		}
	}
	if length < 0 && len(b) == limit {
		return b, s.tooLarge()
	}
	return b, nil
}

// maxFirstGrowth is how much memory a body gets, in bytes, before any of it has
// been seen.
const maxFirstGrowth = 1 << 20

// bodyDeadline is when a body of the given length must be there.
func (s *Server) bodyDeadline(l *limits, length int) time.Time {
	deadline := time.Now().Add(s.readTimeout)
	if l.minBodyRate <= 0 {
		return deadline
	}
	n := int64(length)
	if n < 0 {
		n = l.maxBody
	}
	return deadline.Add(time.Duration(float64(n) / float64(l.minBodyRate) * float64(time.Second)))
}

// bodyError is the answer to a body that broke off.
func (s *Server) bodyError(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		s.metrics.LimitRejections.WithLabelValues("read_timeout").Inc()
		return errBodyTimeout
	}
	return errBodyCut
}

// isJSON reports whether a content type is JSON. A missing one is taken as such:
// the API knows no other.
func isJSON(contentType []byte) bool {
	if i := bytes.IndexByte(contentType, ';'); i >= 0 {
		contentType = contentType[:i]
	}
	t := bytes.ToLower(bytes.TrimSpace(contentType))
	return len(t) == 0 || string(t) == "application/json" ||
		bytes.HasPrefix(t, []byte("application/")) && bytes.HasSuffix(t, []byte("+json"))
}
