package proxy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/time/rate"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/origin"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// spool is store and forward: what the upstream cannot take now is accepted here
// and delivered later (semantics.md, "In front of an upstream";
// docs/decisions/0007-spool.md). It exists with auth "local" only.
type spool struct {
	*sidecar
	letters    *store.Spool
	deliveries *upstream.Deliveries[store.Letter]
	holds      holds
	// accepts says that upstream.writes is "spool". Without it nothing new is taken
	// in, but for jobs that have letters, whose order is to be kept.
	accepts bool

	strange strangers
	news    spoolNews
}

// newSpool returns the spool of a sidecar, delivering what is in it already.
func newSpool(a *sidecar, o *SidecarOptions) *spool {
	p := &spool{
		sidecar: a, letters: o.Spool, accepts: o.Config.Writes == "spool",
		news: newSpoolNews(a.log),
	}
	p.deliveries = upstream.NewDeliveries(o.Client, p, o.Config.MaxBackoff.Std(), a.log)
	return p
}

// resume begins to deliver what a process before has left.
func (p *spool) resume() {
	jobs := p.letters.Jobs()
	if len(jobs) > 0 {
		f := p.letters.Figures()
		p.log.Info("delivering what is in the spool", "jobs", len(jobs), "checkpoints", f.Pending, "oldest", f.Oldest)
	}
	for _, job := range jobs {
		p.deliveries.Wake(job)
	}
}

// pending reports whether a job has checkpoints that the upstream lacks. Without a
// spool none has.
func (p *spool) pending(job string) bool { return p != nil && p.letters.Pending(job) }

// post is a request to create a checkpoint, with its body in memory.
type post struct {
	job, target string
	header      http.Header
	body        []byte
	key         string // its Idempotency-Key, or one of ours
	given       bool   // the caller has sent one
}

// write passes a POST through if it can, and spools it if not. A job that has
// checkpoints in the spool keeps its order: what follows goes there, too.
func (p *spool) write(ctx *fasthttp.RequestCtx, c *caller, r post) error {
	r.key, r.given = string(ctx.Request.Header.Peek("Idempotency-Key")), true
	if r.key == "" && len(ctx.Request.Header.PeekAll("Idempotency-Key")) == 0 {
		// What may have got there is delivered again: under a key, once.
		r.key, r.given = checkpoint.NewID(), false
	}
	if r.given && p.letters.Has(r.job) {
		l, found, err := p.letters.Keyed(r.job, r.key, sha256.Sum256(r.body))
		if err != nil {
			return origin.ErrKeyReused
		}
		if found {
			first, err := p.letters.Checkpoint(l)
			if errors.Is(err, store.ErrNotFound) {
				return origin.ErrKeyInUse // its copy is gone
			}
			return p.answer(ctx, first, err)
		}
	}
	if p.pending(r.job) {
		return p.accept(ctx, c, r)
	}
	if !p.accepts {
		return p.through(ctx, c, r.job, upstream.Request{Method: http.MethodPost, Target: r.target, Header: r.header, Body: r.body})
	}
	// Until its fate is known, nothing that the upstream says of the job by other
	// ways is taken in: it may be this checkpoint.
	defer p.holds.begin(r.job)()
	body, err := p.addressed(r.job, r.body)
	if err != nil {
		return err
	}
	r.header.Set("Idempotency-Key", r.key)
	bounded, cancel := context.WithTimeout(p.life, p.timeout)
	defer cancel()
	answer, err := p.client.Try(bounded, "checkpoints", upstream.Request{Method: http.MethodPost, Target: r.target, Header: r.header, Body: body})
	if upstream.Away(answer, err) && p.life.Err() == nil {
		if err == nil {
			err = fmt.Errorf("the upstream answered %d", answer.Status)
		}
		p.deliveries.Missed(err)
		return p.accept(ctx, c, r)
	}
	if err != nil {
		return upstreamError(err)
	}
	p.deliveries.Recovered()
	return p.written(ctx, c, r.job, answer)
}

// errSpoolFull is what a caller gets when the spool has no room.
var errSpoolFull = &apiError{code: 503, reason: "The spool is full (upstream.spool_max)", retryAfter: 5}

