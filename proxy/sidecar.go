package proxy

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/proxy/upstream"
)

// sidecar answers in front of an upstream (semantics.md, "In front of an
// upstream"). The upstream is the authority; what it has said once is kept in
// the local copy and served from there to those whom it lets read.
type sidecar struct {
	*Server
	client    *upstream.Client
	verdicts  *upstream.Verdicts
	answers   upstream.Flights[*told]
	followers *upstream.Followers
	source    *Source
	watches   *watches
	waits     *waits
	rates     rates
	spool     *spool // nil with auth "forward"

	// forward says that each caller's own credential goes upstream; otherwise the
	// local keys decide and authorization is the sidecar's own.
	forward       bool
	authorization string
	timeout       time.Duration // of a request whose answer is held in memory
	now           func() time.Time

	// life ends with the server: no request to the upstream outlives it.
	life context.Context
	end  context.CancelFunc
}

// SidecarOptions are what a Server needs in front of an upstream.
type SidecarOptions struct {
	Client   *upstream.Client
	Verdicts *upstream.Verdicts
	Follow   upstream.FollowOptions
	Config   *config.Upstream
	Source   *Source // of the hub
	// Spool is what waits for the upstream; nil with auth "forward".
	Spool *store.Spool
}

func newSidecar(s *Server, o *SidecarOptions) *sidecar {
	a := &sidecar{
		Server: s, client: o.Client, verdicts: o.Verdicts, source: o.Source,
		forward: o.Config.Auth == "forward", timeout: o.Config.RequestTimeout.Std(), now: time.Now,
	}
	if !a.forward {
		a.authorization = "Bearer " + o.Config.APIKey.Reveal()
	}
	a.life, a.end = context.WithCancel(context.Background())
	a.watches = newWatches(a, o.Config.AuthTTL.Std())
	a.waits = newWaits(a, o.Config.MaxBackoff.Std(), o.Config.GiveUp.Std())
	if o.Spool != nil {
		a.spool = newSpool(a, o)
	}
	a.followers = upstream.NewFollowers(o.Client, sink{a}, o.Follow)
	o.Source.follow(a.followers, o.Client.Down)
	if a.spool != nil {
		a.spool.resume()
	}
	return a
}

// cut ends the requests to the upstream that are under way.
func (a *sidecar) cut() { a.end() }

// close ends what works for the sidecar in the background.
func (a *sidecar) close() {
	a.end()
	a.answers.Close()
	a.spool.close()
	a.followers.Close()
	a.waits.close()
	a.watches.close()
}

// serve answers one request.
func (a *sidecar) serve(ctx *fasthttp.RequestCtx, t target) error {
	if a.cors.Load().preflight(ctx) {
		return nil
	}
	if t.route == routeOpenAPI {
		return a.openAPI(ctx)
	}
	if t.route == routeUI {
		return a.ui(ctx)
	}
	c, err := a.caller(ctx, t)
	if err != nil {
		return err
	}
	switch {
	case t.route == routeTickets && ctx.IsPost():
		return a.ticket(ctx, c)
	case t.route == routeTickets || t.route == routeStreams && !t.route.takes(ctx):
		return &apiError{code: 405, reason: "The route does not take this method", allow: t.route.methods()}
	case t.route == routeStreams:
		return a.watchAll(ctx, c)
	case t.route == routeNone && isOurs(ctx):
		return errNoRoute
	case t.route == routeNone || !t.route.takes(ctx) || t.faults() != nil:
		return a.pass(ctx, c, t)
	case t.route == routeStream:
		return a.watch(ctx, c, t)
	case ctx.IsPost():
		return a.write(ctx, c, t)
	case t.route == routeOne:
		return a.one(ctx, c, t)
	}
	return a.page(ctx, c, t)
}

var errTwoCredentials = &apiError{code: 400, reason: "The header Authorization may be there once"}

