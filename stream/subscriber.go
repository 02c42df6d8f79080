package stream

import (
	"math/rand/v2"
	"net"
	"time"
)

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
	wants   bool   // Source was told, or is to be told, that the job is wanted
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

// waits reports whether a block of history is on its way.
func (s *Subscriber) waits() bool {
	for i := range s.legs {
		if s.legs[i].loading {
			return true
		}
	}
	return false
}
