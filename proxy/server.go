// Package proxy is the HTTP face: routes, authentication, limits, and the
// endpoints of the API document, on fasthttp.
//
// A request passes, in this order: authentication (401), route (404, 405),
// scope (403), path (422), query or body (400, 413, 415, 422), existence
// (404), domain (400). Whoever has no valid key learns nothing else.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/internal/origin"
	"milepost/metrics"
	"milepost/stream"
)

// Options are what a Server is made of. All fields are required.
type Options struct {
	Config  *config.Config
	Keys    []config.Key
	Origin  *origin.Origin
	Store   *store.Store
	Cache   *cache.Cache
	Hub     *stream.Hub
	Metrics *metrics.Metrics
	Logger  *slog.Logger
	// Sidecar is set in front of an upstream; Origin is nil then.
	Sidecar *SidecarOptions
}

// Server answers the API's requests.
type Server struct {
	origin  *origin.Origin
	store   *store.Store
	cache   *cache.Cache
	hub     *stream.Hub
	metrics *metrics.Metrics
	log     *slog.Logger

	auth    authenticator
	tickets ticketMaker
	owners  atomic.Pointer[owners]
	cors    atomic.Pointer[cors]
	limits  atomic.Pointer[limits]
	prices  atomic.Pointer[priceTable] // nil: no prices
	conns   connections
	counts  requestCounts

	hot, durable lookups

	readTimeout  time.Duration
	writeTimeout time.Duration
	idleTimeout  time.Duration
	// slack is how much later than it must a deadline may be.
	slack time.Duration

	waitForJobs bool   // stream.unknown_job is "wait"
	streamLeft  func() // conns.left, for the connections that streams took over

	sidecar *sidecar // nil without an upstream

	http *fasthttp.Server

	// handlers is held for reading by each that runs; closed stops those that
	// come after a shutdown.
	handlers gate
	closed   bool
}

// New returns a server that is ready to serve.
func New(o Options) (*Server, error) {
	c := &o.Config.Server
	s := &Server{
		origin: o.Origin, store: o.Store, cache: o.Cache, hub: o.Hub, metrics: o.Metrics, log: o.Logger,
		auth:        authenticator{metrics: o.Metrics},
		readTimeout: c.ReadTimeout.Std(), writeTimeout: c.WriteTimeout.Std(), idleTimeout: c.IdleTimeout.Std(),
	}
	s.slack = min(time.Second, min(s.readTimeout, s.writeTimeout, s.idleTimeout)/8)
	secret, err := o.Store.Secret("ticket-key")
	if err != nil {
		return nil, err
	}
	s.tickets = ticketMaker{secret: secret, ttl: o.Config.Stream.TicketTTL.Std(), now: time.Now}
	s.waitForJobs = o.Config.Stream.UnknownJob == "wait"
	s.streamLeft = s.conns.left
	s.counts.metrics = o.Metrics
	s.hot, s.durable = newLookups(o.Metrics, "hot"), newLookups(o.Metrics, "durable")
	s.http = &fasthttp.Server{
		Handler:       s.handle,
		ErrorHandler:  s.protocolError,
		ExpectHandler: s.expect,
		// The server's own limit on connections comes first.
		Concurrency:        1 << 30,
		ReadBufferSize:     int(c.MaxHeader),
		WriteBufferSize:    4 << 10, // for heads and small bodies; large ones go around it
		MaxRequestBodySize: int(config.GiB),
		// The connections bound their reads and writes themselves.
		ConnState:       follow,
		LazyRequestTime: true,
		// The handler reads the body itself, after authentication.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		Logger:                       protocolLog{o.Logger},
	}
	if o.Sidecar != nil {
		s.sidecar = newSidecar(s, o.Sidecar)
	}
	s.Reload(o.Config, o.Keys)
	return s, nil
}

