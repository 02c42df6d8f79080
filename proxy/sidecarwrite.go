package proxy

import (
	"bytes"
	"context"
	"net/http"

	"github.com/valyala/fasthttp"

	"milepost/proxy/upstream"
)

// holds reports whether the body of a POST is one to be held in memory, so that
// its answer can be kept. Whatever else it is, the upstream has to say.
func (a *sidecar) holds(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	return isJSON(h.ContentType()) && len(h.ContentEncoding()) == 0
}

// large refuses a body that is too large to be held, but not before the upstream
// has refused the caller, if it does.
func (a *sidecar) large(ctx *fasthttp.RequestCtx, c *caller, job string) error {
	if int64(ctx.Request.Header.ContentLength()) <= a.limits.Load().maxBody {
		return nil
	}
	err := a.entitled(ctx, c, job)
	if r, ok := err.(*refused); ok && (r.answer.Status == http.StatusUnauthorized || r.answer.Status == http.StatusForbidden) {
		return err
	}
	return a.tooLarge()
}

// write passes a POST of a checkpoint through. The upstream alone validates it;
// its answer is kept and broadcast at once.
//
// That it was taken says nothing of who may read: there are keys that only
// write, and callers who name themselves by another header than Authorization.
func (a *sidecar) write(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	if !a.holds(ctx) || ctx.UserValue(asked{}) != nil {
		return a.pass(ctx, c, t)
	}
	job := string(t.job)
	if err := a.large(ctx, c, job); err != nil {
		return err
	}
	h, err := a.client.Header(ctx)
	if code, reason, ok := upstream.Refusal(err); ok {
		return &apiError{code: code, reason: reason}
	} else if err != nil {
		return err
	}
	// Even if the header Connection names it: the answer is about this credential.
	h.Del("Authorization")
	if c.authorization != "" {
		h.Set("Authorization", c.authorization)
	}
	h.Set("Accept-Encoding", "identity")
	l := a.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	defer release()
	body, free, err := a.body(ctx, l)
	if err != nil {
		return err
	}
	defer free()
	if cap(body) <= maxPooledBody {
		// Its memory is used again, and net/http may read it longer than Do lasts.
		body = bytes.Clone(body)
	}
	target := string(ctx.Request.URI().PathOriginal())
	if query := ctx.URI().QueryString(); len(query) > 0 {
		target += "?" + string(query)
	}
	if a.spool != nil {
		return a.spool.write(ctx, c, post{job: job, target: target, header: h, body: body})
	}
	return a.through(ctx, c, job, upstream.Request{Method: http.MethodPost, Target: target, Header: h, Body: body})
}

// through sends a POST to the upstream and relays what it says.
func (a *sidecar) through(ctx *fasthttp.RequestCtx, c *caller, job string, r upstream.Request) error {
	bounded, cancel := context.WithTimeout(a.life, a.timeout)
	defer cancel()
	answer, err := a.client.Do(bounded, "checkpoints", r)
	if err != nil {
		return upstreamError(err)
	}
	return a.written(ctx, c, job, answer)
}

// written keeps what the upstream says to a POST and relays it.
func (a *sidecar) written(ctx *fasthttp.RequestCtx, c *caller, job string, answer *upstream.Answer) error {
	if err := a.condemn(answer.Status, a.credential(c), job); err != nil {
		return err
	}
	if answer.Status == http.StatusOK {
		if _, err := a.learnOne(job, answer.Body, true); err != nil {
			a.log.Warn("the answer to a write could not be kept", "job", job, "error", err)
		}
	}
	return a.relay(ctx, answer)
}
