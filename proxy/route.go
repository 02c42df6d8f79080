package proxy

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
)

// route is one of the paths that the server knows.
type route byte

const (
	routeNone route = iota
	routeList       // the collection: list and create
	routeOne        // one checkpoint
	routeStream
	routeStreams // several jobs on one connection
	routeTickets
	routeOpenAPI
	routeJobs     // of the caller's organization
	routeJob      // one job with its runs
	routeDiff     // what is new in one checkpoint against another
	routeTimeline // the checkpoints of one job without their bodies
	routeUI       // the viewer's pages
	routeCount
)

// The names of the routes in the metrics.
var routeNames = [routeCount]string{"other", "checkpoints", "checkpoint", "stream", "streams", "tickets", "openapi", "jobs", "job", "diff", "timeline", "ui"}

// target is where a request goes. The ids point into the request's path.
type target struct {
	route           route
	job, checkpoint []byte
}

var (
	jobsPath        = []byte("/api/studio/v1/expert_jobs/")
	checkpointsPath = []byte("/checkpoints")
	streamsPath     = []byte("/api/milepost/v1/stream")
	ticketsPath     = []byte("/api/milepost/v1/stream/tickets")
	openAPIPath     = []byte("/openapi.yaml")
	ownJobsPath     = []byte("/api/milepost/v1/jobs")
)

// parsePath finds the route of a path as it was sent, before any decoding or
// cleaning: a path that must be cleaned to match does not match, so that no
// encoding can smuggle one id in as another. The ids are whatever stands in
// their place; faults says what is wrong with them.
func parsePath(path []byte) target {
	rest, ok := bytes.CutPrefix(path, jobsPath)
	if !ok {
		return ownTarget(path)
	}
	i := bytes.IndexByte(rest, '/')
	if i < 0 {
		return target{}
	}
	t := target{job: rest[:i]}
	if rest, ok = bytes.CutPrefix(rest[i:], checkpointsPath); !ok {
		return target{}
	}
	switch {
	case len(rest) == 0 || len(rest) == 1 && rest[0] == '/':
		t.route = routeList
	case rest[0] != '/' || bytes.IndexByte(rest[1:], '/') >= 0:
		return target{}
	case string(rest) == "/stream":
		t.route = routeStream
	default:
		t.route, t.checkpoint = routeOne, rest[1:]
	}
	return t
}

// ownTarget finds a route that is not of the checkpoints API.
func ownTarget(path []byte) target {
	switch {
	case bytes.Equal(path, openAPIPath):
		return target{route: routeOpenAPI}
	case isUI(path):
		return target{route: routeUI}
	case bytes.Equal(path, streamsPath):
		return target{route: routeStreams}
	case bytes.Equal(path, ticketsPath):
		return target{route: routeTickets}
	case bytes.Equal(path, ownJobsPath):
		return target{route: routeJobs}
	}
	rest, ok := bytes.CutPrefix(path, ownJobsPath)
	if !ok || rest[0] != '/' {
		return target{}
	}
	job, rest, deeper := bytes.Cut(rest[1:], []byte{'/'})
	switch {
	case len(job) == 0:
		return target{}
	case !deeper:
		return target{route: routeJob, job: job}
	case string(rest) == "diff":
		return target{route: routeDiff, job: job}
	case string(rest) == "timeline":
		return target{route: routeTimeline, job: job}
	}
	return target{}
}

// ofJobs reports whether a route is one of our own that show jobs.
func (r route) ofJobs() bool {
	return r == routeJobs || r == routeJob || r == routeDiff || r == routeTimeline
}

// methods is what a route allows.
func (r route) methods() string {
	switch r {
	case routeList:
		return "GET, HEAD, POST"
	case routeTickets:
		return "POST"
	}
	return "GET, HEAD"
}

// takes reports whether a route takes the request's method.
func (r route) takes(ctx *fasthttp.RequestCtx) bool {
	switch {
	case r == routeTickets:
		return ctx.IsPost()
	case ctx.IsPost():
		return r == routeList
	}
	return ctx.IsGet() || ctx.IsHead()
}

// faults lists what is wrong with the ids of the path.
func (t target) faults() checkpoint.Faults {
	var f checkpoint.Faults
	switch t.route {
	case routeOpenAPI, routeUI, routeStreams, routeTickets, routeJobs:
		return nil
	}
	if !checkpoint.ValidIDBytes(t.job) {
		f = append(f, idFault("expertJobId", t.job))
	}
	if t.route == routeOne && !checkpoint.ValidIDBytes(t.checkpoint) {
		f = append(f, idFault("checkpointId", t.checkpoint))
	}
	return f
}

func idFault(name string, value []byte) checkpoint.Fault {
	return checkpoint.Fault{
		Path: name, Message: "must be 24 characters of a-z and 0-9",
		Expected: "^[a-z0-9]{24}$", Received: clip(string(value), 64),
	}
}
