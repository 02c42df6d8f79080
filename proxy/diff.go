package proxy

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/valyala/fasthttp"

	"milepost/cache"
	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// diffOverhead is what a comparison takes beside its checkpoints, in bytes.
const diffOverhead = 64 << 10

// diffQuery is the query of a comparison: two checkpoints of the job.
type diffQuery struct{ from, to string }

func parseDiffQuery(args *fasthttp.Args) (q diffQuery, faults checkpoint.Faults) {
	for _, p := range [...]struct {
		name string
		to   *string
	}{{"from", &q.from}, {"to", &q.to}} {
		switch values := args.PeekMulti(p.name); {
		case len(values) == 0:
			faults = append(faults, checkpoint.Fault{
				Path: p.name, Message: "Required", Expected: "^[a-z0-9]{24}$", Received: "undefined",
			})
		case len(values) > 1:
			faults = append(faults, checkpoint.Fault{
				Path: p.name, Message: "must be given once", Expected: "one value", Received: "several",
			})
		case !checkpoint.ValidIDBytes(values[0]):
			faults = append(faults, idFault(p.name, values[0]))
		default:
			*p.to = string(values[0])
		}
	}
	return q, faults
}

// compared is a checkpoint that is compared.
type compared struct {
	store.Checkpoint
	// size is that of its JSON in bytes, known before it is read.
	size int
}

// findCompared returns a checkpoint of a job without its JSON.
func (s *Server) findCompared(job, id string) (c compared, err error) {
	sequence, err := s.store.Sequence(job, id)
	if err == nil {
		var e store.Entry
		e, err = s.store.Entry(job, sequence)
		c = compared{store.Checkpoint{ID: id, Sequence: sequence}, e.Size}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = errCheckpointNotFound
	}
	return c, err
}

// diff answers GET and HEAD of the comparison of two checkpoints.
func (s *Server) diff(ctx *fasthttp.RequestCtx, t target, source jobSource) error {
	q, faults := parseDiffQuery(ctx.QueryArgs())
	if faults != nil {
		return faults
	}
	job := string(t.job)
	record, err := s.seen(job, source)
	if err != nil {
		return err
	}
	from, err := s.findCompared(job, q.from)
	if err != nil {
		return err
	}
	to, err := s.findCompared(job, q.to)
	if err != nil {
		return err
	}
	l := s.limits.Load()
	places := l.requests.acquire(1, l.queueTimeout)
	if places == nil {
		return errBusy
	}
	defer places()
	// In memory at a time: both, and an answer that at most repeats them, plain
	// and compressed.
	release := l.listBytes.acquire(3*int64(from.size+to.size)+diffOverhead, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	body, err := s.compare(job, &from, &to)
	if err == nil {
		err = s.same(job, &record)
	}
	if err == nil {
		if coding := negotiate(ctx); coding != cache.Identity && len(body) > minCoded {
			if body, err = encodeBody(body, coding); err == nil {
				ctx.Response.Header.SetContentEncoding(codingNames[coding])
			}
		}
	}
	if err != nil {
		release()
		return err
	}
	h := &ctx.Response.Header
	h.SetContentType("application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	ctx.Response.SetBodyStream(&heldBody{bytes.NewReader(body), release}, len(body))
	return nil
}

// heldBody is a body that gives back its bytes when it has been sent.
type heldBody struct {
	*bytes.Reader
	release func()
}

// Close implements io.Closer: fasthttp calls it when the response is over.
func (b *heldBody) Close() error {
	b.release()
	return nil
}

// compare returns the answer.
func (s *Server) compare(job string, from, to *compared) ([]byte, error) {
	for _, c := range []*compared{from, to} {
		read, err := s.store.Read(job, c.Sequence, nil)
		if errors.Is(err, store.ErrNotFound) || err == nil && read.ID != c.ID {
			return nil, errCheckpointNotFound // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		c.JSON = read.JSON
	}
	d, err := checkpoint.Compare(from.JSON, to.JSON)
	if errors.Is(err, checkpoint.ErrTooLarge) {
		return nil, checkpoint.Faults{{
			Path: "to", Message: err.Error(), Expected: "at most 4096 properties and 65536 messages", Received: "more",
		}}
	}
	if err != nil {
		return nil, err
	}
	return appendDiff(nil, from, to, &d), nil
}

func appendDiff(b []byte, from, to *compared, d *checkpoint.Difference) []byte {
	b = appendPlace(append(b, `{"data":{"diff":{"from":`...), from)
	b = appendPlace(append(b, `,"to":`...), to)
	b = append(b, `,"messages":{"added":[`...)
	for i, m := range d.Added {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"index":`...)
		b = strconv.AppendInt(b, int64(m.Index), 10)
		b = append(b, `,"message":`...)
		b = append(b, to.JSON[m.At.Start:m.At.End]...)
		b = append(b, '}')
	}
	b = append(b, `],"removed":[`...)
	for i, n := range d.Removed {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(n), 10)
	}
	b = append(b, `]},"changed":[`...)
	for i, c := range d.Changed {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = checkpoint.AppendString(b, c.Name)
		if c.From.End > 0 {
			b = append(b, `,"from":`...)
			b = append(b, from.JSON[c.From.Start:c.From.End]...)
		}
		if c.To.End > 0 {
			b = append(b, `,"to":`...)
			b = append(b, to.JSON[c.To.Start:c.To.End]...)
		}
		b = append(b, '}')
	}
	return append(b, `]}}}`...)
}

func appendPlace(b []byte, c *compared) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, c.ID...)
	b = append(b, `","sequence":`...)
	b = strconv.AppendUint(b, c.Sequence, 10)
	return append(b, '}')
}