// accept takes a request into the spool: validated by our own rules, on disk, and
// shown to those who watch the job.
func (p *spool) accept(ctx *fasthttp.RequestCtx, c *caller, r post) error {
	if f := idempotencyFaults(ctx, []byte(r.key)); r.given && f != nil {
		return f
	}
	request, err := checkpoint.ParseRequest(r.body)
	if err != nil {
		return err
	}
	for _, ref := range request.Experts() {
		if !ref.Valid() {
			return &origin.ExpertError{Key: ref.Key}
		}
	}
	draft := draft{
		request: request, job: r.job, id: checkpoint.NewID(), at: time.Now(),
		owner: checkpoint.Owner{OrganizationID: c.local.OrganizationID},
	}
	letter := store.Letter{ID: draft.id, Key: r.key, Target: r.target, ContentType: r.header.Get("Content-Type"), At: draft.at}
	if request.DelegatedBy != nil {
		letter.Delegator = request.DelegatedBy.CheckpointID
	}
	accepted, err := p.letters.Accept(store.Acceptance{
		Job: r.job, Letter: letter, Body: r.body, Line: request.Line(), Make: draft.make,
	})
	switch {
	case errors.Is(err, store.ErrSpoolFull):
		p.metrics.LimitRejections.WithLabelValues("spool_max").Inc()
		return errSpoolFull
	case errors.Is(err, store.ErrSpoolKey):
		return origin.ErrKeyReused
	case errors.Is(err, store.ErrNotFound): // of an earlier request with the key
		return origin.ErrKeyInUse
	case err != nil:
		return err
	}
	if !accepted.Replayed {
		p.metrics.Spool.Accepted.Inc()
		p.news.accepted()
		shown := stream.Checkpoint{ID: accepted.ID, Sequence: accepted.Sequence, JSON: accepted.JSON}
		// Whether the job ends there is the upstream's to say, once it has the
		// checkpoint. While it is away that may take too long for those who watch.
		if status := checkpoint.JobStatusOf(request.Status, request.DelegatedBy != nil); status.Ended() && p.client.Down() && !accepted.Apart {
			shown.Ended = string(status)
		}
		p.hub.Publish("", r.job, shown)
		p.waits.wake(r.job, accepted.Sequence)
		p.deliveries.Wake(r.job)
	}
	return p.answer(ctx, accepted.Checkpoint, nil)
}

// answer gives a checkpoint of ours to the caller who has sent it.
func (p *spool) answer(ctx *fasthttp.RequestCtx, c store.Checkpoint, err error) error {
	if err != nil {
		return err
	}
	return p.relay(ctx, &upstream.Answer{Status: http.StatusOK, Body: enveloped(c.JSON), Header: http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "Vary": {"Accept-Encoding"},
	}})
}

func enveloped(json []byte) []byte {
	return append(append(append(make([]byte, 0, len(json)+64), envelopeStart...), json...), envelopeEnd...)
}

// spooled answers GET of a checkpoint that has no id of the upstream yet. What stands
// under its id changes when it is delivered, so nobody is to keep it unasked.
func (a *sidecar) spooled(ctx *fasthttp.RequestCtx, job, id string) error {
	place, err := a.store.Sequence(job, id)
	if err != nil {
		return errCheckpointNotFound
	}
	c, err := a.store.Read(job, place, nil)
	if err != nil {
		return err
	}
	if c.ID != id {
		return errDelivered
	}
	h := &ctx.Response.Header
	if match := ctx.Request.Header.Peek("If-None-Match"); len(match) > 0 && matches(match, id) {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		h.SetCanonical(headerETag, []byte(`"`+id+`"`))
		h.SetCanonical(headerCacheControl, askAgain)
		return nil
	}
	if err := a.relay(ctx, &upstream.Answer{Status: http.StatusOK, Body: enveloped(c.JSON), Header: http.Header{
		"Content-Type": {"application/json"}, "Vary": {"Accept-Encoding"},
	}}); err != nil {
		return err
	}
	tag := `"` + id + `"`
	if coding := h.ContentEncoding(); len(coding) > 0 {
		tag = `"` + id + "-" + string(coding) + `"`
	}
	h.SetCanonical(headerETag, []byte(tag))
	h.SetCanonical(headerCacheControl, askAgain)
	return nil
}

var askAgain = []byte("private, no-cache")

// errDelivered says that a checkpoint got its id of the upstream meanwhile.
var errDelivered = errors.New("the checkpoint was delivered meanwhile")

// canonical returns the id under which the upstream has a checkpoint: another one
// if the id is ours and it was delivered. local says that it is ours and was not.
func (a *sidecar) canonical(job, id string) (canonical string, local bool, err error) {
	upstreams, ours, err := a.store.Local(job, id)
	switch {
	case err != nil || !ours:
		return id, false, err
	case upstreams == "":
		return id, true, nil
	}
	return upstreams, false, nil
}

// close ends the deliveries.
func (p *spool) close() {
	if p != nil {
		p.deliveries.Close()
	}
}

// reset ends the streams of a job whose places have changed, so that their clients
// come back and find their places anew.
func (p *spool) reset(job string) {
	p.cache.Deleted()
	p.hub.Deleted(job)
}

// newsInterval is how often the log says the same of the spool.
const newsInterval = 10 * time.Second

// spoolNews logs when the spool begins to fill and when it is empty again, and
// what is refused, but not more often than a reader can take.
type spoolNews struct {
	log            *slog.Logger
	began, refused rate.Sometimes
	told           atomic.Bool // that it fills
}

func newSpoolNews(log *slog.Logger) spoolNews {
	return spoolNews{log: log, began: rate.Sometimes{Interval: newsInterval}, refused: rate.Sometimes{Interval: newsInterval}}
}

func (n *spoolNews) accepted() {
	if n.told.Load() {
		return
	}
	n.began.Do(func() {
		n.told.Store(true)
		n.log.Warn("checkpoints are spooled until the upstream can be reached")
	})
}

func (n *spoolNews) drained() {
	if n.told.CompareAndSwap(true, false) {
		n.log.Info("all spooled checkpoints are delivered or refused")
	}
}