// caller is who a request comes from. With auth "forward" that is the hash of
// its credential, whatever it is: the upstream decides what it may do.
func (a *sidecar) caller(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	if len(ctx.Request.Header.PeekAll("Authorization")) > 1 {
		// Which of them the upstream would take is not to be guessed.
		return nil, errTwoCredentials
	}
	if a.forward {
		return a.stranger(ctx, t)
	}
	known, err := a.identify(ctx, t)
	if err != nil {
		return nil, err
	}
	if known == nil {
		return nil, errUnauthorized
	}
	if known.limiter != nil && !known.limiter.Allow() {
		return nil, a.tooFast()
	}
	c := *known
	c.OrganizationID, c.local = "", known // the copy is the upstream's
	c.authorization = a.authorization
	switch reads := ctx.IsGet() || ctx.IsHead() || t.route == routeTickets; {
	case reads && !c.Read:
		return nil, errScopeRead
	case !reads && !c.Write:
		return nil, errScopeWrite
	}
	return &c, nil
}

// stranger is the caller of a request that the upstream alone can judge.
func (a *sidecar) stranger(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	header := ctx.Request.Header.Peek("Authorization")
	c := new(caller)
	switch {
	case len(header) == 0 && byTicket(ctx, t):
		known, err := a.bearer(ctx, t)
		if err != nil {
			return nil, err
		}
		if known == nil {
			return nil, errUnauthorized
		}
		c = known
	default:
		c.Hash, c.authorization = upstream.CredentialOf(header), string(header)
		c.Read, c.Write = true, true
	}
	if !a.rates.allow(c.Hash) {
		return nil, a.tooFast()
	}
	return c, nil
}

func (a *sidecar) tooFast() error {
	a.metrics.LimitRejections.WithLabelValues("rate_limit").Inc()
	return errRate
}

// expect decides whether a client that asks first may send its body, and returns
// 100 if so, else the status of the response.
func (a *sidecar) expect(ctx *fasthttp.RequestCtx, t target) int {
	c, err := a.caller(ctx, t)
	if err == nil && t.route == routeTickets && ctx.IsPost() && ctx.Request.Header.ContentLength() > maxTicketBody {
		a.metrics.LimitRejections.WithLabelValues("max_body").Inc()
		err = errTicketTooLarge
	}
	if err != nil {
		a.fail(ctx, err)
		return ctx.Response.StatusCode()
	}
	if t.route == routeNone && isOurs(ctx) || t.route == routeTickets || t.route == routeStreams || t.route == routeOpenAPI || t.route.ofJobs() {
		return http.StatusContinue // they are ours alone
	}
	if ctx.IsPost() && t.route == routeList && t.faults() == nil && a.holds(ctx) {
		job := string(t.job)
		if err := a.large(ctx, c, job); err != nil {
			a.fail(ctx, err)
			return ctx.Response.StatusCode()
		}
		if a.spool != nil && a.spool.accepts || a.verdict(a.credential(c), job) == upstream.Fresh {
			return http.StatusContinue
		}
	}
	// Whether it wants the body is the upstream's to say; it then gets it piece by
	// piece.
	ctx.SetUserValue(asked{}, true)
	code := a.client.Expect(ctx)
	if err := a.passed(ctx, c, t); err != nil && code != http.StatusContinue {
		a.fail(ctx, err)
		return ctx.Response.StatusCode()
	}
	return code
}

// asked marks a request of which the upstream has the head.
type asked struct{}

// isOurs reports whether a path is of our own API, of which nothing is relayed.
func isOurs(ctx *fasthttp.RequestCtx) bool {
	return bytes.HasPrefix(ctx.Request.URI().PathOriginal(), ownPath)
}

var ownPath = []byte("/api/milepost/")

// pass relays what is not ours. A refusal of something that is of a job is one of
// the job.
func (a *sidecar) pass(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	a.client.Pass(ctx)
	return a.passed(ctx, c, t)
}

// passed keeps what the answer to a request that was relayed says of the caller.
func (a *sidecar) passed(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	if t.route == routeNone || t.faults() != nil {
		return nil
	}
	return a.condemn(ctx.Response.StatusCode(), a.credential(c), string(t.job))
}

// checkpointTarget is the path of one checkpoint, collectionTarget that of a
// job's.
func checkpointTarget(job, id string) string { return collectionTarget(job) + id }

func collectionTarget(job string) string {
	return string(jobsPath) + job + string(checkpointsPath) + "/"
}
