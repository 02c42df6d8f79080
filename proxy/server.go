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
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/config"
	"milepost/internal/origin"
	"milepost/metrics"
)

// Options are what a Server is made of. All fields are required.
type Options struct {
	Config  *config.Config
	Keys    []config.Key
	Origin  *origin.Origin
	Store   *store.Store
	Cache   *cache.Cache
	Metrics *metrics.Metrics
	Logger  *slog.Logger
}

// Server answers the API's requests.
type Server struct {
	origin  *origin.Origin
	store   *store.Store
	cache   *cache.Cache
	metrics *metrics.Metrics
	log     *slog.Logger

	auth   authenticator
	limits atomic.Pointer[limits]
	conns  connections
	counts requestCounts

	hot, durable lookups

	readTimeout  time.Duration
	writeTimeout time.Duration

	http *fasthttp.Server

	// handlers is held for reading by each that runs; closed stops those that
	// come after a shutdown.
	handlers sync.RWMutex
	closed   bool
}

// New returns a server that is ready to serve.
func New(o Options) *Server {
	c := &o.Config.Server
	s := &Server{
		origin: o.Origin, store: o.Store, cache: o.Cache, metrics: o.Metrics, log: o.Logger,
		auth:        authenticator{metrics: o.Metrics},
		readTimeout: c.ReadTimeout.Std(), writeTimeout: c.WriteTimeout.Std(),
	}
	s.counts.metrics = o.Metrics
	s.hot, s.durable = newLookups(o.Metrics, "hot"), newLookups(o.Metrics, "durable")
	s.http = &fasthttp.Server{
		Handler:       s.handle,
		ErrorHandler:  s.protocolError,
		ExpectHandler: s.expect,
		// The server's own limit on connections comes first.
		Concurrency:        1 << 30,
		ReadBufferSize:     int(c.MaxHeader),
		WriteBufferSize:    16 << 10,
		ReadTimeout:        c.ReadTimeout.Std(),
		IdleTimeout:        c.IdleTimeout.Std(),
		MaxRequestBodySize: int(config.GiB),
		// The handler reads the body itself, after authentication.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		CloseOnShutdown:              true,
		SecureErrorLogMessage:        true,
		Logger:                       protocolLog{o.Logger},
	}
	s.Reload(o.Config, o.Keys)
	return s
}

// protocolLog puts what fasthttp has to say of connections at the level debug:
// a client that breaks off is no trouble of the server's.
type protocolLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l protocolLog) Printf(format string, args ...any) {
	l.log.Debug("http: "+format, "arguments", args)
}

// Reload puts keys and limits in force for the requests that follow.
func (s *Server) Reload(cfg *config.Config, keys []config.Key) {
	c := &cfg.Server
	s.auth.set(keys, c.RateLimit, c.RateBurst)
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
	}
	// No handler begins any more, and no one that runs waits for a client.
	s.handlers.Lock()
	defer s.handlers.Unlock()
	s.closed = true
	return err
}

// handle answers one request.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	s.handlers.RLock()
	defer s.handlers.RUnlock()
	if s.closed {
		errBusy.write(ctx)
		return
	}
	start := time.Now()
	t := parsePath(ctx.Request.URI().PathOriginal())
	if err := s.serve(ctx, t); err != nil {
		s.fail(ctx, err)
	}
	s.counts.done(ctx, t.route, time.Since(start))
}

// fail answers with an error, and logs those that are ours.
func (s *Server) fail(ctx *fasthttp.RequestCtx, err error) {
	e := errorFor(err)
	if e == errInternal {
		s.log.Error("request failed", "method", string(ctx.Method()), "path", string(ctx.Path()), "error", err)
	}
	e.write(ctx)
}

// serve runs the checks in their order and then the route.
func (s *Server) serve(ctx *fasthttp.RequestCtx, t target) error {
	if t.route == routeOpenAPI {
		return s.openAPI(ctx)
	}
	c, err := s.admit(ctx, t)
	if err != nil {
		return err
	}
	switch {
	case ctx.IsPost():
		return s.create(ctx, c, t)
	case t.route == routeOne:
		return s.get(ctx, c, t)
	case t.route == routeList:
		return s.list(ctx, c, t)
	default:
		return s.stream(c, t)
	}
}

// admit checks all that can be told from the head of a request but the query:
// the caller, the route, the scope and the ids of the path.
func (s *Server) admit(ctx *fasthttp.RequestCtx, t target) (*caller, error) {
	c := s.auth.find(ctx.Request.Header.Peek("Authorization"))
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
	write := ctx.IsPost()
	if !ctx.IsGet() && !ctx.IsHead() && !(write && t.route == routeList) {
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

// expect decides whether a client that asks first may send its body.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	t := parsePath(ctx.Request.URI().PathOriginal())
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
