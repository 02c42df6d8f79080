package terminal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Jobs reads one page of the caller's jobs and calls each with one after the
// other, in the bytes that the server gave.
func (c *Client) Jobs(ctx context.Context, query url.Values, each func(json.RawMessage) error) (Meta, error) {
	resp, err := c.ask(ctx, http.MethodGet, "/api/milepost/v1/jobs?"+query.Encode(), nil, nil)
	if err != nil {
		return Meta{}, err
	}
	defer resp.Body.Close()
	return readPage(resp.Body, "jobs", each)
}

// shownJob is what a line tells of a job. What the server leaves out is shown
// as a dash.
type shownJob struct {
	ID          string             `json:"id"`
	Status      string             `json:"status"`
	Experts     json.RawMessage    `json:"experts"`
	Checkpoints *float64           `json:"checkpoints"`
	Steps       *float64           `json:"steps"`
	Tokens      map[string]float64 `json:"tokens"`
	StartedAt   string             `json:"startedAt"`
	LastAt      string             `json:"lastAt"`
	EndedAt     string             `json:"endedAt"`
}

// JobHead names the columns of JobLine.
func (l Lines) JobHead() string {
	return l.paint(dim, jobColumns("JOB", "STATUS", "EXPERT", "STEPS", "CKPTS", "TOKENS", "STARTED", "TOOK", "LAST", plain))
}

// JobLine renders a job as of now: id, status, first expert, steps,
// checkpoints, tokens, when it started, how long it took or has taken, and how
// long ago its last checkpoint came.
func (l Lines) JobLine(job []byte, now time.Time) (string, error) {
	var j shownJob
	if err := json.Unmarshal(job, &j); err != nil {
		return "", fmt.Errorf("cannot read a job: %w", err)
	}
	colour := plain
	if l.Colour {
		colour = statusColours[j.Status]
	}
	started, last, ended := instant(j.StartedAt), instant(j.LastAt), instant(j.EndedAt)
	took, age := "-", "-"
	if !last.IsZero() {
		age = Duration(max(0, now.Sub(last))) + " ago"
	}
	switch {
	case started.IsZero():
	case !ended.IsZero():
		took = Duration(ended.Sub(started))
	case !last.IsZero():
		took = Duration(last.Sub(started))
	}
	return jobColumns(j.ID, j.Status, expertsOf(j.Experts), count(j.Steps), count(j.Checkpoints), tokensOf(j.Tokens),
		l.time(started), took, age, colour), nil
}

func jobColumns(id, status, expert, steps, checkpoints, tokens, started, took, age, colour string) string {
	painted := column(status, 28)
	if colour != plain {
		painted = colour + painted + reset
	}
	return strings.TrimRight(fmt.Sprintf("%s  %s %s %5s %5s %7s  %-14s %7s  %s", column(id, 24), painted, column(expert, 28),
		steps, checkpoints, tokens, started, took, age), " ")
}

// expertsOf names the first expert, and how many others there are. The list
// holds keys, or objects with a key.
func expertsOf(list json.RawMessage) string {
	var names []string
	if json.Unmarshal(list, &names) != nil {
		var experts []struct {
			Key string `json:"key"`
		}
		if json.Unmarshal(list, &experts) != nil {
			return "-"
		}
		names = nil
		for _, e := range experts {
			names = append(names, e.Key)
		}
	}
	switch len(names) {
	case 0:
		return "-"
	case 1:
		return names[0]
	}
	return fmt.Sprintf("%s +%d", names[0], len(names)-1)
}

// tokensOf returns the total of a usage: as it says, or input and output.
func tokensOf(usage map[string]float64) string {
	for _, name := range []string{"totalTokens", "total"} {
		if n, ok := usage[name]; ok {
			return Tokens(n)
		}
	}
	if usage == nil {
		return "-"
	}
	return Tokens(usage["inputTokens"] + usage["input"] + usage["outputTokens"] + usage["output"])
}

func count(n *float64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatFloat(*n, 'f', -1, 64)
}

// instant is the time zero if s is none.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
