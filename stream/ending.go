package stream

import (
	"math/rand/v2"
	"strconv"

	"milepost/internal/checkpoint"
)

// What the error events say.
const (
	jobDeleted = "The job was deleted"
	keyRemoved = "The key was removed"
	unreadable = "The checkpoints cannot be read"
)

// end makes the stream end at the next frame's boundary.
func (s *Subscriber) end(why Reason, message string) { s.endOf(0, why, message) }

// endOf is end for a reason that lies in one of the jobs.
func (s *Subscriber) endOf(leg int, why Reason, message string) {
	if s.ending == 0 && s.then == 0 {
		s.ending, s.message, s.culprit = why, message, int32(leg)
	}
}

// ended reports why the stream is over now that everything was sent, empty if
// it is not.
func (s *Subscriber) ended() Reason {
	if s.special == nil {
		return s.then
	}
	return 0
}

// complete makes the end of a job the next piece. A stream of one job ends with
// it.
func (s *Subscriber) complete(l *leg, v *view) {
	l.done = true
	id := []byte(completePrefix + v.id)
	if s.composite {
		id = s.compositeID(nil)
	}
	text := append(append([]byte(idField), id...), "\nevent: complete\ndata: {\"status\":"...)
	text = checkpoint.AppendString(text, v.ended)
	text = append(text, `,"expertJobId":`...)
	text = checkpoint.AppendString(text, l.b.key.job)
	text = append(text, "}"+frameEnd...)
	s.special = chunk(nil, string(text), s.plain)
	if s.allDone() {
		s.finish(ReasonComplete)
	}
}

func (s *Subscriber) allDone() bool {
	for i := range s.legs {
		if !s.legs[i].done {
			return false
		}
	}
	return true
}

// finish ends the body after the special piece.
func (s *Subscriber) finish(why Reason) {
	if !s.plain {
		s.special = append(s.special, terminator...)
	}
	s.then = why
}

// farewell makes the error event that ends the stream the next piece, before it
// when the server goes away a hint to come back at different times.
func (s *Subscriber) farewell() {
	if (s.ending == ReasonDrain || s.ending == ReasonLifetime) && !s.retried {
		s.retried = true
		s.special = chunk(nil, "retry: "+strconv.FormatInt(1000+rand.Int64N(4000), 10)+frameEnd, s.plain)
		return
	}
	text := []byte("event: error\ndata: {\"type\":")
	text = checkpoint.AppendString(text, errorTypes[s.ending])
	text = append(text, `,"expertJobId":`...)
	text = checkpoint.AppendString(text, s.legs[s.culprit].b.key.job)
	if s.message != "" {
		text = append(text, `,"message":`...)
		text = checkpoint.AppendString(text, s.message)
	}
	text = append(text, "}"+frameEnd...)
	s.special = chunk(nil, string(text), s.plain)
	s.finish(s.ending)
	s.ending = 0
}

// stale catches up on what happened between Admit and Attach.
func (s *Subscriber) stale() {
	h := s.hub
	if kept := h.kept.Load(); kept != nil && !(*kept)(s.owner.key) {
		s.end(ReasonRevoked, keyRemoved)
	}
	for i := range s.legs {
		if s.legs[i].b.deleted.Load() {
			s.endOf(i, ReasonStorage, jobDeleted)
		}
		if e := s.legs[i].b.over.Load(); e != nil {
			s.endOf(i, e.why, e.message)
		}
	}
	if at := h.drained.Load(); at != 0 {
		s.expires, s.expiry = at, ReasonDrain
	}
}

// expire starts the end of a stream whose time has come.
func (s *Subscriber) expire(now int64) {
	if s.expires == 0 || now < s.expires {
		return
	}
	s.expires = 0
	message := "The server is shutting down; resume with Last-Event-ID"
	if s.expiry == ReasonLifetime {
		message = "The connection reached stream.max_lifetime; resume with Last-Event-ID"
	}
	s.end(s.expiry, message)
}
