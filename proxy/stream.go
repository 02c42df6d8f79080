package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/internal/config"
	"milepost/proxy/openapi"
	"milepost/stream"
)

// stream answers GET and HEAD of one job's stream.
func (s *Server) stream(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	id, job := lastEventID(ctx), string(t.job)
	p, err := s.watchable(c, job)
	if err != nil {
		return err
	}
	checkpointID, completed := stream.CompletedAfter(id)
	if !completed {
		checkpointID = id
	}
	if checkpoint.ValidIDBytes([]byte(checkpointID)) {
		// An id that is not one of this job's replays from the start.
		sequence, err := s.store.Sequence(job, checkpointID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil {
			p.After, p.Completed = sequence, completed
		}
	}
	return s.subscribe(ctx, c, stream.Subscription{Jobs: []stream.Position{p}})
}

// streams answers GET and HEAD of the stream of several jobs.
func (s *Server) streams(ctx *fasthttp.RequestCtx, c *caller) error {
	names, faults := streamJobs(ctx)
	if faults != nil {
		return faults
	}
	jobs := make([]stream.Position, 0, len(names))
	for _, job := range names {
		p, err := s.watchable(c, string(job))
		if err != nil {
			return err
		}
		jobs = append(jobs, p)
	}
	// An id that is none of these jobs' replays them from the start.
	stream.ParseComposite(lastEventID(ctx), jobs)
	return s.subscribe(ctx, c, stream.Subscription{Jobs: jobs, Composite: true})
}

// streamJobs reads the jobs of a composite stream, each once.
func streamJobs(ctx *fasthttp.RequestCtx) (jobs [][]byte, faults checkpoint.Faults) {
	seen := make(map[string]bool)
	for _, job := range ctx.QueryArgs().PeekMulti("job") {
		if !checkpoint.ValidIDBytes(job) {
			if faults = append(faults, idFault("job", job)); len(faults) == checkpoint.MaxFaults {
				return nil, faults
			}
		} else if !seen[string(job)] {
			seen[string(job)] = true
			jobs = append(jobs, job)
		}
	}
	if n := len(jobs); n > maxTicketJobs || n == 0 && faults == nil {
		faults = append(faults, checkpoint.Fault{
			Path: "job", Message: "must be given 1 to 100 times", Expected: "1 to 100 ids", Received: strconv.Itoa(n) + " ids",
		})
	}
	return jobs, faults
}

// lastEventID is the id that a subscriber resumes after: the header, which a
// browser sets when it reconnects, or the query parameter, which a page sets
// when it begins.
func lastEventID(ctx *fasthttp.RequestCtx) string {
	id := ctx.Request.Header.Peek("Last-Event-ID")
	if len(id) == 0 {
		id = ctx.QueryArgs().Peek("last_event_id")
	}
	return string(id)
}

// watchable returns the beginning of a job that the caller may watch. With
// stream.unknown_job "wait" that is any: one of another organization looks like
// one that does not exist.
func (s *Server) watchable(c *caller, job string) (stream.Position, error) {
	p := stream.Position{Organization: c.OrganizationID, Job: job}
	record, err := s.store.Job(job)
	switch {
	case err == nil && record.Organization == c.OrganizationID:
		return p, nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return p, err
	case s.waitForJobs:
		return p, nil
	}
	return p, errJobNotFound
}

// owner is whom a stream belongs to: the key with the organization that it saw
// when the stream began.
func (c *caller) owner() stream.Owner {
	if c.local != nil {
		return c.local.owner()
	}
	return sha256.Sum256(append(c.Hash[:], c.OrganizationID...))
}

// owners are those whose streams may go on.
type owners map[stream.Owner]struct{}

func newOwners(keys []config.Key) *owners {
	o := make(owners, len(keys))
	for _, k := range keys {
		if k.Read {
			o[(&caller{Key: k}).owner()] = struct{}{}
		}
	}
	return &o
}

// kept reports whether the owner of a stream may still read.
func (s *Server) kept(o stream.Owner) bool {
	_, ok := (*s.owners.Load())[o]
	return ok
}

// subscribe hands the connection to the hub.
func (s *Server) subscribe(ctx *fasthttp.RequestCtx, c *caller, o stream.Subscription) error {
	o.Owner = c.owner()
	o.Plain = !ctx.Request.Header.IsHTTP11()
	o.Head = s.streamHead(ctx, o.Plain)
	conn := ctx.Conn().(*conn)
	o.OnClose = s.streamLeft
	subscriber, err := s.hub.Admit(o)
	switch {
	case errors.Is(err, stream.ErrCompleted):
		// The standard's way to stop an EventSource that reconnects.
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		ctx.Response.Header.Set("Cache-Control", "no-store")
		return nil
	case errors.Is(err, stream.ErrTooManyOfKey):
		return errSubscribersOfKey
	case errors.Is(err, stream.ErrTooMany):
		return errSubscribers
	case errors.Is(err, stream.ErrTooManyOfJob):
		return errSubscribersOfJob
	case errors.Is(err, stream.ErrDraining):
		return s.turnAway(ctx)
	case err != nil:
		return err
	}
	if ctx.IsHead() {
		subscriber.Cancel()
		answerHead(ctx, o.Plain)
		return nil
	}
	conn.admitted.Store(subscriber)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) { s.takeOver(conn) })
	return nil
}

