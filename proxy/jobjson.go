package proxy

import (
	"errors"
	"math"
	"strconv"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
)

// appendJob appends a job as the lists and the job itself have it. Of the copy of
// an upstream's job the runs are not counted, and the rest only if every
// checkpoint from the first on tells what was used.
func (s *Server) appendJob(b []byte, id string, r *store.JobRecord) ([]byte, error) {
	b = append(b, `{"id":"`...)
	b = append(b, id...)
	b = append(b, `","status":"`...)
	status := r.Status
	if status == "" {
		status = checkpoint.JobProcessing // a copy of which only the middle is there
	}
	b = append(b, status...)
	b = append(b, `","checkpoints":`...)
	b = strconv.AppendUint(b, r.Count, 10)
	if r.HasTotals() {
		b = append(b, `,"steps":`...)
		b = strconv.AppendUint(b, r.Steps, 10)
	}
	if !r.Copied {
		b = append(b, `,"runs":`...)
		b = strconv.AppendUint(b, r.Runs, 10)
	}
	if r.HasTotals() {
		b = s.appendExperts(b, r)
	}
	b = appendTimeProperty(b, "startedAt", r.FirstAt)
	b = appendTimeProperty(b, "lastAt", r.LastAt)
	if status.Ended() {
		b = appendTimeProperty(b, "endedAt", r.EndedAt)
	}
	if r.Count > 0 {
		e, err := s.store.Entry(id, r.Count)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // deleted meanwhile
			return nil, err
		}
		if err == nil {
			b = appendLast(b, &e)
		}
	}
	return append(b, '}'), nil
}

// appendExperts appends the tokens of a job, what they cost, and the same of each
// expert.
func (s *Server) appendExperts(b []byte, r *store.JobRecord) []byte {
	t := s.prices.Load()
	b = appendTokens(b, &r.Tokens)
	var whole cost
	counted := uint64(0)
	for i := range r.Experts {
		counted += r.Experts[i].Checkpoints
		if t != nil {
			whole.add(t, r.Experts[i].Key, r.Experts[i].Tokens)
		}
	}
	// Others than the first sixteen are not named in the record.
	whole.partial = whole.partial || counted < r.Count
	b = t.appendCost(b, whole)
	b = append(b, `,"experts":[`...)
	for i := range r.Experts {
		e := &r.Experts[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"key":`...)
		b = checkpoint.AppendString(b, e.Key)
		b = t.appendTotals(b, e.Key, &e.Totals)
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendTotals appends the totals of an expert or a run as properties.
func (t *priceTable) appendTotals(b []byte, expert string, of *store.Totals) []byte {
	b = append(b, `,"checkpoints":`...)
	b = strconv.AppendUint(b, of.Checkpoints, 10)
	b = append(b, `,"steps":`...)
	b = strconv.AppendUint(b, of.Steps, 10)
	b = appendTokens(b, &of.Tokens)
	var c cost
	if t != nil {
		c.add(t, expert, of.Tokens)
	}
	return t.appendCost(b, c)
}

func appendTokens(b []byte, u *checkpoint.Usage) []byte {
	b = append(b, `,"tokens":{"inputTokens":`...)
	b = appendNumber(b, u.Input)
	b = append(b, `,"outputTokens":`...)
	b = appendNumber(b, u.Output)
	b = append(b, `,"reasoningTokens":`...)
	b = appendNumber(b, u.Reasoning)
	b = append(b, `,"totalTokens":`...)
	b = appendNumber(b, u.Total)
	b = append(b, `,"cachedInputTokens":`...)
	b = appendNumber(b, u.CachedInput)
	return append(b, '}')
}

// appendNumber appends a sum of finite numbers, which may have left their range.
func appendNumber(b []byte, f float64) []byte {
	f = max(-math.MaxFloat64, min(f, math.MaxFloat64))
	if math.IsNaN(f) {
		f = 0
	}
	if math.Abs(f) < 1<<53 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendTimeProperty(b []byte, name string, ms int64) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":"`...)
	return append(checkpoint.AppendTime(b, ms), '"')
}

// appendLast appends what a job did last.
func appendLast(b []byte, e *store.Entry) []byte {
	b = append(b, `,"last":{"id":"`...)
	b = append(b, e.ID...)
	b = append(b, `","sequence":`...)
	b = strconv.AppendUint(b, e.Sequence, 10)
	for _, p := range [...]struct{ name, value string }{
		{"status", e.Summary.Status}, {"expert", e.Summary.ExpertKey}, {"action", e.Summary.ActionType},
		{"skillName", e.Summary.SkillName}, {"toolName", e.Summary.ToolName},
	} {
		if p.value == "" {
			continue
		}
		b = append(b, `,"`...)
		b = append(b, p.name...)
		b = append(b, `":`...)
		b = checkpoint.AppendString(b, p.value)
	}
	return append(b, '}')
}
