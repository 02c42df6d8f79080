package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// streamChecks are those of the stream.
func streamChecks() []conformanceCheck {
	return []conformanceCheck{
		{area: "stream", rule: "the answer is an event stream that no proxy may change or keep", check: watching(1, nil, func(w watched) error {
			if !strings.HasPrefix(w.header.Get("Content-Type"), "text/event-stream") || !strings.Contains(w.header.Get("Cache-Control"), "no-cache") {
				return fmt.Errorf("headers %v", w.header)
			}
			return nil
		})},
		{area: "stream", rule: "a subscriber gets what is stored and then what comes, each once and in order", check: watching(3, nil, func(w watched) error {
			if err := w.wantMessages(w.all); err != nil {
				return fmt.Errorf("history: %w", err)
			}
			for i := range 3 {
				if err := w.wantNext(statusProceeding, 4+i); err != nil {
					return fmt.Errorf("live: %w", err)
				}
			}
			return nil
		})},
		{area: "stream", rule: "no gap and no double while checkpoints are posted as the stream opens", check: (*verifier).historyMeetsLive},
		{area: "stream", rule: "each frame is id, event and data, and its id is the checkpoint's", beyond: true, check: watching(2, nil, func(w watched) error {
			for _, want := range w.all {
				e, err := w.next()
				if err != nil {
					return err
				}
				if !slices.Equal(e.fields, []string{"id", "event", "data"}) || e.id != want.id {
					return fmt.Errorf("a frame has the fields %v and the id %q, the checkpoint has %q", e.fields, e.id, want.id)
				}
			}
			return nil
		})},
		{area: "stream", rule: "Last-Event-ID, as a header or in the query, resumes after that checkpoint", beyond: true, check: func(v *verifier) error {
			job, all, err := v.seed(4)
			if err != nil {
				return err
			}
			if err := v.streamBegins(job, "", all[2:], "Last-Event-ID", all[1].id); err != nil {
				return fmt.Errorf("header: %w", err)
			}
			if err := v.streamBegins(job, "?last_event_id="+url.QueryEscape(all[1].id), all[2:]); err != nil {
				return fmt.Errorf("query: %w", err)
			}
			return nil
		}},
		{area: "stream", rule: "an id that is not one of the job's replays from the start", beyond: true, check: func(v *verifier) error {
			job, all, err := v.seed(2)
			if err != nil {
				return err
			}
			_, others, err := v.seed(1)
			if err != nil {
				return err
			}
			for _, id := range []string{v.newJob(), others[0].id, "?"} {
				if err := v.streamBegins(job, "", all, "Last-Event-ID", id); err != nil {
					return fmt.Errorf("after %q: %w", id, err)
				}
			}
			return nil
		}},
		{area: "stream", rule: "a job that has ended gives its history, complete with its status, and the end", check: func(v *verifier) error {
			for status, want := range map[string]string{statusCompleted: "completed", statusError: "failed", statusExceededMaxSteps: "exceededMaxSteps"} {
				if _, _, err := v.endedStream(status, want); err != nil {
					return fmt.Errorf("%s: %w", status, err)
				}
			}
			return nil
		}},
		{area: "stream", rule: "a subscriber that watches gets complete when the job ends, and the end", check: watching(1, nil, func(w watched) error {
			if err := w.wantMessages(w.all); err != nil {
				return err
			}
			if err := w.wantNext(statusCompleted, 2); err != nil {
				return err
			}
			_, err := w.wantComplete(w.job, "completed")
			return err
		})},
		{area: "stream", rule: "whoever comes back with the id of complete gets 204", beyond: true, check: func(v *verifier) error {
			job, id, err := v.endedStream(statusCompleted, "completed")
			if err != nil {
				return err
			}
			r, err := v.do(http.MethodGet, collectionPath(job)+"stream", nil, "Accept", "text/event-stream", "Last-Event-ID", id)
			if err == nil && (r.status != http.StatusNoContent || len(r.body) > 0) {
				err = fmt.Errorf("status %d and %d bytes", r.status, len(r.body))
			}
			return err
		}},
		{area: "stream", rule: "of a job that was continued after complete, it gets what came after", beyond: true, check: func(v *verifier) error {
			job, id, err := v.endedStream(statusCompleted, "completed")
			if err != nil {
				return err
			}
			more, err := v.post(job, checkBody(statusProceeding, 3))
			if err != nil {
				return err
			}
			return v.streamBegins(job, "", []stored{more}, "Last-Event-ID", id)
		}},
		{area: "stream", rule: "a replay runs through an end that was continued, without complete", beyond: true,
			check: watching(4, []string{statusInit, statusCompleted, statusInit, statusProceeding}, func(w watched) error { return w.wantMessages(w.all) })},
		{area: "stream", rule: "an interactive stop does not end the job", beyond: true,
			check: watching(2, []string{statusProceeding, statusInteractive}, func(w watched) error {
				if err := w.wantMessages(w.all); err != nil {
					return err
				}
				return w.wantNext(statusProceeding, 3)
			})},
		{area: "stream", rule: "the stream of an unknown job is 404", check: func(v *verifier) error {
			return v.refuses(http.MethodGet, collectionPath(v.newJob())+"stream", nil, isError(404, "Not Found", ""), "Accept", "text/event-stream")
		}},
	}
}

