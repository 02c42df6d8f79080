package terminal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// maxQuiet is how long a stream may bring nothing, not even a comment, before
// it counts as dead: six times the server's default stream.heartbeat. With a
// longer heartbeat a quiet stream is only opened anew.
const maxQuiet = 90 * time.Second

var errQuiet = errors.New("the stream has been silent for too long")

// Follower reads the stream of a job from its beginning, or after a
// checkpoint, to the job's end. A stream that is cut is opened again where it
// was cut, for as long as it takes; each checkpoint comes once, in order.
type Follower struct {
	Client *Client
	Job    string
	From   string // the id of the last checkpoint that is not wanted; may be empty

	// Note, if set, is told when the stream cannot be had, and when it is back.
	Note func(string)

	last    int64 // sequence of the last checkpoint given
	reached bool  // the stream was open at least once
	lost    bool  // Note was told so
	backoff Backoff
	status  string
}

// errEnded says that the server has nothing more to send.
var errEnded = errors.New("the job has ended")

// stop carries an error that no other connection would mend.
type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// Run calls each with the bytes of every checkpoint. It returns the job's
// status when it ends ("" if it had ended at From already), or an error: that
// of each, of ctx, of a server that refuses, or of one that cannot be reached
// in the first place.
func (f *Follower) Run(ctx context.Context, each func(data []byte) error) (status string, err error) {
	for {
		before := f.From
		err := f.once(ctx, each)
		var final stop
		switch {
		case errors.Is(err, errEnded):
			return f.status, nil
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case errors.As(err, &final):
			return "", final.error
		case !Temporary(err) || !f.reached:
			return "", err
		}
		if f.From != before {
			f.backoff.Reset()
		} else {
			f.note("the stream is lost, trying again: "+err.Error(), true)
		}
		if err := f.backoff.Wait(ctx, err); err != nil {
			return "", err
		}
	}
}

// note tells of a change, once.
func (f *Follower) note(text string, lost bool) {
	if f.lost != lost && f.Note != nil {
		f.Note(text)
	}
	f.lost = lost
}

// once opens the stream and reads it to its end.
func (f *Follower) once(ctx context.Context, each func(data []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := time.AfterFunc(maxQuiet, func() { cancel(errQuiet) })
	defer quiet.Stop()

	header := http.Header{"Accept": {"text/event-stream"}, "Accept-Encoding": {"identity"}}
	if f.From != "" {
		header.Set("Last-Event-ID", f.From)
	}
	resp, err := f.Client.ask(ctx, http.MethodGet, checkpoints(f.Job)+"stream", header, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f.reached = true
	if resp.StatusCode == http.StatusNoContent {
		return errEnded
	}
	f.note("the stream is back", false)
	events := newEventReader(watched{resp.Body, func() { quiet.Reset(maxQuiet) }})
	for {
		e, err := events.next()
		f.backoff.least = events.retry
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			if errors.Is(err, errEventTooLarge) {
				return stop{err}
			}
			return fmt.Errorf("the stream was cut: %w", err)
		}
		if err := f.take(e, each); err != nil {
			return err
		}
	}
}

// take does with an event what it asks for.
func (f *Follower) take(e event, each func(data []byte) error) error {
	switch e.name {
	case "message":
		var c struct {
			Sequence int64 `json:"sequence"`
		}
		if err := json.Unmarshal(e.data, &c); err != nil {
			return stop{fmt.Errorf("the stream holds no checkpoints: %w", err)}
		}
		// A server that does not know the id begins anew; what has been given is
		// not given again. From somewhere on, what comes first is what is wanted.
		if c.Sequence > 0 && c.Sequence <= f.last {
			return nil
		}
		if err := each(e.data); err != nil {
			return stop{err}
		}
		f.last, f.From = c.Sequence, e.id
	case "complete":
		var end struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(e.data, &end); err != nil {
			return stop{fmt.Errorf("the end of the stream says no status: %w", err)}
		}
		f.status = end.Status
		return errEnded
	case "error":
		var told struct {
			Type string `json:"type"`
		}
		// What the server gives as the reason is for people; whether there is
		// more is seen at the next attempt.
		_ = json.Unmarshal(e.data, &told)
		return fmt.Errorf("the server ended the stream: %s", Clean(told.Type))
	}
	return nil
}

// watched calls alive for each read that brought something.
type watched struct {
	io.Reader
	alive func()
}

// Read implements io.Reader.
func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.alive()
	}
	return n, err
}
