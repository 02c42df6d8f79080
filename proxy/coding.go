package proxy

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"

	"milepost/cache"
)

// minCoded is the size in bytes up to which compressing costs more than it
// saves.
const minCoded = 1024

// codingNames are the tokens of RFC 9110's content codings.
var codingNames = [...]string{cache.Identity: "", cache.Zstd: "zstd", cache.Brotli: "br", cache.Gzip: "gzip"}

// negotiate picks the coding that the client likes best; among equals the one
// that is cheapest for what it saves (RFC 9110, section 12.5.3).
func negotiate(ctx *fasthttp.RequestCtx) cache.Coding {
	header := ctx.Request.Header.Peek("Accept-Encoding")
	if len(header) == 0 {
		return cache.Identity
	}
	return parseAcceptEncoding(header)
}

func parseAcceptEncoding(header []byte) cache.Coding {
	quality := [len(codingNames)]float64{-1, -1, -1, -1}
	star := -1.0
	for item := range bytes.SplitSeq(header, []byte(",")) {
		name, parameters, _ := bytes.Cut(item, []byte(";"))
		name = bytes.TrimSpace(name)
		q := 1.0
		if v, ok := bytes.CutPrefix(bytes.TrimSpace(parameters), []byte("q=")); ok {
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil || f < 0 || f > 1 {
				continue
			}
			q = f
		}
		if string(name) == "*" {
			star = q
		}
		for c := cache.Zstd; c <= cache.Gzip; c++ {
			if len(name) == len(codingNames[c]) && equalFold(name, codingNames[c]) {
				quality[c] = q
			}
		}
	}
	best, bestQuality := cache.Identity, 0.0
	for c := cache.Zstd; c <= cache.Gzip; c++ {
		q := quality[c]
		if q < 0 {
			q = star
		}
		if q > bestQuality {
			best, bestQuality = c, q
		}
	}
	return best
}

// coded returns an entry in a coding, made from the plain one. A small body stays
// as it is.
func coded(e *cache.Entry, coding cache.Coding) (*cache.Entry, error) {
	if coding == cache.Identity || len(e.Body) <= minCoded {
		return e, nil
	}
	body, err := encodeBody(e.Body, coding)
	if err != nil {
		return nil, err
	}
	return &cache.Entry{
		JobID: e.JobID, ID: e.ID, Organization: e.Organization, Coding: coding, Body: body,
		ETag: []byte(`"` + e.ID + "-" + codingNames[coding] + `"`),
	}, nil
}

// keepCoded does what coded does, and offers what it made to the hot tier.
func (s *Server) keepCoded(e *cache.Entry, coding cache.Coding, epoch uint64) (*cache.Entry, error) {
	made, err := coded(e, coding)
	if err == nil && made != e {
		s.cache.Keep(made, epoch, true)
	}
	return made, err
}

// setCoding says how a body is coded, and that it depends on the request.
func setCoding(h *fasthttp.ResponseHeader, e *cache.Entry) {
	h.SetCanonical(headerVary, varyByCoding)
	if e.Coding != cache.Identity {
		h.SetContentEncoding(codingNames[e.Coding])
	}
}
