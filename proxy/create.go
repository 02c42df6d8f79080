package proxy

import (
	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/internal/checkpoint"
	"milepost/internal/origin"
	"milepost/stream"
)

// maxIdempotencyKey is the length of an Idempotency-Key in characters.
const maxIdempotencyKey = 255

// create answers POST of the collection.
func (s *Server) create(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	// Refuse before a body is read for nothing.
	if err := s.store.Err(); err != nil {
		return err
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	defer release()
	body, free, err := s.body(ctx, l)
	if err != nil {
		return err
	}
	defer free()

	key := ctx.Request.Header.Peek("Idempotency-Key")
	request, err := checkpoint.ParseNext(body, s.store.Messages(c.OrganizationID, string(t.job)))
	if err != nil {
		return err
	}
	if f := idempotencyFaults(ctx, key); f != nil {
		return f
	}
	epoch := s.cache.Epoch()
	created, err := s.origin.Create(origin.Creation{
		Organization: c.OrganizationID, Application: c.ApplicationID, JobID: string(t.job),
		Request: request, IdempotencyKey: string(key), Body: body,
		Envelope: checkpoint.Envelope{Before: envelopeStart, After: envelopeEnd},
	})
	if err != nil {
		return err
	}
	if !created.Replayed {
		s.metrics.CheckpointsCreated.Inc()
		s.publish(c.OrganizationID, string(t.job), &created)
	}
	e := newEntry(string(t.job), created.ID, c.OrganizationID, created.Enveloped)
	s.cache.Keep(e, epoch, false)
	// The answer in a coding is hardly asked for again, so it is not kept.
	if e, err = coded(e, negotiate(ctx)); err != nil {
		return err
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	setCoding(h, e)
	setBody(ctx, e.Body)
	return nil
}

// publish gives a checkpoint that is on disk to those who watch the job.
func (s *Server) publish(organization, job string, created *origin.Created) {
	c := stream.Checkpoint{ID: created.ID, Sequence: created.Sequence, JSON: created.JSON}
	if created.Status.Ended() {
		c.Ended = string(created.Status)
	}
	s.hub.Publish(organization, job, c)
}

func idempotencyFaults(ctx *fasthttp.RequestCtx, key []byte) error {
	if len(key) == 0 && len(ctx.Request.Header.PeekAll("Idempotency-Key")) == 0 {
		return nil
	}
	ok := len(key) >= 1 && len(key) <= maxIdempotencyKey
	for _, b := range key {
		ok = ok && b > ' ' && b < 0x7f
	}
	if ok {
		return nil
	}
	return checkpoint.Faults{{
		Path: "Idempotency-Key", Message: "must be 1 to 255 visible ASCII characters",
		Expected: "string", Received: clip(string(key), 64),
	}}
}

// The envelope of one checkpoint.
const (
	envelopeStart = `{"data":{"checkpoint":`
	envelopeEnd   = `}}`
)

// newEntry is the entry of a checkpoint that stands in its envelope.
func newEntry(job, id, organization string, enveloped []byte) *cache.Entry {
	return &cache.Entry{
		JobID: job, ID: id, Organization: organization, Body: enveloped,
		ETag: []byte(`"` + id + `"`),
	}
}
