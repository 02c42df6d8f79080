package proxy

import (
	"slices"

	"github.com/valyala/fasthttp"
)

// What pages of another origin may send and see (Fetch standard, "CORS
// protocol"). A bearer key is a header like any other: no credentials mode.
const (
	corsMethods = "GET, HEAD, POST"
	corsRequest = "Accept, Authorization, Cache-Control, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID"
	corsExpose  = "ETag, Retry-After, Age"
	corsMaxAge  = "600" // seconds; a change of server.cors_origins shows after ten minutes at most
)

// cors is the set of origins in force.
type cors struct {
	any     bool
	origins []string
}

func newCORS(origins []string) *cors {
	return &cors{any: slices.Contains(origins, "*"), origins: origins}
}

// allowed is the value of Access-Control-Allow-Origin for an origin, empty if it
// may not see the answer. "*" is also said to who names no origin: the answer
// may come out of a cache for a page that does.
func (c *cors) allowed(origin []byte) string {
	switch {
	case c.any:
		return "*"
	case len(origin) > 0 && slices.Contains(c.origins, string(origin)):
		return string(origin)
	}
	return ""
}

// varies reports whether caches must keep the answers for different origins
// apart.
func (c *cors) varies() bool { return !c.any && len(c.origins) > 0 }

// open lets the page that asks see the response.
func (c *cors) open(ctx *fasthttp.RequestCtx) {
	if !c.any && len(c.origins) == 0 {
		return
	}
	h := &ctx.Response.Header
	if c.varies() {
		h.Add("Vary", "Origin")
	}
	if origin := c.allowed(ctx.Request.Header.Peek("Origin")); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsExpose)
	}
}

// preflight answers a browser that asks before a page's request, which it does
// without the key. It reports false if the request is none, or of an origin that
// was not named.
func (c *cors) preflight(ctx *fasthttp.RequestCtx) bool {
	r := &ctx.Request.Header
	origin := r.Peek("Origin")
	if !ctx.IsOptions() || len(r.Peek("Access-Control-Request-Method")) == 0 || len(origin) == 0 || c.allowed(origin) == "" {
		return false
	}
	h := &ctx.Response.Header
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsRequest)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return true
}