// protocolLog puts what fasthttp has to say of connections at the level debug:
// a client that breaks off is no trouble of the server's.
type protocolLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger. Errors of malformed requests quote what
// they are about, which may be a key or a ticket: what they quote is left out.
func (l protocolLog) Printf(format string, args ...any) {
	for i, a := range args {
		if err, ok := a.(error); ok {
			args[i], _, _ = strings.Cut(err.Error(), `"`)
		}
	}
	l.log.Debug("http: " + fmt.Sprintf(format, args...))
}

// Reload puts keys and limits in force for the requests that follow.
func (s *Server) Reload(cfg *config.Config, keys []config.Key) {
	c := &cfg.Server
	// Before the keys: a stream of a new one must find itself kept.
	s.owners.Store(newOwners(keys))
	s.auth.set(keys, c.RateLimit, c.RateBurst)
	s.cors.Store(newCORS(c.CORSOrigins))
	s.prices.Store(newPriceTable(&cfg.Prices))
	s.hub.SetLimits(StreamLimits(&cfg.Stream))
	if s.sidecar == nil || !s.sidecar.forward {
		s.hub.Revoke(s.kept)
	}
	if s.sidecar != nil {
		s.sidecar.rates.set(c.RateLimit, c.RateBurst)
	}
	s.conns.limit.Store(int64(c.MaxConnections))
	next := &limits{
		maxBody: int64(c.MaxBody), minBodyRate: int64(c.MinBodyRate),
		queueTimeout: c.QueueTimeout.Std(), scanTimeout: c.ScanTimeout.Std(),
		requests:  newLimit("max_requests", int64(c.MaxRequests), s.metrics),
		bodyBytes: newLimit("max_body_bytes", int64(c.MaxBodyBytes), s.metrics),
		listBytes: newLimit("max_list_bytes", int64(c.MaxListBytes), s.metrics),
	}
	s.limits.Store(next)
}

// StreamLimits are the limits of the stream that a configuration sets.
func StreamLimits(c *config.Stream) stream.Limits {
	return stream.Limits{Subscribers: c.MaxSubscribers, PerKey: c.MaxSubscribersPerKey, PerJob: c.MaxSubscribersPerJob}
}

// Serve answers requests on a listener until Shutdown, after which it returns
// nil.
func (s *Server) Serve(ln net.Listener) error {
	return s.http.Serve(&listener{Listener: ln, server: s})
}

// Shutdown stops accepting and waits for the requests in flight. When the
// context ends it closes their connections and returns its error once their
// handlers have returned: nothing uses the store after that.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.ShutdownWithContext(ctx)
	if err != nil {
		s.conns.all.Range(func(c, _ any) bool {
			_ = c.(*conn).Close()
			return true
		})
		if s.sidecar != nil {
			s.sidecar.cut()
		}
	}
	// No handler begins any more, and no one that runs waits for a client.
	s.handlers.Lock()
	defer s.handlers.Unlock()
	s.closed = true
	if s.sidecar != nil {
		s.sidecar.close()
	}
	return err
}

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn().(*conn)
	c.handling.RLock()
	defer c.handling.RUnlock()
	if s.closed {
		errBusy.write(ctx)
		return
	}
	start := c.tick()
	t := parsePath(ctx.Request.URI().PathOriginal())
	var err error
	switch {
	case s.sidecar == nil:
		err = s.serve(ctx, t)
	case t.route.ofJobs():
		err = s.sidecar.serveJobs(ctx, t)
	default:
		err = s.sidecar.serve(ctx, t)
	}
	if err != nil {
		s.fail(ctx, err)
	}
	s.cors.Load().open(ctx)
	s.counts.done(ctx, t.route, c.tick()-start)
}

// fail answers with an error, and logs those that are ours.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	if r, ok := err.(*refused); ok {
		if err = s.sidecar.relay(ctx, r.answer); err == nil {
			return
		}
	}
	e := errorFor(err)
	if e == errInternal {
		s.log.Error("request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "error", err)
	}
	e.write(ctx)
}

