package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNotImportable says that a checkpoint of another server lacks something that a
// job of this one needs.
var ErrNotImportable = errors.New("not a checkpoint that can be imported")

// Imported is what must be known of a checkpoint that another server of ours gave,
// to make it part of a job here without changing a byte of it.
type Imported struct {
	Located
	JobID, RunID string
	CreatedAt    int64 // milliseconds since the epoch
}

// ParseImported reads a checkpoint as the API gives it. It must be on one line,
// with everything that the API promises of id, expertJobId, runId, sequence,
// createdAt, status, expert.key and usage. The error is a *SyntaxError if it is no
// JSON that is taken (as for ParseRequest), or else ErrNotImportable.
func ParseImported(json []byte) (Imported, error) {
	if bytes.ContainsAny(json, "\r\n") {
		return Imported{}, fmt.Errorf("%w: it has line breaks", ErrNotImportable)
	}
	if _, err := inspect(json); err != nil {
		return Imported{}, err
	}
	located, err := Locate(json)
	if errors.Is(err, ErrNotCheckpoint) {
		return Imported{}, fmt.Errorf("%w: no object with an id", ErrNotImportable)
	}
	if err != nil {
		return Imported{}, err
	}
	c := Imported{Located: located}
	var kind, createdAt string
	r := read(json)
	defer r.close()
	_, err = r.eachMember(func(name []byte) (err error) {
		switch string(name) {
		case "type":
			kind, err = r.text()
		case "expertJobId":
			c.JobID, err = r.text()
		case "runId":
			c.RunID, err = r.text()
		case "createdAt":
			createdAt, err = r.text()
		default:
			_, err = r.value()
		}
		return err
	})
	if err != nil {
		return Imported{}, err
	}
	at, isTime := parseTime(createdAt)
	c.CreatedAt = at
	_, isStatus := parseStatus([]byte(c.Status))
	_, _, _, isExpert := ParseExpertKey(c.ExpertKey)
	for _, need := range []struct {
		met  bool
		name string
	}{
		{kind == "checkpoint", "type"}, {ValidID(c.JobID), "expertJobId"}, {ValidID(c.RunID), "runId"},
		{c.Sequence > 0, "sequence"}, {isTime, "createdAt"}, {isStatus, "status"}, {isExpert, "expert.key"}, {c.HasUsage, "usage"},
	} {
		if !need.met {
			return Imported{}, fmt.Errorf("%w: %s is missing or malformed", ErrNotImportable, need.name)
		}
	}
	return c, nil
}

// usage reads the numbers of a usage. It reports false if the value is no object
// of finite numbers.
func (r *reader) usage(u *Usage) (bool, error) {
	sound := true
	isObject, err := r.eachMember(func(name []byte) error {
		at, err := r.value()
		if err != nil {
			return err
		}
		var to *float64
		switch string(name) {
		case "inputTokens":
			to = &u.Input
		case "outputTokens":
			to = &u.Output
		case "reasoningTokens":
			to = &u.Reasoning
		case "totalTokens":
			to = &u.Total
		case "cachedInputTokens":
			to = &u.CachedInput
		default:
			return nil
		}
		literal := at.of(r.src)
		n, err := strconv.ParseFloat(string(literal), 64)
		if sound = sound && err == nil && kindOf(literal) == kindNumber; sound {
			*to = n
		}
		return nil
	})
	return isObject && sound, err
}

// parseTime reads a time as AppendTime writes it, of the years 0 to 9999.
func parseTime(s string) (ms int64, ok bool) {
	t, err := time.Parse("2006-01-02T15:04:05.000Z", s)
	if err != nil {
		return 0, false
	}
	ms = t.UnixMilli()
	return ms, string(AppendTime(nil, ms)) == s
}

// Since returns the usage that came between an earlier sum and this one. A kind
// that went down counts as unchanged.
func (u Usage) Since(earlier Usage) Usage {
	return Usage{
		Input:       max(0, u.Input-earlier.Input),
		Output:      max(0, u.Output-earlier.Output),
		Reasoning:   max(0, u.Reasoning-earlier.Reasoning),
		Total:       max(0, u.Total-earlier.Total),
		CachedInput: max(0, u.CachedInput-earlier.CachedInput),
	}
}
