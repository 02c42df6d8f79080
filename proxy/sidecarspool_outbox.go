package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"milepost/cache/store"
	"milepost/internal/checkpoint"
	"milepost/proxy/upstream"
	"milepost/stream"
)

// Next implements upstream.Outbox.
func (p *spool) Next(job string) (l store.Letter, r upstream.Request, ok bool, err error) {
	for {
		if l, ok = p.letters.Next(job); !ok {
			return l, r, false, nil
		}
		body, err := p.letters.ReadBody(l)
		if errors.Is(err, store.ErrNotFound) && p.gone(l) {
			continue // dropped meanwhile
		}
		if err == nil && l.Delegator != "" {
			body, err = p.addressed(job, body)
		}
		h := http.Header{
			"Authorization": {p.authorization}, "Idempotency-Key": {l.Key},
			"Accept": {"application/json"}, "Accept-Encoding": {"identity"},
		}
		if l.ContentType != "" {
			h.Set("Content-Type", l.ContentType)
		}
		return l, upstream.Request{Method: http.MethodPost, Target: l.Target, Header: h, Body: body}, true, err
	}
}

// gone reports whether a letter is not the next of its job any more.
func (p *spool) gone(l store.Letter) bool {
	next, ok := p.letters.Next(l.Job)
	return !ok || next.ID != l.ID
}

// Taken implements upstream.Outbox.
func (p *spool) Taken(job string, l store.Letter, a *upstream.Answer) error {
	at, err := checkpoint.LocateOne(a.Body)
	if err != nil {
		return fmt.Errorf("the upstream's answer is not of the API: %w", err)
	}
	line := checkpoint.OneLine(a.Body[at.Start:at.End])
	located, err := checkpoint.Locate(line)
	if err != nil {
		return fmt.Errorf("the upstream's answer is not of the API: %w", err)
	}
	done, err := p.letters.Deliver(l, store.Copy{JSON: line, Located: located, At: time.Now()})
	if err != nil {
		return err
	}
	p.metrics.Spool.Delivered.Inc()
	if done.Strange {
		p.strange.add(job)
	}
	if done.Place > 0 && !done.Moved {
		p.hub.Replace("", job, stream.Checkpoint{ID: located.ID, Sequence: done.Place, JSON: line})
	}
	p.settled(job, done)
	return nil
}

// Refused implements upstream.Outbox.
func (p *spool) Refused(job string, l store.Letter, a *upstream.Answer) error {
	done, err := p.letters.Refuse(l, a.Status, a.Body, time.Now())
	if err != nil {
		return err
	}
	p.metrics.Spool.Refused.Inc()
	p.news.refused.Do(func() {
		p.log.Error("the upstream refuses a spooled checkpoint for good; it is kept, see milepost spool ls",
			"job", job, "id", l.ID, "status", a.Status, "dead", p.letters.Figures().Dead)
	})
	p.settled(job, done)
	return nil
}

// settled follows up on the end of a letter.
func (p *spool) settled(job string, done store.Settled) {
	if done.Moved {
		p.reset(job)
	}
	if !done.Drained {
		return
	}
	if p.strange.take(job) {
		// Its checkpoints stand in an order that is not the upstream's.
		deleted, err := p.letters.DeleteCopy(job)
		switch {
		case err != nil:
			p.log.Error("a copy that is not of the upstream's job could not be removed", "job", job, "error", err)
		case deleted:
			p.reset(job)
		default:
			p.strange.add(job) // something was spooled meanwhile: after that
		}
	}
	p.holds.release(job)
	if p.letters.Empty() {
		p.news.drained()
	}
}

// retry puts a checkpoint that the upstream has refused back to those that are to
// be delivered.
func (p *spool) retry(l store.Letter) error {
	if err := p.letters.Retry(l); err != nil {
		return err
	}
	p.deliveries.Wake(l.Job)
	return nil
}

// drop removes a checkpoint that the upstream does not have.
func (p *spool) drop(l store.Letter) error {
	done, err := p.letters.Drop(l)
	if err != nil {
		return err
	}
	p.settled(l.Job, done)
	return nil
}

// strangers are the jobs whose copies are to be made anew once nothing is pending.
type strangers struct {
	mu   sync.Mutex
	jobs map[string]struct{}
}

func (s *strangers) add(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs == nil {
		s.jobs = make(map[string]struct{})
	}
	s.jobs[job] = struct{}{}
}

func (s *strangers) take(job string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.jobs[job]
	delete(s.jobs, job)
	return ok
}

// addressed returns the body of a request with the upstream's id in
// checkpoint.delegatedBy, where that is an id of ours whose checkpoint has got one.
func (p *spool) addressed(job string, body []byte) ([]byte, error) {
	if !bytes.Contains(body, []byte(`"delegatedBy"`)) {
		return body, nil
	}
	at, id, ok := delegator(body)
	if !ok || !checkpoint.ValidID(id) {
		return body, nil
	}
	theirs, _, err := p.canonical(job, id)
	if err != nil || theirs == id {
		return body, err
	}
	out := append(make([]byte, 0, len(body)+2), body[:at.Start]...)
	out = append(append(append(out, '"'), theirs...), '"')
	return append(out, body[at.End:]...), nil
}

// delegator finds checkpoint.delegatedBy.checkpointId in a body, false if there is
// none or the body is not what it should be, which others say.
func delegator(body []byte) (at checkpoint.Span, id string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	for _, name := range []string{"checkpoint", "delegatedBy", "checkpointId"} {
		if !enter(d, name) {
			return at, "", false
		}
	}
	var raw json.RawMessage
	if d.Decode(&raw) != nil || json.Unmarshal(raw, &id) != nil {
		return at, "", false
	}
	end := int(d.InputOffset())
	return checkpoint.Span{Start: end - len(raw), End: end}, id, true
}

// enter reads into an object up to the value of a name.
func enter(d *json.Decoder, name string) bool {
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return false
		}
		if t == name {
			return true
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return false
		}
	}
	return false
}