// serve runs the checks in their order and then the route.
func (s *Server) serve(ctx *fasthttp.RequestCtx, t target) error {
	if s.cors.Load().preflight(ctx) {
		return nil
	}
	if t.route == routeOpenAPI {
		return s.openAPI(ctx)
	}
	if t.route == routeUI {
		if err := s.ui(ctx); err != errNoRoute {
			return err
		}
		t = target{} // which is said only to who has a key
	}
	c, err := s.admit(ctx, t)
	if err != nil {
		return err
	}
	switch {
	case t.route == routeTickets:
		return s.issueTicket(ctx, c, func(job string) error {
			_, err := s.watchable(c, job)
			return err
		}, nil)
	case ctx.IsPost():
		return s.create(ctx, c, t)
	case t.route == routeOne:
		return s.get(ctx, c, t)
	case t.route == routeList:
		return s.list(ctx, c, t)
	case t.route == routeStreams:
		return s.streams(ctx, c)
	case t.route == routeJobs:
		return s.listJobs(ctx, s.ownJobs(c))
	case t.route == routeJob:
		return s.showJob(ctx, t, s.ownJobs(c))
	case t.route == routeDiff:
		return s.diff(ctx, t, s.ownJobs(c))
	case t.route == routeTimeline:
		return s.timeline(ctx, t, s.ownJobs(c))
	default:
		return s.stream(ctx, c, t)
	}
}

// admit checks all that can be told from the head of a request but the query:
// the caller, the route, the scope and the ids of the path.
func (s *Server) admit(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	c, err := s.identify(ctx, t)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errUnauthorized
	}
	if c.limiter != nil && !c.limiter.Allow() {
		s.metrics.LimitRejections.WithLabelValues("rate_limit").Inc()
		return nil, errRate
	}
	if t.route == routeNone {
		return nil, errNoRoute
	}
	write := ctx.IsPost() && t.route != routeTickets
	if !t.route.takes(ctx) {
		return nil, &apiError{code: 405, reason: "The route does not take this method", allow: t.route.methods()}
	}
	if write && !c.Write {
		return nil, errScopeWrite
	}
	if !write && !c.Read {
		return nil, errScopeRead
	}
	if f := t.faults(); f != nil {
		return nil, f
	}
	return c, nil
}

// identify returns the caller that a request names by its key or, where a
// browser opens a stream, by a ticket.
func (s *Server) identify(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	header := ctx.Request.Header.Peek("Authorization")
	if len(header) == 0 && byTicket(ctx, t) {
		return s.redeem(ctx.QueryArgs().Peek("ticket"), ticketJobs(ctx, t), s.ticketKey)
	}
	return s.auth.find(header, &ctx.Conn().(*conn).memo), nil
}

// expect decides whether a client that asks first may send its body.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	t := parsePath(ctx.Request.URI().PathOriginal())
	if s.sidecar != nil {
		code := s.sidecar.expect(ctx, t)
		if code != fasthttp.StatusContinue {
			s.counts.done(ctx, t.route, 0)
		}
		return code
	}
	_, err := s.admit(ctx, t)
	if err == nil && int64(ctx.Request.Header.ContentLength()) > s.limits.Load().maxBody {
		err = s.tooLarge()
	}
	if err == nil {
		return fasthttp.StatusContinue
	}
	s.fail(ctx, err)
	s.counts.done(ctx, t.route, 0)
	return ctx.Response.StatusCode()
}

// protocolError answers what never became a request.
func (s *Server) protocolError(ctx *fasthttp.RequestCtx, err error) {
	e := errMalformed
	var (
		small   *fasthttp.ErrSmallBuffer
		network net.Error
	)
	switch {
	case errors.As(err, &small):
		e = errHeaderTooLarge
		s.metrics.LimitRejections.WithLabelValues("max_header").Inc()
	case errors.As(err, &network) && network.Timeout():
		e = errBodyTimeout
		s.metrics.LimitRejections.WithLabelValues("read_timeout").Inc()
	}
	e.write(ctx)
	s.counts.done(ctx, routeNone, 0)
}