// watched is the open stream of a job that has the checkpoints all.
type watched struct {
	*eventReader
	v   *verifier
	job string
	all []stored
}

// watching is a check of the stream of a new job with n checkpoints of those
// statuses.
func watching(n int, statuses []string, check func(watched) error) func(*verifier) error {
	return func(v *verifier) error {
		job, all, err := v.seed(n, statuses...)
		if err != nil {
			return err
		}
		s, err := v.watch(v.key, job, "")
		if err != nil {
			return err
		}
		defer s.close()
		return check(watched{s, v, job, all})
	}
}

// wantNext posts a checkpoint, which must be the next event.
func (w watched) wantNext(status string, step int) error {
	live, err := w.v.post(w.job, checkBody(status, step))
	if err != nil {
		return err
	}
	return w.wantMessages([]stored{live})
}

// streamBegins opens a job's stream, whose first events must be those
// checkpoints.
func (v *verifier) streamBegins(job, query string, want []stored, header ...string) error {
	s, err := v.watch(v.key, job, query, header...)
	if err != nil {
		return err
	}
	defer s.close()
	return s.wantMessages(want)
}

// historyMeetsLive opens streams while a job is written.
func (v *verifier) historyMeetsLive() error {
	const checkpoints, streams = 60, 12
	job, all, err := v.seed(1)
	if err != nil {
		return err
	}
	posted := make(chan error, 1)
	var rest []stored
	go func() {
		for i := 1; i < checkpoints; i++ {
			s, err := v.post(job, checkBody(statusProceeding, i+1))
			if err != nil {
				posted <- err
				return
			}
			rest = append(rest, s)
		}
		posted <- nil
	}()
	var opened []*eventReader
	for range streams {
		s, openErr := v.watch(v.key, job, "")
		if err = openErr; err != nil {
			break
		}
		defer s.close()
		opened = append(opened, s)
		// The streams begin at different places of the job.
		if err = pause(v.ctx, 2*time.Millisecond); err != nil {
			break
		}
	}
	if err := errors.Join(err, <-posted); err != nil {
		return err
	}
	for _, s := range opened {
		if err := s.wantMessages(append(all[:1:1], rest...)); err != nil {
			return err
		}
	}
	return nil
}

// endedStream makes a job that has ended with status, reads its whole stream,
// and returns the job and the id of its complete.
func (v *verifier) endedStream(status, want string) (job, id string, err error) {
	err = watching(2, []string{statusProceeding, status}, func(w watched) (err error) {
		if err := w.wantMessages(w.all); err != nil {
			return err
		}
		job = w.job
		id, err = w.wantComplete(job, want)
		return err
	})(v)
	return job, id, err
}

// wantMessages reads the next events, which must be those checkpoints.
func (s *eventReader) wantMessages(want []stored) error {
	for _, w := range want {
		e, err := s.next()
		if err != nil {
			return fmt.Errorf("in place of sequence %d: %w", w.sequence, err)
		}
		if e.name != "message" {
			return fmt.Errorf("in place of sequence %d: the event %s with %s", w.sequence, e.name, excerpt([]byte(e.data)))
		}
		got, err := storedOf(json.RawMessage(e.data))
		if err != nil {
			return err
		}
		if got.id != w.id || !sameJSON(got.raw, w.raw) {
			return fmt.Errorf("in place of sequence %d (%s): sequence %d (%s)", w.sequence, w.id, got.sequence, got.id)
		}
	}
	return nil
}

// wantComplete reads the event complete and the end of the stream, and returns
// the event's id.
func (s *eventReader) wantComplete(job, status string) (string, error) {
	e, err := s.next()
	if err != nil {
		return "", fmt.Errorf("in place of complete: %w", err)
	}
	if e.name != "complete" {
		return "", fmt.Errorf("in place of complete: the event %s", e.name)
	}
	if err := hasMembers(json.RawMessage(e.data), map[string]string{"status": `"` + status + `"`, "expertJobId": `"` + job + `"`}); err != nil {
		return "", fmt.Errorf("complete: %w", err)
	}
	return e.id, s.wantEnd()
}
