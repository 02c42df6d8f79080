package proxy

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
)

// maxListedJobs bounds the jobs that one list looks at: those that began last, or
// first if the list is in that order. It is what a hundred thousand records can be
// read and sorted in, a fraction of a second and some megabytes.
const maxListedJobs = 100_000

// errMoreJobs says that a source has more jobs, which cannot be told now.
var errMoreJobs = errors.New("there are more jobs")

// jobSource calls visit for the jobs that a caller may see, until it returns false.
type jobSource struct {
	// It returns errMoreJobs if those were not all.
	each func(descending bool, visit func(job string) bool) error
	// ordered says that the jobs come in the order in which they began.
	ordered bool
	// sees reports whether the record is of a job that the caller may see.
	sees func(*store.JobRecord) bool
}

// ownJobs are the jobs of the caller's organization.
func (s *Server) ownJobs(c *caller) jobSource {
	return jobSource{
		ordered: true,
		each: func(descending bool, visit func(string) bool) error {
			return s.store.JobsOf(c.OrganizationID, descending, visit)
		},
		// The job may have been deleted and begun anew by somebody else.
		sees: func(r *store.JobRecord) bool { return !r.Copied && r.Organization == c.OrganizationID },
	}
}

// listJobs answers GET and HEAD of the jobs that source has.
func (s *Server) listJobs(ctx *fasthttp.RequestCtx, source jobSource) error {
	q, faults := parseJobsQuery(ctx.QueryArgs())
	if faults != nil {
		return faults
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	defer release()
	p := jobsPage{server: s, source: source, query: q, limit: maxListedJobs, complete: true}
	if err := p.find(time.Now().Add(l.scanTimeout)); err != nil {
		return err
	}
	body, err := p.appendJSON(nil)
	if err != nil {
		return err
	}
	return respond(ctx, body)
}

// jobsPage is one page of a list of jobs.
type jobsPage struct {
	server   *Server
	source   jobSource
	query    jobsQuery
	limit    int // of jobs that are looked at
	jobs     []string
	total    uint64
	complete bool // there were no more jobs than a list looks at
}

// find finds the page's jobs. The order in which the jobs began needs no record;
// any other, and a filter, reads the record of each.
func (p *jobsPage) find(deadline time.Time) error {
	q := &p.query
	plain := p.source.ordered && q.sort == sortStartedAt && !q.selects()
	var rows []jobRow
	looked := 0
	var failed error
	err := p.source.each(!plain || q.descending, func(id string) bool {
		if looked == p.limit {
			p.complete = false
			return false
		}
		if looked++; looked%256 == 0 && time.Now().After(deadline) {
			p.server.metrics.LimitRejections.WithLabelValues("scan_timeout").Inc()
			failed = errScanTimeout
			return false
		}
		if plain {
			if p.total >= q.skip && uint64(len(p.jobs)) < q.take {
				p.jobs = append(p.jobs, id)
			}
			p.total++
			return true
		}
		record, err := p.server.store.Job(id)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			failed = err
			return false
		case p.source.sees(&record) && q.matches(id, &record):
			rows = append(rows, jobRow{id, sortValue(q.sort, &record)})
		}
		return true
	})
	if err == errMoreJobs {
		p.complete, err = false, nil
	}
	if err = errors.Join(err, failed); err != nil || plain {
		return err
	}
	p.total = uint64(len(rows))
	slices.SortStableFunc(rows, func(a, b jobRow) int {
		if q.descending {
			a, b = b, a
		}
		return cmp.Compare(a.by, b.by)
	})
	rows = rows[min(q.skip, p.total):]
	for _, r := range rows[:min(q.take, uint64(len(rows)))] {
		p.jobs = append(p.jobs, r.id)
	}
	return nil
}

// jobRow is a job that is sorted by a number.
type jobRow struct {
	id string
	by float64
}

func sortValue(by string, r *store.JobRecord) float64 {
	switch by {
	case sortLastAt:
		return float64(r.LastAt)
	case sortSteps:
		return float64(r.Steps)
	case sortTokens:
		return r.Tokens.Total
	}
	return float64(r.FirstAt)
}

// appendJSON appends the page. What was deleted since it was found is left out.
func (p *jobsPage) appendJSON(b []byte) ([]byte, error) {
	b = append(b, `{"data":{"jobs":[`...)
	first := true
	for _, id := range p.jobs {
		record, err := p.server.store.Job(id)
		if errors.Is(err, store.ErrNotFound) || err == nil && !p.source.sees(&record) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		if b, err = p.server.appendJob(b, id, &record); err != nil {
			return nil, err
		}
	}
	b = p.query.appendMeta(b, p.total)
	b = append(b, `,"complete":`...)
	b = strconv.AppendBool(b, p.complete)
	return append(b, `}}`...), nil
}

// matches reports whether the query leaves a job.
func (q *jobsQuery) matches(id string, r *store.JobRecord) bool {
	if len(q.statuses) > 0 && !slices.Contains(q.statuses, r.Status) {
		return false
	}
	return q.text == "" || strings.Contains(id, q.text) ||
		slices.ContainsFunc(r.Experts, func(e store.ExpertTotals) bool { return strings.Contains(strings.ToLower(e.Key), q.text) })
}

// respond sends a JSON body that may change at any time.
func respond(ctx *fasthttp.RequestCtx, body []byte) error {
	h := &ctx.Response.Header
	if coding := negotiate(ctx); coding != cache.Identity && len(body) > minCoded {
		coded, err := encodeBody(body, coding)
		if err != nil {
			return err
		}
		body = coded
		h.SetContentEncoding(codingNames[coding])
	}
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	setBody(ctx, body)
	return nil
}
