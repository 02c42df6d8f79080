package proxy

import (
	"errors"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/proxy/openapi"
)

// stream makes every check of the stream's route; the stream itself is not
// there yet.
func (s *Server) stream(c *caller, t target) error {
	if _, err := s.job(c, t); err != nil {
		return err
	}
	return errStreamMissing
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
