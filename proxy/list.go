package proxy

import (
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
)

// list answers GET and HEAD of the collection.
func (s *Server) list(ctx *fasthttp.RequestCtx, c *caller, t target) error {
	q, faults := parseListQuery(ctx.QueryArgs())
	if faults != nil {
		return faults
	}
	record, err := s.job(c, t)
	if err != nil {
		return err
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	p := page{server: s, job: string(t.job), organization: record.Organization, query: q, total: record.Count}
	if q.filter == nil {
		err = p.seek(record.Count)
	} else {
		err = p.scan(record.Count, time.Now().Add(l.scanTimeout))
	}
	release()
	if err == nil {
		err = s.same(p.job, &record) // from here on the entries tell
	}
	if err != nil {
		return err
	}
	return p.respond(ctx, l)
}

// page is one page of a list. Its checkpoints are read one by one while it is
// being written, so that its size does not matter to the memory.
type page struct {
	server       *Server
	job          string
	organization string // that the job belongs to
	query        listQuery
	total        uint64
	entries      []store.Entry
}

// seek finds the page by its numbers alone: a deep page costs what the first
// one costs.
func (p *page) seek(count uint64) error {
	if p.query.skip >= count {
		return nil
	}
	n := min(p.query.take, count-p.query.skip)
	first, last := p.query.skip+1, p.query.skip+n
	if p.query.descending {
		first, last = count-p.query.skip, count-p.query.skip-n+1
	}
	p.entries = make([]store.Entry, 0, n)
	return p.server.store.Scan(p.job, first, last, func(e store.Entry) (bool, error) {
		p.entries = append(p.entries, e)
		return true, nil
	})
}

// scan looks at every checkpoint of the job.
func (p *page) scan(count uint64, deadline time.Time) error {
	p.total = 0
	if count == 0 {
		return nil
	}
	first, last := uint64(1), count
	if p.query.descending {
		first, last = last, first
	}
	var buf []byte
	return p.server.store.Scan(p.job, first, last, func(e store.Entry) (bool, error) {
		if time.Now().After(deadline) {
			p.server.metrics.LimitRejections.WithLabelValues("scan_timeout").Inc()
			return false, errScanTimeout
		}
		var err error
		switch {
		case p.query.filter.TextOnly():
		case p.query.filter.NeedsMessages():
			var c store.Checkpoint
			c, err = p.server.store.Read(p.job, e.Sequence, buf[:0])
			buf = c.JSON
		default:
			// Putting the messages together is nearly all of the work.
			buf, err = p.server.store.Outline(p.job, e.Sequence, buf[:0])
		}
		if err != nil {
			return false, err
		}
		if p.query.filter.Match(buf, e.Summary) {
			if p.total >= p.query.skip && uint64(len(p.entries)) < p.query.take {
				p.entries = append(p.entries, e)
			}
			p.total++
		}
		return true, nil
	})
}

// inlinePage is the size in bytes up to which a page is written at once.
const inlinePage = 256 << 10

// respond writes the page.
func (p *page) respond(ctx *fasthttp.RequestCtx, l *limits) error {
	largest, sum := 0, 0
	for _, e := range p.entries {
		largest, sum = max(largest, e.Size), sum+e.Size
	}
	end := append(p.query.appendMeta(nil, p.total), `}}`...)
	size := len(pageStart) + sum + max(len(p.entries)-1, 0) + len(end)
	coding := negotiate(ctx)
	if size <= minCoded || size > inlinePage && !ctx.Request.Header.IsHTTP11() {
		coding = cache.Identity // HTTP/1.0 has no chunks, and the length is not known
	}
	out := size
	if size > inlinePage {
		out = min(size, largest+pagePiece)
	}
	// What is in memory at a time: one checkpoint, what is sent at once, and what it
	// takes to compress that.
	release := l.listBytes.acquire(int64(largest+out)+coderMemory[coding], l.queueTimeout)
	if release == nil {
		return errBusy
	}
	r, err := p.reader(coding, out, end, release)
	if err != nil {
		release()
		return err
	}
	var body []byte
	if size <= inlinePage {
		if body, err = r.all(); err != nil {
			return err
		}
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	if coding != cache.Identity {
		h.SetContentEncoding(codingNames[coding])
	}
	switch {
	case size <= inlinePage:
		setBody(ctx, body)
	case coding == cache.Identity:
		ctx.Response.SetBodyStream(r, size)
	default:
		ctx.Response.SetBodyStream(r, -1)
	}
	return nil
}

// hot returns the JSON of a checkpoint from the hot tier, or nil. What is read
// from disk for a list does not go there: a walk through a long job would put
// out what is asked for again and again.
func (p *page) hot(e store.Entry) []byte {
	h := p.server.cache.Hot([]byte(p.job), []byte(e.ID), cache.Identity)
	if h == nil || h.Organization != p.organization || len(h.Body) != len(envelopeStart)+e.Size+len(envelopeEnd) {
		return nil
	}
	return h.Body[len(envelopeStart) : len(h.Body)-len(envelopeEnd)]
}
