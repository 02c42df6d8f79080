package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
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
	release = l.bodyBytes.acquire(expected, l.queueTimeout)
	if release == nil {
		return nil, nil, errBusy
	}
	if body, err = s.readBody(ctx, l, length); err != nil {
		release()
		// What is left of the body cannot be told from a next request.
		ctx.SetConnectionClose()
		return nil, nil, err
	}
	return body, release, nil
}

func (s *Server) readBody(ctx *fasthttp.RequestCtx, l *limits, length int) ([]byte, error) {
	deadline := time.Now().Add(s.readTimeout)
	if l.minBodyRate > 0 {
		n := int64(length)
		if n < 0 {
			n = l.maxBody
		}
		deadline = deadline.Add(time.Duration(float64(n) / float64(l.minBodyRate) * float64(time.Second)))
	}
	if err := ctx.SetReadDeadline(deadline); err != nil {
		return nil, errBodyCut
	}
	var (
		stream = ctx.RequestBodyStream()
		body   []byte
		err    error
	)
	if length >= 0 {
		// Memory grows with what arrives, not with what is announced.
		var buf bytes.Buffer
		buf.Grow(min(length, 1<<20) + bytes.MinRead)
		var n int64
		if n, err = buf.ReadFrom(io.LimitReader(stream, int64(length))); err == nil && n < int64(length) {
			err = io.ErrUnexpectedEOF
		}
		body = buf.Bytes()
	} else {
		body, err = io.ReadAll(io.LimitReader(stream, l.maxBody+1))
		if err == nil && int64(len(body)) > l.maxBody {
			return nil, s.tooLarge()
		}
	}
	var network net.Error
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &network) && network.Timeout():
		s.metrics.LimitRejections.WithLabelValues("read_timeout").Inc()
		return nil, errBodyTimeout
	}
	return nil, errBodyCut
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
