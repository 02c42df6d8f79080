package proxy

import (
	"bytes"
	"sync"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/internal/viewer"
)

var (
	uiPath    = []byte("/ui")
	uiPrefix  = []byte(viewer.Prefix)
	uiMethods = routeUI.methods()
)

// isUI reports whether a path is the viewer's, whether there is a file or not.
func isUI(path []byte) bool { return bytes.Equal(path, uiPath) || bytes.HasPrefix(path, uiPrefix) }

// ui answers with a file of the viewer, for which nobody needs a key. It returns
// errNoRoute if there is none.
func (s *Server) ui(ctx *fasthttp.RequestCtx) error {
	path := ctx.Request.URI().PathOriginal()
	f := viewer.Find(string(path))
	if f == nil && !bytes.Equal(path, uiPath) {
		return errNoRoute
	}
	if !routeUI.takes(ctx) {
		return &apiError{code: 405, reason: "The route does not take this method", allow: uiMethods}
	}
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", viewer.PolicyHeader)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if f == nil {
		// Relative, so that it also holds behind a proxy that adds a path; fasthttp's
		// own Redirect would make it absolute.
		h.Set("Location", "ui/")
		ctx.SetStatusCode(fasthttp.StatusPermanentRedirect)
		return nil
	}
	coding := negotiate(ctx)
	body, coding, err := codedUI(f, coding)
	if err != nil {
		return err
	}
	tag := f.Tag
	if coding != cache.Identity {
		tag += "-" + codingNames[coding]
		h.SetContentEncoding(codingNames[coding])
	}
	h.SetCanonical(headerETag, []byte(`"`+tag+`"`))
	h.SetCanonical(headerVary, varyByCoding)
	// Asked for again each time, and unchanged as a rule: a new version of the
	// server never meets half of the old page.
	h.SetCanonical(headerCacheControl, []byte("no-cache"))
	if match := ctx.Request.Header.Peek("If-None-Match"); len(match) > 0 && matches(match, f.Tag) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return nil
	}
	h.SetContentType(f.ContentType)
	setBody(ctx, body)
	return nil
}

// codedFiles are the viewer's files as they were sent once, so that strangers
// cannot make the server compress the same over and over.
var codedFiles sync.Map // codedFile to []byte

type codedFile struct {
	name   string
	coding cache.Coding
}

// codedUI returns a file in a coding, or plain if it is small.
func codedUI(f *viewer.File, coding cache.Coding) ([]byte, cache.Coding, error) {
	if coding == cache.Identity || len(f.Body) <= minCoded {
		return f.Body, cache.Identity, nil
	}
	key := codedFile{f.Name, coding}
	if body, ok := codedFiles.Load(key); ok {
		return body.([]byte), coding, nil
	}
	body, err := encodeBody(f.Body, coding)
	if err == nil {
		codedFiles.Store(key, body)
	}
	return body, coding, err
}
