package proxy

import (
	"bytes"
	"io"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	brrr "github.com/molecule-man/go-brrr"
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

// newEncoder returns a compressor that writes to w.
func newEncoder(w io.Writer, coding cache.Coding) (io.WriteCloser, error) {
	switch coding {
	case cache.Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(1<<20))
	case cache.Brotli:
		return brrr.NewWriter(w, 4)
	default:
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	}
}

// coded returns an entry in a coding, made from the plain one and offered to
// the hot tier. A small body stays as it is.
func (s *Server) coded(e *cache.Entry, coding cache.Coding, epoch uint64) (*cache.Entry, error) {
	if coding == cache.Identity || len(e.Body) <= minCoded {
		return e, nil
	}
	buf := bytes.NewBuffer(make([]byte, 0, len(e.Body)/3+512))
	enc, err := newEncoder(buf, coding)
	if err != nil {
		return nil, err
	}
	if _, err := enc.Write(e.Body); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	coded := &cache.Entry{
		JobID: e.JobID, ID: e.ID, Organization: e.Organization, Coding: coding, Body: buf.Bytes(),
		ETag: []byte(`"` + e.ID + "-" + codingNames[coding] + `"`),
	}
	s.cache.Keep(coded, epoch, true)
	return coded, nil
}

// setCoding says how a body is coded, and that it depends on the request.
func setCoding(h *fasthttp.ResponseHeader, e *cache.Entry) {
	h.SetCanonical(headerVary, varyByCoding)
	if e.Coding != cache.Identity {
		h.SetContentEncoding(codingNames[e.Coding])
	}
}
