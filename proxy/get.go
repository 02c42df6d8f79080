package proxy

import (
	"bytes"
	"errors"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
)

// Names and values of headers as they are sent, for SetCanonical.
var (
	headerETag         = []byte("Etag")
	headerCacheControl = []byte("Cache-Control")
	headerVary         = []byte("Vary")
	cacheForEver       = []byte("private, max-age=31536000, immutable")
	varyByCoding       = []byte("Accept-Encoding")
)

// get answers GET and HEAD of one checkpoint.
func (s *Server) get(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	coding := negotiate(ctx)
	e := s.cache.Hot(t.job, t.checkpoint, coding)
	if e != nil {
		s.hot.hits.Inc()
	} else {
		s.hot.misses.Inc()
		var err error
		if e, err = s.load(t, coding); err != nil {
			return err
		}
	}
	// The hot tier knows nothing of who may read.
	if e.Organization != c.OrganizationID {
		return errCheckpointNotFound
	}
	give(ctx, e)
	return nil
}

// give makes a checkpoint the response to GET or HEAD.
func give(ctx *fasthttp.RequestCtx, e *cache.Entry) {
	h := &ctx.Response.Header
	h.SetCanonical(headerETag, e.ETag)
	h.SetCanonical(headerCacheControl, cacheForEver)
	setCoding(h, e)
	if match := ctx.Request.Header.Peek("If-None-Match"); len(match) > 0 && matches(match, e.ID) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	h.SetContentType("application/json")
	setBody(ctx, e.Body)
}

// load finds a checkpoint that is not in the hot tier in that coding.
func (s *Server) load(t target, coding cache.Coding) (*cache.Entry, error) {
	epoch := s.cache.Epoch()
	if coding != cache.Identity {
		if e := s.cache.Hot(t.job, t.checkpoint, cache.Identity); e != nil {
			return s.keepCoded(e, coding, epoch)
		}
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return nil, errBusy
	}
	defer release()
	e, err := s.read(string(t.job), string(t.checkpoint))
	if errors.Is(err, store.ErrNotFound) {
		s.durable.misses.Inc()
		return nil, errCheckpointNotFound
	}
	if err != nil {
		return nil, err
	}
	s.durable.hits.Inc()
	s.cache.Keep(e, epoch, true)
	return s.keepCoded(e, coding, epoch)
}

// read takes a checkpoint from the durable tier.
func (s *Server) read(job, id string) (*cache.Entry, error) {
	record, err := s.store.Job(job)
	if err != nil {
		return nil, err
	}
	sequence, err := s.store.Sequence(job, id)
	if err != nil {
		return nil, err
	}
	// The envelope's start goes in front, so the JSON is not copied again.
	buf := append(make([]byte, 0, 4096), envelopeStart...)
	c, err := s.store.Read(job, sequence, buf)
	if err != nil {
		return nil, err
	}
	return &cache.Entry{
		JobID: job, ID: id, Organization: record.Organization,
		Body: append(c.JSON, envelopeEnd...), ETag: []byte(`"` + id + `"`),
	}, nil
}

// matches reports whether an If-None-Match names the checkpoint. A checkpoint
// never changes, so the tag of any coding of it will do: the client has it
// (RFC 9110, section 13.1.2).
func matches(header []byte, id string) bool {
	for tag := range bytes.SplitSeq(header, []byte(",")) {
		tag = bytes.TrimSpace(tag)
		if string(tag) == "*" {
			return true
		}
		tag = bytes.TrimPrefix(tag, []byte("W/"))
		if len(tag) < len(id)+2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
			continue
		}
		tag = tag[1 : len(tag)-1]
		if !bytes.HasPrefix(tag, []byte(id)) {
			continue
		}
		switch string(tag[len(id):]) {
		case "", "-gzip", "-br", "-zstd":
			return true
		}
	}
	return false
}
