package proxy

import (
	"errors"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// The bounds of take in a timeline, whose checkpoints come without their bodies:
// a thousand are some hundred kilobytes.
const (
	defaultBriefs = 100
	maxBriefs     = 1000
)

// parseTimelineQuery reads the query of a timeline and finds all its faults.
// Parameters that are not known are ignored.
func parseTimelineQuery(args *fasthttp.Args) (pageQuery, checkpoint.Faults) {
	q := pageQuery{take: defaultBriefs}
	for k, v := range args.All() {
		name, value := string(k), string(v)
		switch name {
		case "take":
			if !q.once(name) {
				continue
			}
			n, ok := wholeNumber(value)
			if !ok || n < 1 || n > maxBriefs {
				q.fault(name, "must be a whole number from 1 to 1000", "number", value)
			}
			q.take = n
		case "order", "skip":
			if q.once(name) {
				q.parse(name, value)
			}
		}
	}
	return q, q.faults
}

// timeline answers GET and HEAD of the checkpoints of a job without their bodies.
// Of a copy it has those up to the first that is missing.
func (s *Server) timeline(ctx *fasthttp.RequestCtx, t target, source jobSource) error {
	q, faults := parseTimelineQuery(ctx.QueryArgs())
	if faults != nil {
		return faults
	}
	job := string(t.job)
	record, err := s.seen(job, source)
	if err != nil {
		return err
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	defer release()
	b, err := s.appendBriefs([]byte(`{"data":{"timeline":[`), job, record.Count, &q, time.Now().Add(l.scanTimeout))
	if errors.Is(err, store.ErrNotFound) {
		return errJobNotFound // deleted meanwhile
	}
	if err == nil {
		err = s.same(job, &record)
	}
	if err != nil {
		return err
	}
	b = q.appendMeta(b, record.Count)
	b = append(b, `,"complete":`...)
	b = strconv.AppendBool(b, !record.Copied)
	return respond(ctx, append(b, `}}`...))
}

// appendBriefs appends a page of a job with so many checkpoints, with commas
// between them. Their messages are not read.
func (s *Server) appendBriefs(b []byte, job string, count uint64, q *pageQuery, deadline time.Time) ([]byte, error) {
	if q.skip >= count {
		return b, nil
	}
	var outline []byte
	for i := range min(q.take, count-q.skip) {
		if time.Now().After(deadline) {
			s.metrics.LimitRejections.WithLabelValues("scan_timeout").Inc()
			return nil, errScanTimeout
		}
		sequence := q.skip + i + 1
		if q.descending {
			sequence = count - q.skip - i
		}
		var err error
		if outline, err = s.store.Outline(job, sequence, outline[:0]); err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = checkpoint.AppendBrief(b, outline); err != nil {
			return nil, err
		}
	}
	return b, nil
}
