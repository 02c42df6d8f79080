package proxy

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// maxShownRuns bounds the runs of one answer: the first of the job.
const maxShownRuns = 10_000

// showJob answers GET and HEAD of one job, which the caller may see if source
// says so of its record.
func (s *Server) showJob(ctx *fasthttp.RequestCtx, t target, source jobSource) error {
	id := string(t.job)
	record, err := s.seen(id, source)
	if err != nil {
		return err
	}
	l := s.limits.Load()
	release := l.requests.acquire(1, l.queueTimeout)
	if release == nil {
		return errBusy
	}
	defer release()
	var runs shownRuns
	if !record.Copied {
		err := s.store.Runs(id, func(r store.RunRecord) bool {
			runs.add(r)
			return true
		})
		if errors.Is(err, store.ErrNotFound) {
			return errJobNotFound
		}
		if err != nil {
			return err
		}
	}
	b, err := s.appendJob([]byte(`{"data":{"job":`), id, &record)
	if err == nil {
		err = s.same(id, &record)
	}
	if err != nil {
		return err
	}
	b = append(b, `,"runs":[`...)
	b = runs.appendJSON(b, s.prices.Load())
	b = append(b, `]},"meta":{"complete":`...)
	b = strconv.AppendBool(b, !record.Copied && !runs.cut)
	return respond(ctx, append(b, `}}`...))
}

// shownRuns are the first runs of a job.
type shownRuns struct {
	runs []store.RunRecord
	cut  bool // there are more
}

// add takes a run, in any order.
func (s *shownRuns) add(r store.RunRecord) {
	if s.runs = append(s.runs, r); len(s.runs) >= 2*maxShownRuns {
		s.trim()
	}
}

func (s *shownRuns) trim() {
	slices.SortFunc(s.runs, func(a, b store.RunRecord) int { return cmp.Compare(a.First, b.First) })
	if len(s.runs) > maxShownRuns {
		s.runs, s.cut = s.runs[:maxShownRuns], true
	}
}

// appendJSON appends the runs in the order of their first checkpoints, each
// naming the run that delegated to it.
func (s *shownRuns) appendJSON(b []byte, t *priceTable) []byte {
	s.trim()
	ids := make(map[uint64]string, len(s.runs))
	for i := range s.runs {
		r := &s.runs[i]
		ids[r.First] = r.ID
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"id":"`...)
		b = append(b, r.ID...)
		b = append(b, `","expert":`...)
		b = checkpoint.AppendString(b, r.Expert)
		if r.ParentCheckpoint != "" {
			b = append(b, `,"parentCheckpointId":"`...)
			b = append(append(b, r.ParentCheckpoint...), '"')
		}
		if parent := ids[r.Parent]; parent != "" {
			b = append(b, `,"parentRunId":"`...)
			b = append(append(b, parent...), '"')
		}
		b = append(b, `,"status":"`...)
		b = append(b, r.Status...)
		b = append(b, `","ended":`...)
		b = strconv.AppendBool(b, r.Ended)
		b = append(b, `,"firstSequence":`...)
		b = strconv.AppendUint(b, r.First, 10)
		b = append(b, `,"lastSequence":`...)
		b = strconv.AppendUint(b, r.Last, 10)
		b = t.appendTotals(b, r.Expert, &r.Totals)
		b = appendTimeProperty(b, "startedAt", r.FirstAt)
		b = appendTimeProperty(b, "lastAt", r.LastAt)
		b = append(b, '}')
	}
	return b
}
