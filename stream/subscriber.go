package stream

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"milepost/internal/checkpoint"
)

// Reason says why a stream ended; its text is a label of the metric
// stream_closed_total.
type Reason uint8

// The reasons. The zero Reason is none.
const (
	ReasonClient   Reason = iota + 1 // the peer closed or vanished
	ReasonComplete                   // the job ended
	ReasonStalled                    // no byte was taken for the stall timeout
	ReasonRevoked                    // the key was removed
	ReasonDrain                      // the program ends
	ReasonLifetime                   // the connection reached its lifetime
	ReasonUpstream                   // the upstream could not be reached
	ReasonStorage                    // history could not be read
)

var reasonNames = [...]string{
	ReasonClient: "client", ReasonComplete: "complete", ReasonStalled: "stalled", ReasonRevoked: "revoked",
	ReasonDrain: "drain", ReasonLifetime: "lifetime", ReasonUpstream: "upstream", ReasonStorage: "storage",
}

// String returns the label.
func (r Reason) String() string { return reasonNames[r] }

// errorTypes are the types of the error event (semantics.md, "Streaming").
var errorTypes = map[Reason]string{
	ReasonRevoked: "revoked", ReasonDrain: "shutting_down", ReasonLifetime: "shutting_down",
	ReasonUpstream: "upstream_unavailable", ReasonStorage: "storage",
}

// Errors of reading history.
var (
	// errHole says that history lacks a checkpoint that the tail includes.
	errHole    = errors.New("history has a hole")
	errDeleted = errors.New("the job was deleted")
)

// Position is where a subscriber begins in a job.
type Position struct {
	Organization, Job string
	// After is the sequence of the last checkpoint that the subscriber has, 0 for
	// none.
	After uint64
	// Sure says that After and Completed are known to be right even where the
	// local copy does not reach them yet.
	Sure bool
	// Completed says that it also has the job's end, if the job still ends there.
	Completed bool
}

// Subscription is what Admit needs to know.
type Subscription struct {
	Owner Owner
	// Jobs are one job, or several with Composite.
	Jobs []Position
	// Composite interleaves several jobs, with ids that hold the position in each
	// (see ParseComposite).
	Composite bool
	// Head is the head of the HTTP response, up to the empty line.
	Head []byte
	// Plain sends the body without chunks, for HTTP/1.0.
	Plain bool
	// OnClose, if set, is called once when an attached connection is gone.
	OnClose func()
	// OnLeave, if set, is called once when the subscriber has left, attached or
	// canceled.
	OnLeave func()
}

// Subscriber is one admitted connection. Its fields belong to its engine.
type Subscriber struct {
	hub     *Hub
	owner   *ownership
	engine  engine
	onClose func()
	onLeave func()

	legs []leg
	one  [1]leg // the memory of legs in the usual case

	// special is a piece of its own under way: head, heartbeat, complete or
	// error.
	special []byte
	// head is what comes before the frame under way of a composite stream.
	head []byte
	// message is what the error event says.
	message string
	// off is how much of the piece under way was sent.
	off int

	// Times are in milliseconds since the hub's start. progress is when a byte
	// was last taken; expires is when the stream is to end for the reason expiry,
	// 0 for never.
	progress, expires int64
	expiry            Reason

	// then is why the stream ends after the special piece, ending why it is to
	// end at the next frame's boundary; 0 if it goes on. urgent ends it at once if
	// that boundary is not now.
	then, ending Reason
	urgent       bool

	composite, plain bool
	left             bool // of the hub
	lagging          bool // counted in Hub.behind
	retried          bool // the retry field was sent

	// turn is the leg whose frame is under way if off > 0, else where the look
	// for the next begins.
	turn int32
	// culprit is the leg that the error event names.
	culprit int32

	io connection
}

// leg is the position in one job.
type leg struct {
	b       *broadcaster
	next    uint64 // sequence of the next frame
	done    bool   // the subscriber has the job's end, after next-1
	sure    bool   // of next and done
	loading bool   // a block of history is on its way
	slot    int    // in the event loop's list of the job
}

// place holds the position that a client claims against the job's log.
func (l *leg) place() error {
	if l.sure {
		return nil
	}
	v := l.b.view.Load()
	if l.next > v.tail+1 {
		// A reader of the local copy can be ahead of what was published.
		tail, err := l.b.hub.opts.History.Tail(l.b.key.organization, l.b.key.job)
		if err != nil {
			return err
		}
		if l.next > tail.Sequence+1 {
			l.next = 1
		}
	}
	// A job that was continued has more to come.
	l.done = l.done && l.next == v.tail+1 && v.ended != ""
	return nil
}

// Attach gives the connection to an engine, which closes it in the end.
func (s *Subscriber) Attach(c net.Conn) error {
	s.progress = s.hub.now()
	if life := s.hub.opts.MaxLifetime; life > 0 {
		// Between 80 and 100 %, so that those who came together do not all come
		// back together.
		s.expires = s.progress + int64(life/time.Millisecond)*(800+rand.Int64N(201))/1000
		s.expiry = ReasonLifetime
	}
	if len(s.hub.engines) > 1 && s.io.take(c, s.hub.opts.SendBuffer, s.hub.userTimeout()) {
		s.engine = s.hub.pick(s)
	} else {
		s.io.object = &object{conn: c}
		s.io.settle(s.hub.opts.SendBuffer, s.hub.userTimeout())
		s.engine = s.hub.engines[len(s.hub.engines)-1]
	}
	if err := s.engine.attach(s); err != nil {
		s.io.discard()
		s.leave(ReasonClient)
		s.closed()
		return err
	}
	return nil
}

