package proxy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
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

// respond writes the page.
func (p *page) respond(ctx *fasthttp.RequestCtx, l *limits) error {
	largest, sum := 0, 0
	for _, e := range p.entries {
		largest, sum = max(largest, e.Size), sum+e.Size
	}
	// What is in memory at a time: one checkpoint, and what it becomes when it
	// is compressed.
	release := l.listBytes.acquire(int64(2*largest)+pieceOverhead, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	r := &pageReader{page: p, release: release}
	coding := negotiate(ctx)
	if coding != cache.Identity && sum > minCoded {
		enc, err := newEncoder(&r.out, coding)
		if err != nil {
			release()
			return err
		}
		r.encoder = enc
		ctx.Response.Header.SetContentEncoding(codingNames[coding])
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	if sum > inlinePage {
		r.streamed = true
		ctx.Response.SetBodyStream(r, -1)
		return nil
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	ctx.Response.SetBodyRaw(body)
	return nil
}

const (
	// inlinePage is the size in bytes up to which a page is written at once.
	inlinePage = 256 << 10
	// pieceOverhead is what writing a page takes beside its checkpoints.
	pieceOverhead = 64 << 10
)

// pageReader yields a page's bytes. A failure ends the response without its
// last chunk, so that no client takes what there is for the whole.
type pageReader struct {
	page    *page
	release func()
	encoder io.WriteCloser // nil: not compressed
	// streamed says that the page is read while it is being sent.
	streamed bool

	next  int // entry to come; len(entries) is the end, beyond it nothing
	begun bool
	json  []byte
	out   bytes.Buffer
}

// Read implements io.Reader.
func (r *pageReader) Read(b []byte) (int, error) {
	for r.out.Len() == 0 {
		if r.next > len(r.page.entries) {
			return 0, io.EOF
		}
		r.out.Reset()
		if err := r.guarded(); err != nil {
			r.page.server.log.Error("list broken off", "job", r.page.job, "error", err)
			return 0, err
		}
	}
	return r.out.Read(b)
}

// guarded writes the next piece as a handler does: a streamed page is read after
// its handler has returned, and must not outlive a shutdown either.
func (r *pageReader) guarded() error {
	if s := r.page.server; r.streamed {
		s.handlers.RLock()
		defer s.handlers.RUnlock()
		if s.closed {
			return errors.New("the server is shutting down")
		}
	}
	return r.piece()
}

// piece writes the next piece of the page to out.
func (r *pageReader) piece() error {
	var w io.Writer = &r.out
	if r.encoder != nil {
		w = r.encoder
	}
	var head []byte
	if !r.begun {
		head = append(head, `{"data":{"checkpoints":[`...)
		r.begun = true
	} else if r.next < len(r.page.entries) {
		head = append(head, ',')
	}
	if r.next == len(r.page.entries) {
		r.next++
		q := r.page.query
		head = append(head, `]},"meta":{"total":`...)
		head = strconv.AppendUint(head, r.page.total, 10)
		head = append(head, `,"take":`...)
		head = strconv.AppendUint(head, q.take, 10)
		head = append(head, `,"skip":`...)
		head = strconv.AppendUint(head, q.skip, 10)
		head = append(head, `}}`...)
		if _, err := w.Write(head); err != nil || r.encoder == nil {
			return err
		}
		return r.encoder.Close()
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	e := r.page.entries[r.next]
	r.next++
	if json := r.page.hot(e); json != nil {
		_, err := w.Write(json)
		return err
	}
	c, err := r.page.server.store.Read(r.page.job, e.Sequence, r.json[:0])
	// A job that began anew under the same id may be another organization's.
	if errors.Is(err, store.ErrNotFound) || err == nil && c.ID != e.ID {
		return errors.New("the job was deleted while it was being listed")
	}
	if err != nil {
		return err
	}
	r.json = c.JSON
	_, err = w.Write(c.JSON)
	return err
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

// Close implements io.Closer: fasthttp calls it when the response is over.
func (r *pageReader) Close() error {
	r.release()
	return nil
}
