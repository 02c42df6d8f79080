package ingest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"milepost/internal/terminal"
)

// Poster posts events, one after the other. It is for one goroutine.
type Poster struct {
	Client *terminal.Client
	// Note is told of what a person should know. Pipe calls it from two
	// goroutines.
	Note func(string)
	// GiveUp is how long one checkpoint is tried while the server cannot be
	// reached or has no room. 0 means for ever.
	GiveUp time.Duration

	// Stored counts the events whose checkpoints the server has now, Refused
	// those that it will not have.
	Stored, Refused int
	// Present counts those of Stored that the server had before. Where it could
	// not be asked what it had, Unsure is set and Present is too low.
	Present int
	Unsure  bool

	// given has the server's ids of the checkpoints that delegated.
	given map[runtimeID]string
	// asked has what the server was asked for by its tool call.
	asked map[runtimeID]string
	// lengths has the sequence of the last checkpoint known of each job.
	lengths map[string]uint64
}

// runtimeID names a checkpoint by the runtime's ids.
type runtimeID struct{ job, id string }

// NewPoster returns a poster that gives up after the given time.
func NewPoster(c *terminal.Client, note func(string), giveUp time.Duration) *Poster {
	return &Poster{
		Client: c, Note: note, GiveUp: giveUp,
		given: make(map[runtimeID]string), asked: make(map[runtimeID]string), lengths: make(map[string]uint64),
	}
}

// Post posts an event. delegator is what Delegator has returned for it. A
// checkpoint that the server refuses is noted and counted; an error means that
// the next would fare no better, or that ctx has ended.
func (p *Poster) Post(ctx context.Context, e *Event, delegator string) error {
	body, err := e.Body(delegator)
	if err != nil {
		p.refuse(e, err)
		return nil
	}
	if err := p.measure(ctx, e.Job); err != nil {
		return err
	}
	var made terminal.Posted
	err = p.persist(ctx, func() (err error) {
		made, err = p.Client.Post(ctx, e.Job, e.Key(), body)
		return err
	})
	var api *terminal.APIError
	switch {
	case err == nil:
		p.count(e.Job, made.Sequence)
		if e.delegates {
			p.given[runtimeID{e.Job, e.ID}] = made.ID
		}
		return nil
	case ctx.Err() != nil || !errors.As(err, &api) || terminal.Temporary(err):
		return err
	case keyReused(api):
		// It is there, from a time when it had another delegator or another
		// listener's time in it.
		p.Stored++
		p.Present++
		return nil
	}
	switch api.Code {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return err // of the key or the target, not of the checkpoint
	}
	p.refuse(e, err)
	return nil
}

func keyReused(e *terminal.APIError) bool {
	return e.Code == http.StatusUnprocessableEntity && len(e.Faults) == 1 && e.Faults[0].Path == "Idempotency-Key"
}

func (p *Poster) refuse(e *Event, err error) {
	p.Refused++
	p.Note(fmt.Sprintf("not stored: %s of checkpoint %s of job %s: %v", e.Type, terminal.Clean(e.ID), e.Job, err))
}

// persist does something again until it succeeds, cannot succeed, or takes
// longer than GiveUp.
func (p *Poster) persist(ctx context.Context, do func() error) error {
	var (
		backoff terminal.Backoff
		began   = time.Now()
	)
	for noted := false; ; {
		err := do()
		if err == nil && noted {
			p.Note("the server takes checkpoints again")
		}
		if err == nil || !terminal.Temporary(err) || ctx.Err() != nil {
			return err
		}
		if p.GiveUp > 0 && time.Since(began) > p.GiveUp {
			return fmt.Errorf("gave up after %v: %w", p.GiveUp, err)
		}
		if !noted {
			p.Note(fmt.Sprintf("trying again: %v", err))
			noted = true
		}
		if wait := backoff.Wait(ctx, err); wait != nil {
			return wait
		}
	}
}
