package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"milepost/internal/checkpoint"
	"milepost/internal/terminal"
)

// errNoDelegator says that nobody knows the checkpoint that delegated.
var errNoDelegator = errors.New("its delegating checkpoint is not on the server")

// maxFilter is the length of a list's filter in characters (the API document).
const maxFilter = 256

// Delegator returns the server's id of the checkpoint that delegated to an
// event's expert, "" if nobody did. It is errNoDelegator if the server has
// none; other errors are as of Post.
func (p *Poster) Delegator(ctx context.Context, e *Event) (string, error) {
	if e.Delegator == "" {
		return "", nil
	}
	// What was found first stays, so that all checkpoints of a delegate are in
	// one run. It is kept by the call and not by the checkpoint alone, because
	// by the call it was looked for.
	call := runtimeID{e.Job, e.Delegator + " " + e.ToolCall}
	if id, ok := p.asked[call]; ok {
		return id, nil
	}
	if id, ok := p.given[runtimeID{e.Job, e.Delegator}]; ok {
		return id, nil
	}
	// The step in which the call was made; if the runtime had others to do
	// first, the checkpoint that says whom it delegates to.
	for _, path := range []string{".newMessages[].contents[].toolCallId", ".delegateTo.toolCallId"} {
		id, err := p.delegating(ctx, e.Job, path, e.ToolCall)
		if err != nil {
			return "", err
		}
		if id != "" {
			p.asked[call] = id
			return id, nil
		}
	}
	return "", errNoDelegator
}

// delegating returns the id of the job's last checkpoint that stopped to
// delegate and has the tool call at the path, "" if there is none.
func (p *Poster) delegating(ctx context.Context, job, path, call string) (id string, err error) {
	literal, err := json.Marshal(call)
	if err != nil {
		panic(err) // of a string there is no error
	}
	filter := path + "==" + string(literal)
	if len(filter) > maxFilter {
		return "", nil
	}
	query := url.Values{"filter": {filter}, "order": {"desc"}, "take": {"100"}}
	err = p.persist(ctx, func() error {
		id = ""
		_, err := p.Client.Page(ctx, job, query, func(raw json.RawMessage) error {
			var c struct {
				ID     string `json:"id"`
				Status string `json:"status"`
			}
			if err := json.Unmarshal(raw, &c); err != nil {
				return err
			}
			if id == "" && c.Status == string(checkpoint.StatusStoppedByDelegate) {
				id = c.ID
			}
			return nil
		})
		return err
	})
	var api *terminal.APIError
	if errors.As(err, &api) && api.Code == http.StatusNotFound {
		return "", nil // the job has no checkpoint yet
	}
	if err != nil {
		return "", fmt.Errorf("cannot ask for the checkpoint that delegated: %w", err)
	}
	return id, nil
}

// postAnyway posts an event whose delegator nobody knows.
func (p *Poster) postAnyway(ctx context.Context, e *Event) error {
	p.Note(fmt.Sprintf("checkpoint %s of job %s: %v; posting the runtime's id of it", terminal.Clean(e.ID), e.Job, errNoDelegator))
	p.asked[runtimeID{e.Job, e.Delegator + " " + e.ToolCall}] = e.Delegator
	return p.Post(ctx, e, e.Delegator)
}