// Cancel undoes Admit for a connection that did not come about.
func (s *Subscriber) Cancel() {
	s.leave(0)
}

// leave gives the subscriber's place in the hub up; the connection may still be
// closing.
func (s *Subscriber) leave(why Reason) {
	if s.left {
		return
	}
	s.left = true
	s.setLagging(false)
	s.hub.leave(s)
	if why != 0 {
		s.hub.metrics.Closed(why.String())
	}
	if f := s.onLeave; f != nil {
		f()
	}
}

// closed says that the connection is gone.
func (s *Subscriber) closed() {
	if f := s.onClose; f != nil {
		s.onClose = nil
		f()
	}
}

func (s *Subscriber) setLagging(is bool) {
	if s.lagging == is {
		return
	}
	s.lagging = is
	n := int64(1)
	if !is {
		n = -1
	}
	s.hub.metrics.Behind.Set(float64(s.hub.behind.Add(n)))
}

// end makes the stream end at the next frame's boundary.
func (s *Subscriber) end(why Reason, message string) { s.endOf(0, why, message) }

// endOf is end for a reason that lies in one of the jobs.
func (s *Subscriber) endOf(leg int, why Reason, message string) {
	if s.ending == 0 && s.then == 0 {
		s.ending, s.message, s.culprit = why, message, int32(leg)
	}
}

// opening is the first piece: the head and a comment, so that a client knows
// that it is connected before there is any checkpoint.
func (s *Subscriber) opening(head []byte) []byte {
	return chunk(append(make([]byte, 0, len(head)+16), head...), heartbeat, s.plain)
}

// beat makes a comment the next piece of a quiet stream.
func (s *Subscriber) beat() {
	s.special = heartbeatChunk
	if s.plain {
		s.special = heartbeatPlain
	}
}

// parcel is what is sent in one write: one piece of its own, or frames from the
// subscriber's position on, the first perhaps begun.
type parcel struct {
	bufs   [][]byte
	frames []*frame
	bytes  int
}

func (p *parcel) reset() {
	clear(p.bufs)
	clear(p.frames)
	p.bufs, p.frames, p.bytes = p.bufs[:0], p.frames[:0], 0
}

func (p *parcel) add(b []byte) {
	p.bufs = append(p.bufs, b)
	p.bytes += len(b)
}

// maxBufs bounds the frames of one write.
const maxBufs = 64

// fill puts the next write into p, of about limit bytes unless one frame has
// more, and reports whether there is any. hint is a block that was just read
// for the subscriber. What is neither shared nor at hand is asked of history.
func (s *Subscriber) fill(p *parcel, hint *block, limit int) bool {
	p.reset()
	if s.special == nil && s.off == 0 && s.ending != 0 {
		s.farewell()
	}
	if s.special != nil {
		p.add(s.special[s.off:])
		return true
	}
	if s.composite {
		return s.fillComposite(p, hint)
	}
	l := &s.legs[0]
	v := l.b.view.Load()
	if l.next > v.tail {
		if v.ended == "" || l.next > v.tail+1 {
			return false
		}
		s.complete(l, v)
		p.add(s.special)
		return true
	}
	frames := s.frames(0, v, hint)
	for i, f := range frames {
		w := f.bytes(s.plain)
		if i == 0 {
			if s.off >= len(w) {
				return false // another one, read of a job that began anew
			}
			w = w[s.off:]
		} else if p.bytes+len(w) > limit || i == maxBufs {
			break
		}
		p.frames = append(p.frames, f)
		p.add(w)
	}
	return len(frames) > 0
}

// frames returns the frames of a leg from its position on, which is not beyond
// the tail; none if they have to be read first.
func (s *Subscriber) frames(i int, v *view, hint *block) []*frame {
	l := &s.legs[i]
	if frames := v.recent(l.next); frames != nil {
		return frames
	}
	if hint != nil && hint.b == l.b {
		if frames := hint.from(l.next); frames != nil {
			return frames
		}
	}
	if l.loading {
		return nil
	}
	return s.hub.history.find(l.b, l.next, waiter{s, i})
}

// advance takes n bytes of p as sent. It returns how many frames that
// completed.
func (s *Subscriber) advance(p *parcel, n int) int {
	if s.special != nil {
		if s.off += n; s.off == len(s.special) {
			s.special, s.off = nil, 0
		}
		return 0
	}
	if s.composite {
		return s.advanceComposite(p, n)
	}
	done := 0
	for i := range p.frames {
		if n < len(p.bufs[i]) {
			s.off += n
			break
		}
		n -= len(p.bufs[i])
		s.legs[0].next++
		s.off = 0
		done++
	}
	return done
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

// amid reports whether a frame of the leg was begun and not yet sent whole.
func (s *Subscriber) amid(leg int) bool { return s.off > 0 && s.special == nil && int(s.turn) == leg }

// waits reports whether a block of history is on its way.
func (s *Subscriber) waits() bool {
	for i := range s.legs {
		if s.legs[i].loading {
			return true
		}
	}
	return false
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
