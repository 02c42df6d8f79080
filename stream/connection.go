package stream

import (
	"net"
	"time"
)

const (
	// batchBytes bounds what is sent in one write beside a single large frame.
	batchBytes = 32 << 10
	// heldBack is the end of a large frame that is sent apart once there is room
	// for it, so that no cut ever falls between its last two newlines: the
	// reference client would lose it (semantics.md, "Streaming").
	heldBack = 4 << 10
	// largeBytes is what one segment of the kernel's surely takes whole when
	// nothing else is waiting; a larger frame is sent with its end held back.
	largeBytes = 60 << 10
	// lingerTime is how long the peer's close is waited for after the body ended.
	lingerTime = 2000 // milliseconds
)

// maxReceived is what a peer may send on a stream, where it has nothing to say,
// in bytes.
const maxReceived = 64 << 10

// connection is the socket of a subscriber. An event loop has the descriptor
// alone, since Go's own object of a connection takes more memory than all the
// rest of a subscriber; the portable engine has the object.
type connection struct {
	*object // portable engine only

	fd   int32 // event loops only, as all that follows
	slot int32
	// unproven counts the bytes sent since the socket was last known to have
	// room.
	unproven int32
	// unacked is what the peer had not taken when drains last looked.
	unacked int32
	// received counts what the peer sent, which is thrown away.
	received int32
	// congested says that the socket takes no more for now; the loop is told
	// when it does.
	congested bool
	// closing says that the body has ended and the peer's close is waited for,
	// until the time in progress at most.
	closing bool
	// tight says that it was congested and has not been idle at the tail since:
	// what is sent may not be taken whole.
	tight, idle bool
	queued      bool // it has a turn coming
	gone        bool // closed
}

// object is what the portable engine has of a connection.
type object struct {
	conn net.Conn
	wake chan struct{}
	mail *mailbox
}

// deafAfter is how long a peer that is written to may acknowledge nothing. It is
// more than a heartbeat, which may have been sent this moment after a heartbeat
// of silence, and less than two by what it takes to look.
func (h *Hub) deafAfter() time.Duration { return max(h.opts.Heartbeat*3/2, time.Second) }

// userTimeout is how long sent data may stay unacknowledged before the kernel
// gives a connection up. The event loops notice a dead peer within two
// heartbeats by themselves; this is for what they do not see, and it must not
// end a stalled one early, which the kernel treats alike.
func (h *Hub) userTimeout() time.Duration {
	return max(2*h.opts.Heartbeat, h.opts.StallTimeout+5*time.Second)
}
