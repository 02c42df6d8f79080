package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"milepost/internal/checkpoint"
)

// maxPage is the most that a list gives at once (document, "List checkpoints").
const maxPage = 100

// checkpointsOf returns the path of a job's checkpoints.
func checkpointsOf(job string) string {
	return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/"
}

// catchUp places what the list has after the copy's end, to the end of the list.
// It is an error if the copy then ends before the place upTo.
func (f *follower) catchUp(ctx context.Context, upTo uint64) error {
	for skip := f.sequence; ; {
		items, more, err := f.page(ctx, skip, maxPage)
		if err != nil {
			return err
		}
		before := f.sequence
		for i, c := range items {
			if err := f.listed(c, skip+uint64(i)+1); err != nil {
				return err
			}
		}
		skip += uint64(len(items))
		if !more || f.sequence == before {
			break
		}
	}
	if f.sequence < upTo && !f.counting {
		return errHole
	}
	f.compared = true
	return nil
}

// listed takes a checkpoint that the list has at a place.
func (f *follower) listed(c Checkpoint, place uint64) error {
	next := f.sequence + 1
	n := c.Located.Sequence
	if n == next && !f.counting {
		return f.put(c)
	}
	if n == 0 || n < next || f.counting {
		have, err := f.sink.Sequence(f.job, c.ID)
		if err != nil || have != 0 {
			return err
		}
		f.counting = f.counting || n == 0
	}
	if !f.counting {
		// The list has a greater number at this place: the upstream's are not
		// dense, or what is missing shows itself later. The second time settles it.
		if n < next || place != next || f.sparse != place {
			f.sparse = place
			return errHole
		}
		f.counting = true
	}
	return f.put(c)
}

// page fetches a part of the list, at most so many checkpoints, and reports
// whether there are more.
func (f *follower) page(ctx context.Context, skip uint64, most int) (items []Checkpoint, more bool, err error) {
	var answer *Answer
	for {
		target := fmt.Sprintf("%s?sort=createdAt&order=asc&take=%d&skip=%d", checkpointsOf(f.job), min(f.take, most), skip)
		answer, err = f.api.Do(ctx, "checkpoints", Request{Method: http.MethodGet, Target: target, Header: f.header("application/json")})
		if !errors.Is(err, ErrTooLarge) || min(f.take, most) == 1 {
			break
		}
		f.take = min(f.take, most) / 2
	}
	if err != nil {
		return nil, false, err
	}
	if answer.Status == http.StatusNotFound && f.sequence == 0 && !f.opened.IsZero() {
		// The stream is open, so the job may be watched: it has no checkpoint yet.
		return nil, false, nil
	}
	if err := faultOf(answer.Status, answer.Header, http.StatusOK); err != nil {
		return nil, false, err
	}
	list, err := checkpoint.LocateList(answer.Body)
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the list of job %s: %w", f.job, err)
	}
	for _, at := range list.Checkpoints {
		// A copy, because the page is many times as large as what may be kept of it.
		c, err := located(bytes.Clone(answer.Body[at.Start:at.End]))
		if err != nil {
			return nil, false, fmt.Errorf("cannot read the list of job %s from %d on: %w", f.job, skip, err)
		}
		items = append(items, c)
	}
	return items, len(items) > 0 && (!list.HasTotal || skip+uint64(len(items)) < list.Total), nil
}
