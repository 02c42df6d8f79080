package proxy

import (
	"bytes"
	"errors"
	"net/http"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// watch answers GET and HEAD of one job's stream.
func (a *sidecar) watch(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	job := string(t.job)
	if err := a.entitled(ctx, c, job); err != nil {
		return err
	}
	p := stream.Position{Job: job}
	id := lastEventID(ctx)
	after, completed := stream.CompletedAfter(id)
	if !completed {
		after = id
	}
	if checkpoint.ValidIDBytes([]byte(after)) {
		sequence, err := a.sequence(ctx, c, job, after)
		if err != nil {
			return a.later(ctx, err)
		}
		if sequence > 0 {
			p.After, p.Sure = sequence, true
			p.Completed = completed && a.endsAt(ctx, c, job, after)
		}
	}
	return a.attend(ctx, c, stream.Subscription{Jobs: []stream.Position{p}})
}

// watchAll answers GET and HEAD of the stream of several jobs.
func (a *sidecar) watchAll(ctx *fasthttp.RequestCtx, c *caller) error {
	names, faults := streamJobs(ctx)
	if faults != nil {
		return faults
	}
	jobs := make([]stream.Position, 0, len(names))
	for _, name := range names {
		job := string(name)
		if err := a.entitled(ctx, c, job); err != nil {
			return err
		}
		jobs = append(jobs, stream.Position{Job: job})
	}
	if stream.ParseComposite(lastEventID(ctx), jobs) {
		for i := range jobs {
			if err := a.settle(ctx, c, &jobs[i]); err != nil {
				return a.later(ctx, err)
			}
		}
	}
	return a.attend(ctx, c, stream.Subscription{Jobs: jobs, Composite: true})
}

// settle holds the position of a composite id, which has no checkpoint's id,
// against the copy. What is beyond it may be an upstream's that has gone on, or a
// job's that began anew.
func (a *sidecar) settle(ctx *fasthttp.RequestCtx, c *caller, p *stream.Position) error {
	if p.After == 0 {
		return nil
	}
	held, err := a.store.Read(p.Job, p.After, nil)
	if err == nil {
		p.Sure = true
		p.Completed = p.Completed && a.endsAt(ctx, c, p.Job, held.ID)
		return nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	last, err := a.last(ctx, c, p.Job)
	if err != nil {
		return err
	}
	p.Sure = last.Sequence >= p.After
	p.Completed = p.Completed && last.Sequence == p.After && last.JobStatus().Ended()
	return nil
}

// sequence finds the sequence of a checkpoint, 0 if the job has none of that id.
// What a crash has taken from the copy only the upstream knows: to begin anew
// without it would give a subscriber twice what it has.
func (a *sidecar) sequence(ctx *fasthttp.RequestCtx, c *caller, job, id string) (uint64, error) {
	n, err := a.store.Sequence(job, id)
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		return n, err
	}
	q := a.questionOne(ctx, c, job, id)
	answer, err := a.ask(own("sequence/"+job+"/"+id, q.of), q)
	switch {
	case err != nil:
		return 0, err
	case answer.Status >= http.StatusInternalServerError:
		return 0, upstream.ErrBroken
	case answer.entry == nil:
		return 0, nil
	}
	body := answer.entry.Body
	located, err := checkpoint.Locate(body[len(envelopeStart) : len(body)-len(envelopeEnd)])
	return located.Sequence, err
}

// later answers a subscriber whose place cannot be told while the upstream is
// away. A browser's EventSource takes any status but 200 as final, but comes back
// after a connection that closes (see Server.turnAway).
func (a *sidecar) later(ctx *fasthttp.RequestCtx, err error) error {
	if !away(err) || !bytes.Contains(ctx.Request.Header.Peek("Accept"), []byte("text/event-stream")) {
		return upstreamError(err)
	}
	return a.turnAway(ctx)
}

// last returns the job's last checkpoint as the upstream has it, the zero one if
// it has none.
func (a *sidecar) last(ctx *fasthttp.RequestCtx, c *caller, job string) (checkpoint.Located, error) {
	q := a.question(ctx, c, "checkpoints", job, collectionTarget(job)+"?take=1&order=desc")
	answer, err := a.ask(own("last/"+job, q.of), q)
	switch {
	case err != nil:
		return checkpoint.Located{}, err
	case answer.Status >= http.StatusInternalServerError, answer.strange != nil:
		return checkpoint.Located{}, upstream.ErrBroken
	case answer.Status != http.StatusOK:
		return checkpoint.Located{}, nil
	}
	list, err := checkpoint.LocateList(answer.Body)
	if err != nil || len(list.Checkpoints) == 0 {
		return checkpoint.Located{}, err
	}
	at := list.Checkpoints[0]
	return checkpoint.Locate(answer.Body[at.Start:at.End])
}

// endsAt reports whether a job has ended with a checkpoint, in an outage as the
// copy has it.
func (a *sidecar) endsAt(ctx *fasthttp.RequestCtx, c *caller, job, id string) bool {
	last, err := a.last(ctx, c, job)
	if err != nil {
		t, err := a.store.Tail(job)
		return err == nil && t.ID == id && t.Status.Ended()
	}
	return last.ID == id && last.JobStatus().Ended()
}

// attend hands the connection to the hub, and sees to it that the upstream's
// stream is open and the caller's credential is verified as long as it lasts.
func (a *sidecar) attend(ctx *fasthttp.RequestCtx, c *caller, o stream.Subscription) error {
	if ctx.IsHead() {
		return a.subscribe(ctx, c, o)
	}
	w := watch{owner: c.owner(), credential: a.credential(c), authorization: c.authorization}
	for _, p := range o.Jobs {
		w.jobs = append(w.jobs, p.Job)
	}
	o.OnLeave = a.watches.add(w)
	for _, job := range w.jobs {
		if !a.client.Down() {
			// Others may have been told of the job's end. Whether it still ends there
			// is asked again for this one.
			a.hub.Complete("", job, "")
		}
	}
	err := a.subscribe(ctx, c, o)
	if !ctx.Hijacked() {
		o.OnLeave()
	}
	for _, job := range w.jobs {
		a.source.again(job)
	}
	return err
}
