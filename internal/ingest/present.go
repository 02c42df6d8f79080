package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"milepost/internal/terminal"
)

// A server answers a repeated idempotency key as it answered the first time, so
// the answer does not say which it was. Its sequence does: a checkpoint that is
// new comes after all that the job had. One whose first answer was lost on the
// way is new by that, too.

// measure learns how long a job is before the first checkpoint is posted to it.
// An error is as of Post.
func (p *Poster) measure(ctx context.Context, job string) error {
	if _, ok := p.lengths[job]; ok {
		return nil
	}
	var total int
	err := p.persist(ctx, func() error {
		meta, err := p.Client.Page(ctx, job, url.Values{"take": {"1"}}, func(json.RawMessage) error { return nil })
		total = meta.Total
		return err
	})
	var api *terminal.APIError
	switch {
	case err == nil:
	case ctx.Err() != nil || !errors.As(err, &api) || terminal.Temporary(err):
		return fmt.Errorf("cannot ask what job %s has: %w", job, err)
	default:
		// There is none yet; or the key only writes, which is enough to go on.
		p.Unsure = p.Unsure || api.Code != http.StatusNotFound
	}
	p.lengths[job] = uint64(max(0, total))
	return nil
}

// count counts a stored checkpoint. One without a sequence is taken for new.
func (p *Poster) count(job string, sequence uint64) {
	p.Stored++
	switch {
	case sequence > p.lengths[job]:
		p.lengths[job] = sequence
	case sequence > 0:
		p.Present++
	}
}

// Summary says in a few words what became of the events.
func (p *Poster) Summary() string {
	if p.Unsure {
		return fmt.Sprintf("%d checkpoints stored, %d not", p.Stored, p.Refused)
	}
	return fmt.Sprintf("%d checkpoints stored (%d new), %d not", p.Stored, p.Stored-p.Present, p.Refused)
}
