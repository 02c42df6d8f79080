package proxy

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// one answers GET and HEAD of one checkpoint: from the hot tier, then the disk,
// then the upstream. The copy is given only to those whom the upstream lets
// read the job.
func (a *sidecar) one(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	job, id := string(t.job), string(t.checkpoint)
	var local bool
	hot := a.cache.Hot(t.job, t.checkpoint, cache.Identity) != nil // never under an id of ours
	if !hot {
		var err error
		if id, local, err = a.canonical(job, id); err != nil {
			return err
		}
		t.checkpoint = []byte(id)
	}
	if hot || a.has(job, id) {
		if a.forward {
			err := a.entitled(ctx, c, job)
			if r, ok := err.(*refused); ok && r.answer.Status == http.StatusNotFound {
				return errCheckpointNotFound // as if the upstream had been asked for it
			}
			if err != nil {
				return err
			}
		}
		if local {
			if err := a.spooled(ctx, job, id); err != errDelivered {
				return err
			}
			return a.one(ctx, c, t) // under its other id
		}
		err := a.get(ctx, c, t)
		if err == errCheckpointNotFound {
			var e *cache.Entry
			if e, err = a.loose(job, id); err == nil {
				give(ctx, e)
				return nil
			}
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		// It went meanwhile.
	}
	q := a.questionOne(ctx, c, job, id)
	key := "one/" + job + "/" + id
	accepted := a.verdict(q.of, job) == upstream.Fresh
	if !accepted {
		key = own(key, q.of) // its own request decides for this credential alone
	} else {
		q.held = func() *cache.Entry { return a.held(job, id) }
	}
	answer, err := a.ask(key, q)
	if err == nil && answer.of != q.of && (answer.entry == nil || a.verdict(q.of, job) != upstream.Fresh) {
		// What another's credential was refused, or told instead of a checkpoint, says
		// nothing to this one.
		answer, err = a.ask(own(key, q.of), q)
	}
	switch {
	case errors.Is(err, upstream.ErrTooLarge):
		return a.pass(ctx, c, t)
	case err != nil:
		return upstreamError(err)
	case answer.entry == nil:
		return a.relay(ctx, answer.Answer)
	}
	e, err := a.keepCoded(answer.entry, negotiate(ctx), a.cache.Epoch())
	if err != nil {
		return err
	}
	give(ctx, e)
	return nil
}

// held returns a checkpoint of the local copy, nil if it has none of that id.
func (a *sidecar) held(job, id string) *cache.Entry {
	e, err := a.read(job, id)
	if err != nil {
		e, err = a.loose(job, id)
	}
	if err != nil {
		return nil
	}
	return e
}

// has reports whether the local copy has a checkpoint.
func (a *sidecar) has(job, id string) bool {
	if a.cache.Hot([]byte(job), []byte(id), cache.Identity) != nil {
		return true
	}
	if _, err := a.store.Sequence(job, id); err == nil {
		return true
	}
	record, err := a.store.Job(job)
	if err != nil || record.Copy.Loose == 0 {
		return false
	}
	_, err = a.store.ReadCopy(job, id, nil)
	return err == nil
}

// loose reads a checkpoint to which the upstream gave no sequence.
func (a *sidecar) loose(job, id string) (*cache.Entry, error) {
	c, err := a.store.ReadCopy(job, id, append(make([]byte, 0, 4096), envelopeStart...))
	if err != nil {
		return nil, err
	}
	return newEntry(job, id, "", append(c.JSON, envelopeEnd...)), nil
}

// questionOne is a question for one checkpoint.
func (a *sidecar) questionOne(ctx *fasthttp.RequestCtx, c *caller, job, id string) question {
	q := a.question(ctx, c, "checkpoint", job, checkpointTarget(job, id))
	q.learn = func(answer *told) error {
		e, err := a.learnOne(job, answer.Body, false)
		if err == nil && e.ID != id {
			err = errAnotherOne
		}
		if err == nil {
			answer.entry = e
		}
		return err
	}
	return q
}

var errAnotherOne = errors.New("it is another checkpoint than was asked for")

// learnOne keeps the checkpoint of an answer to GET or POST of one, and
// broadcasts it if it is new. The error says that the answer is none.
func (a *sidecar) learnOne(job string, body []byte, broadcast bool) (*cache.Entry, error) {
	at, err := checkpoint.LocateOne(body)
	if err != nil {
		return nil, err
	}
	return a.learn(job, body[at.Start:at.End], broadcast)
}

// learnList keeps the checkpoints of an answer to GET of a list.
func (a *sidecar) learnList(job string, body []byte) error {
	list, err := checkpoint.LocateList(body)
	if err != nil {
		return err
	}
	for _, at := range list.Checkpoints {
		if _, err := a.learn(job, body[at.Start:at.End], false); err != nil {
			return err
		}
	}
	return nil
}

// learn puts a checkpoint into the local copy. A copy that cannot be kept is
// only slower the next time.
func (a *sidecar) learn(job string, json []byte, broadcast bool) (*cache.Entry, error) {
	line := checkpoint.OneLine(json)
	located, err := checkpoint.Locate(line)
	if err != nil {
		return nil, err
	}
	if !checkpoint.ValidID(located.ID) {
		return nil, checkpoint.ErrNotCheckpoint
	}
	// In memory of its own: what it is part of may be large.
	e := newEntry(job, located.ID, "", enveloped(line))
	if a.spool != nil && !broadcast && a.spool.holds.writing(job) {
		return e, nil // it may be what is being written, of which there is more to know
	}
	epoch := a.cache.Epoch()
	placed, err := a.keep(job, store.Copy{JSON: line, Located: located, At: time.Now()})
	if err != nil {
		a.log.Warn("a copy could not be kept", "job", job, "id", located.ID, "error", err)
		return e, nil
	}
	if placed.Waits {
		return e, nil
	}
	if !placed.Held { // else the hot tier would differ from what the copy keeps
		a.cache.Keep(e, epoch, !broadcast)
	}
	if broadcast && placed.Place > 0 {
		a.hub.Publish("", job, stream.Checkpoint{ID: located.ID, Sequence: placed.Place, JSON: line})
	}
	return e, nil
}

// keep stores a copy. If the upstream's job was deleted and began anew, the old
// one is gone everywhere.
func (a *sidecar) keep(job string, c store.Copy) (store.Placed, error) {
	placed, err := a.store.PlaceCopy(job, c)
	if placed.Replaced {
		a.cache.Deleted()
		a.hub.Deleted(job)
	}
	if err == nil {
		a.waits.wake(job, c.Located.Sequence)
	}
	return placed, err
}

// page answers GET and HEAD of the collection: the upstream's answer, or in an
// outage the local copy, if it is whole. So does the copy as long as it has what
// the upstream lacks: who has written it reads it.
func (a *sidecar) page(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	job, target := string(t.job), collectionTarget(string(t.job))
	if a.spool.pending(job) {
		if record, err := a.store.Job(job); err == nil && record.Complete() {
			return a.stale(ctx, c, t)
		}
	}
	if query := ctx.URI().QueryString(); len(query) > 0 {
		target += "?" + string(query)
	}
	q := a.question(ctx, c, "checkpoints", job, target)
	answer, err := a.ask(own("list/"+target, q.of), q)
	if errors.Is(err, upstream.ErrTooLarge) {
		return a.pass(ctx, c, t)
	}
	if err == nil && answer.Status < http.StatusInternalServerError {
		return a.relay(ctx, answer.Answer)
	}
	if (err == nil || away(err)) && a.survives(q.of, job) {
		return a.stale(ctx, c, t)
	}
	if err != nil {
		return upstreamError(err)
	}
	return a.relay(ctx, answer.Answer)
}

// survives reports whether lists of a job may be answered without the upstream:
// to this credential, and from a copy without holes.
func (a *sidecar) survives(of upstream.Credential, job string) bool {
	if a.verdict(of, job) == upstream.None {
		return false
	}
	record, err := a.store.Job(job)
	return err == nil && record.Complete()
}

// stale answers a list from the local copy.
func (a *sidecar) stale(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	record, err := a.store.Job(string(t.job))
	if err != nil {
		return err
	}
	age := max(time.Since(time.UnixMilli(record.LastAt)), 0)
	if err := a.list(ctx, c, t); err != nil {
		return err
	}
	a.metrics.Upstream.StaleLists.Inc()
	ctx.Response.Header.Set("Age", strconv.FormatInt(int64(age/time.Second), 10))
	return nil
}
