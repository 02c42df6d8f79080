package proxy

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/proxy/upstream"
)

// told is what the upstream said to a credential. Those who asked the same at
// the same time share it and must not change it.
type told struct {
	*upstream.Answer
	of    upstream.Credential
	asked time.Time
	// entry is the checkpoint in it, if it was asked for one; strange says that a 200
	// is not what was asked for.
	entry   *cache.Entry
	strange error
}

// refused is an answer of the upstream that a caller gets in place of what it
// wanted.
type refused struct{ answer *upstream.Answer }

func (r *refused) Error() string { return "the upstream answered " + strconv.Itoa(r.answer.Status) }

// question is a GET in somebody's name.
type question struct {
	route, target string
	job           string
	of            upstream.Credential
	authorization string
	trace         []byte // traceparent (W3C Trace Context), which the answer's first asker gives
	// learn takes what a 200 brings into the local copy, once for all who share the
	// answer. The error says that it is not what was asked for: somebody in between
	// has answered, and nothing is known of the credential.
	learn func(*told) error
	// held, if set, returns what was asked for if the local copy has it by now: an
	// equal question may have been answered between the look into the copy and
	// this one.
	held func() *cache.Entry
}

// question is one that a caller asks, of a job's list.
func (a *sidecar) question(ctx *fasthttp.RequestCtx, c *caller, route, job, target string) question {
	return question{
		route: route, job: job, target: target, of: a.credential(c), authorization: c.authorization,
		trace: ctx.Request.Header.Peek("Traceparent"),
		learn: func(answer *told) error { return a.learnList(job, answer.Body) },
	}
}

// ask gets the answer to a question, which is shared by all who ask it under the
// same key at the same time. What it says of the credential is known when it
// returns.
func (a *sidecar) ask(key string, q question) (*told, error) {
	ctx, cancel := context.WithTimeout(a.life, a.timeout)
	defer cancel()
	h := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}}
	if q.authorization != "" {
		h.Set("Authorization", q.authorization)
	}
	if len(q.trace) > 0 {
		h.Set("Traceparent", string(q.trace))
	}
	// A leader that stalls is given up long before its own time is over.
	answer, shared, err := a.answers.Do(ctx, key, a.timeout/4, func(ctx context.Context) (*told, error) {
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		t := &told{of: q.of, asked: a.now()}
		if q.held != nil {
			if t.entry = q.held(); t.entry != nil {
				t.Answer = &upstream.Answer{Status: http.StatusOK}
				return t, nil
			}
		}
		var err error
		t.Answer, err = a.client.Do(ctx, q.route, upstream.Request{Method: http.MethodGet, Target: q.target, Header: h})
		if err != nil {
			return nil, err
		}
		if a.spool != nil && !upstream.Away(t.Answer, nil) {
			a.spool.deliveries.Recovered()
		}
		if t.Status == http.StatusOK {
			t.strange = q.learn(t)
		}
		return t, a.judge(t, q.job)
	})
	if shared {
		a.metrics.Upstream.Coalesced.Inc()
	}
	return answer, err
}

// judge keeps what the answer to a read says of its credential and a job.
func (a *sidecar) judge(t *told, job string) error {
	if t.Status == http.StatusOK {
		if t.strange != nil {
			a.log.Warn("the upstream's answer is not of the API", "job", job, "error", t.strange)
			return nil
		}
		if err := a.verdicts.Allow(t.of, job, t.asked); err != nil {
			a.log.Warn("a verdict of the upstream could not be saved and is lost at the next start", "error", err)
		}
		return nil
	}
	return a.condemn(t.Status, t.of, job)
}

// condemn removes the verdict of a credential that the upstream refuses.
func (a *sidecar) condemn(status int, of upstream.Credential, job string) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return a.verdicts.Deny(of, job)
	}
	return nil
}

// credential is what the upstream's verdicts are about.
func (a *sidecar) credential(c *caller) upstream.Credential {
	if a.forward {
		return c.Hash
	}
	return upstream.CredentialOf([]byte(a.authorization))
}

// verdict is what is known of a credential and a job. Of its own credential the
// sidecar need not be told again when the upstream is away.
func (a *sidecar) verdict(of upstream.Credential, job string) upstream.Verdict {
	v := a.verdicts.Check(of, job)
	if v == upstream.None && !a.forward {
		if record, err := a.store.Job(job); err == nil && record.Copied {
			return upstream.Stale
		}
	}
	return v
}

// entitled returns nil if a caller may see a job now, else what refuses it.
func (a *sidecar) entitled(ctx *fasthttp.RequestCtx, c *caller, job string) error {
	if a.spool.pending(job) {
		return nil // the local keys have decided, and the upstream may not know it
	}
	q := a.question(ctx, c, "verify", job, "")
	if a.verdict(q.of, job) == upstream.Fresh {
		return nil
	}
	return a.verify(q)
}

// verify asks the upstream whether a credential may read a job. While it cannot
// be reached, what it said lately holds.
func (a *sidecar) verify(q question) error {
	q.route, q.target = "verify", collectionTarget(q.job)+"?take=1"
	answer, err := a.ask(own("verify/"+q.job, q.of), q)
	switch {
	case err != nil && !away(err):
		return err
	case err == nil && answer.Status == http.StatusOK && answer.strange == nil:
		return nil
	case err == nil && answer.Status != http.StatusOK && answer.Status < http.StatusInternalServerError:
		return &refused{answer.Answer}
	case a.verdict(q.of, q.job) != upstream.None:
		return nil
	case err != nil:
		return upstreamError(err)
	case answer.strange != nil:
		return upstreamError(upstream.ErrBroken)
	}
	return &refused{answer.Answer}
}

// own makes the key of a question one that only a credential's own callers share.
func own(key string, of upstream.Credential) string { return key + "/" + string(of[:]) }

// away reports whether an error says that the upstream could not answer.
func away(err error) bool {
	for _, kind := range []error{upstream.ErrRefused, upstream.ErrBroken, upstream.ErrLate, upstream.ErrTooLarge, context.DeadlineExceeded} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// upstreamError is what a caller sees of a request that the upstream did not
// answer.
func upstreamError(err error) error {
	switch {
	case errors.Is(err, upstream.ErrFlightsClosed), errors.Is(err, context.Canceled):
		return errDraining
	case !away(err):
		return err
	}
	return &apiError{code: upstream.StatusOf(err), reason: upstream.ReasonOf(err), retryAfter: upstream.RetryAfter(err)}
}

// relay gives an answer of the upstream to a caller, compressed if it may be.
func (a *sidecar) relay(ctx *fasthttp.RequestCtx, answer *upstream.Answer) error {
	h := &ctx.Response.Header
	ctx.SetStatusCode(answer.Status)
	h.SetContentType(answer.Header.Get("Content-Type"))
	for name, values := range answer.Header {
		switch name {
		case "Content-Type", "Content-Length", "Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Te", "Upgrade",
			"Proxy-Connection", "Date", "Set-Cookie": // a cookie is for one, and the answer perhaps for many
			continue
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	coding := negotiate(ctx)
	if coding == cache.Identity || answer.Status != http.StatusOK || len(answer.Body) <= minCoded || answer.Header.Get("Content-Encoding") != "" {
		setBody(ctx, answer.Body)
		return nil
	}
	body, err := encodeBody(answer.Body, coding)
	if err != nil {
		return err
	}
	h.SetContentEncoding(codingNames[coding])
	h.SetCanonical(headerVary, varyByCoding)
	h.Del("Etag") // it was of the plain body
	setBody(ctx, body)
	return nil
}
