package proxy

import (
	"bytes"
	"cmp"
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
	switch err := a.entitled(ctx, c, job); {
	case a.waitable(err):
		return a.attend(ctx, c, stream.Subscription{Jobs: []stream.Position{{Job: job, Gate: anyGate}}})
	case err != nil:
		return err
	}
	p := stream.Position{Job: job}
	id := lastEventID(ctx)
	after, completed := stream.CompletedAfter(id)
	if !completed {
		after = id
	}
	if checkpoint.ValidIDBytes([]byte(after)) {
		after, _, err := a.canonical(job, after)
		if err != nil {
			return err
		}
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
		p := stream.Position{Job: job}
		switch err := a.entitled(ctx, c, job); {
		case a.waitable(err):
			p.Gate = anyGate
		case err != nil:
			return err
		}
		jobs = append(jobs, p)
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
	if p.After == 0 || p.Gate != "" {
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
	// Where it stands in the copy, if it does, need not be where it stands upstream.
	if n, err := a.store.Sequence(job, id); err == nil || !errors.Is(err, store.ErrNotFound) {
		return n, err
	}
	if related, err := a.store.Related(job); related || err != nil {
		return 0, cmp.Or(err, error(errUnsettled))
	}
	body := answer.entry.Body
	located, err := checkpoint.Locate(body[len(envelopeStart) : len(body)-len(envelopeEnd)])
	return located.Sequence, err
}

// errUnsettled is for a subscriber whose last checkpoint has no place in the copy
// yet: what was spooled has to be delivered first.
var errUnsettled = &apiError{code: 503, reason: "The place of Last-Event-ID is not known until spooled checkpoints are delivered", retryAfter: 5}

// later answers a subscriber whose place cannot be told while the upstream is
// away. A browser's EventSource takes any status but 200 as final, but comes back
// after a connection that closes (see Server.turnAway).
func (a *sidecar) later(ctx *fasthttp.RequestCtx, err error) error {
	if !away(err) && err != error(errUnsettled) || !bytes.Contains(ctx.Request.Header.Peek("Accept"), []byte("text/event-stream")) {
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
	var waiting []*waiting
	var leaves []func()
	for i := range o.Jobs {
		p := &o.Jobs[i]
		if p.Gate == "" {
			w.jobs = append(w.jobs, p.Job)
			continue
		}
		e, leave := a.waits.add(w, p.Job)
		p.Gate = e.gate
		waiting, leaves = append(waiting, e), append(leaves, leave)
	}
	leaves = append(leaves, a.watches.add(w))
	o.OnLeave = func() {
		for _, leave := range leaves {
			leave()
		}
	}
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
	for _, e := range waiting {
		a.waits.arrived(e)
	}
	return err
}
