package upstream

import (
	"context"
	"encoding/json"
	"strings"
)

// completeID begins the id of a complete event where the upstream is one of us;
// the id of the last checkpoint follows.
const completeID = "complete-"

// complete takes a complete event. It reports whether the job is over.
func (f *follower) complete(ctx context.Context, e Event) (done bool, err error) {
	var data struct {
		Status      string `json:"status"`
		ExpertJobID string `json:"expertJobId"`
	}
	if err := json.Unmarshal(e.Data, &data); err != nil {
		f.options.Logger.Warn("an upstream's complete event is malformed", "job", f.job, "error", err)
	}
	if data.ExpertJobID != "" && data.ExpertJobID != f.job {
		f.options.Logger.Warn("an upstream's complete event is of another job", "job", f.job, "other", data.ExpertJobID)
		return false, nil
	}
	if err := f.locate(); err != nil {
		return false, err
	}
	last, named := strings.CutPrefix(e.ID, completeID)
	if err := f.finish(ctx, data.Status, named && last == f.lastID); err != nil {
		return false, err
	}
	return true, nil
}

// finish says that the job is over. Unless the upstream has named the copy's
// last checkpoint as the job's, the list may have more. Without a status it is
// that of the last checkpoint; a job that has none has not begun.
func (f *follower) finish(ctx context.Context, status string, confirmed bool) error {
	if !confirmed {
		before := f.sequence
		if err := f.catchUp(ctx, 0); err != nil {
			return err
		}
		if f.sequence > before && !f.status.Ended() {
			return errContinued
		}
	}
	if f.sequence == 0 {
		return errEmpty
	}
	if status == "" {
		var err error
		if status, err = f.derive(ctx); err != nil {
			return err
		}
	}
	f.end.status, f.end.after = status, f.lastID
	f.seen = f.wantsOf(f)
	f.sink.Complete(f.job, status)
	return nil
}

// derive returns the status that a job has after the copy's last checkpoint.
func (f *follower) derive(ctx context.Context) (string, error) {
	switch {
	case f.end.after == f.lastID:
		return f.end.status, nil
	case f.statusID == f.lastID:
		return string(f.status), nil
	}
	items, _, err := f.page(ctx, f.sequence-1, 1)
	if err != nil {
		return "", err
	}
	if len(items) == 0 {
		return "", errHole
	}
	return string(items[0].Located.JobStatus()), nil
}