// takeOver gives the connection to its subscriber. Either may be gone: the
// connection is closed when the server ends, and then cancels the subscriber.
func (s *Server) takeOver(c *conn) {
	inner, open := c.detach()
	subscriber := c.admitted.Swap(nil)
	switch {
	case subscriber == nil && open:
		_ = inner.Close()
		s.conns.left()
	case subscriber == nil:
	case !open:
		subscriber.Cancel()
	default:
		if err := subscriber.Attach(inner); err != nil {
			s.log.Debug("a stream could not begin", "error", err)
		}
	}
}

// answerHead answers HEAD of a stream.
func answerHead(ctx *fasthttp.RequestCtx, plain bool) {
	h := &ctx.Response.Header
	h.SetContentType(eventStream)
	h.Set("Cache-Control", streamCaching)
	h.Set("X-Accel-Buffering", "no")
	// Its body would come in chunks, or last until the end of the connection.
	if plain {
		h.SetContentLength(-2)
	} else {
		h.SetContentLength(-1)
	}
	ctx.Response.SkipBody = true
}

// turnAway answers a subscriber that comes when the server is about to end. A
// browser's EventSource takes any status but 200 as final and never comes back,
// but does so after a connection that closes: it gets no answer at all.
func (s *Server) turnAway(ctx *fasthttp.RequestCtx) error {
	if !bytes.Contains(ctx.Request.Header.Peek("Accept"), []byte("text/event-stream")) {
		return errDraining
	}
	conn := ctx.Conn().(*conn)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) { _ = conn.Close() })
	return nil
}

const (
	eventStream   = "text/event-stream; charset=utf-8"
	streamCaching = "no-cache, no-transform"
)

// streamHead is the head of a stream's response.
func (s *Server) streamHead(ctx *fasthttp.RequestCtx, plain bool) []byte {
	b := make([]byte, 0, 512)
	b = append(b, "HTTP/1.1 200 OK\r\nDate: "...)
	b = fasthttp.AppendHTTPDate(b, time.Now())
	b = append(b, "\r\nContent-Type: "+eventStream+
		"\r\nCache-Control: "+streamCaching+
		"\r\nX-Accel-Buffering: no\r\nConnection: close\r\n"...)
	if !plain {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	cors := s.cors.Load()
	if cors.varies() {
		b = append(b, "Vary: Origin\r\n"...)
	}
	if origin := cors.allowed(ctx.Request.Header.Peek("Origin")); origin != "" {
		b = append(append(append(b, "Access-Control-Allow-Origin: "...), origin...), "\r\n"...)
	}
	return append(b, "\r\n"...)
}

// job returns the record of the job in the path if the caller may see it.
func (s *Server) job(c *caller, t target) (store.JobRecord, error) {
	record, err := s.store.Job(string(t.job))
	if errors.Is(err, store.ErrNotFound) || err == nil && record.Organization != c.OrganizationID {
		return store.JobRecord{}, errJobNotFound
	}
	return record, err
}

// openAPI answers GET and HEAD of the API's description, which needs no key.
func (s *Server) openAPI(ctx *fasthttp.RequestCtx) error {
	if !ctx.IsGet() && !ctx.IsHead() {
		return &apiError{code: 405, reason: "The route does not take this method", allow: routeOpenAPI.methods()}
	}
	ctx.Response.Header.SetContentType(openapi.ContentType)
	ctx.Response.SetBodyRaw(openapi.YAML)
	return nil
}
