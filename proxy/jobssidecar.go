package proxy

import (
	"net/http"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
)

// serveJobs answers the routes of jobs in front of an upstream. They are ours, so
// nothing of them is passed on.
func (a *sidecar) serveJobs(ctx *fasthttp.RequestCtx, t target) error {
	if a.cors.Load().preflight(ctx) {
		return nil
	}
	c, err := a.caller(ctx, t)
	if err != nil {
		return err
	}
	if !t.route.takes(ctx) {
		return &apiError{code: 405, reason: "The route does not take this method", allow: t.route.methods()}
	}
	if f := t.faults(); f != nil {
		return f
	}
	if t.route == routeJobs {
		return a.listJobs(ctx, a.copiedJobs(c))
	}
	job := string(t.job)
	if a.forward {
		if err := a.entitled(ctx, c, job); err != nil {
			return err
		}
	}
	if t.route == routeJob {
		return a.showJob(ctx, t, a.copiedJobs(c))
	}
	if t.route == routeTimeline {
		return a.timeline(ctx, t, a.copiedJobs(c))
	}
	q, faults := parseDiffQuery(ctx.QueryArgs())
	if faults != nil {
		return faults
	}
	for name, id := range map[string]string{"from": q.from, "to": q.to} {
		theirs, _, err := a.canonical(job, id)
		if err != nil {
			return err
		}
		ctx.QueryArgs().Set(name, theirs) // an id of ours may have got another one
		if err := a.fetch(ctx, c, job, theirs); err != nil {
			return err
		}
	}
	return a.diff(ctx, t, a.copiedJobs(c))
}

// copiedJobs are the jobs of the local copy that a caller may see: those for which
// its credential holds a verdict or, with auth "local", all.
func (a *sidecar) copiedJobs(c *caller) jobSource {
	source := jobSource{sees: func(r *store.JobRecord) bool { return r.Copied }}
	source.each = func(_ bool, visit func(string) bool) error {
		jobs, all, err := a.readable(c)
		for _, job := range jobs {
			if !visit(job) {
				return err
			}
		}
		if err == nil && !all {
			err = errMoreJobs
		}
		return err
	}
	if !a.forward {
		source.each = func(_ bool, visit func(string) bool) error {
			return a.store.Jobs(func(job string, _ store.JobRecord) bool { return visit(job) })
		}
	}
	return source
}

// fetch makes sure that the local copy has a checkpoint, if the upstream has it. The
// caller must have been found entitled to its job.
func (a *sidecar) fetch(ctx *fasthttp.RequestCtx, c *caller, job, id string) error {
	if a.has(job, id) {
		return nil
	}
	q := a.questionOne(ctx, c, job, id)
	switch answer, err := a.ask(own("diff/"+job+"/"+id, q.of), q); {
	case err != nil:
		return upstreamError(err)
	case answer.Status != http.StatusOK:
		return &refused{answer.Answer}
	}
	return nil
}
