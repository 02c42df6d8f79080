package upstream

import (
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"
)

// Header returns the headers of a caller's request as Pass would send them, for
// Do and Open: without those of the connection, the body's length, Expect and
// Accept-Encoding, with Via, X-Forwarded-* and Forwarded. An error is about the
// request; Refusal has its answer.
func (c *Client) Header(ctx *fasthttp.RequestCtx) (http.Header, error) {
	r := requests.Get().(*request)
	defer r.release()
	if err := r.read(c, ctx); err != nil {
		return nil, err
	}
	h := make(http.Header, len(r.fields)+5)
	for _, f := range r.fields {
		if !r.isNamed(f.name) {
			h.Add(string(f.name), string(f.value))
		}
	}
	// The caller gets the answer from us, in a coding that suits both.
	h.Del("Accept-Encoding")
	for _, line := range strings.Split(strings.TrimSuffix(string(r.origin.appendTo(nil)), "\r\n"), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		h.Set(name, value)
	}
	via := "1.1 milepost"
	if r.old {
		via = "1.0 milepost"
	}
	h.Add("Via", via)
	return h, nil
}

// Refusal returns the status code and reason of an error of Client.Header.
func Refusal(err error) (code int, reason string, ok bool) {
	r, ok := err.(*refusal)
	if !ok {
		return 0, "", false
	}
	return r.code, r.reason, true
}
