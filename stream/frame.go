package stream

import "strconv"

// A stream's body is sent in chunks (RFC 9112, section 7.1), one a frame, so
// that its end can be told from a broken connection. The chunk is part of the
// frame: it is the same for all subscribers. HTTP/1.0 has no chunks; its
// subscribers get the same bytes without what is around them.

// frame is one checkpoint as it is sent, shared by all who read it. It never
// changes.
type frame struct {
	sequence uint64
	id       string
	ended    string
	// wire is the chunk: its size, the frame, CRLF.
	wire []byte
	// body is where the frame begins in wire, event where its second line does.
	body, event int
	// at is when readers could first see it, in nanoseconds since the hub's
	// start; 0 if it was read from history.
	at int64
}

const (
	idField    = "id: "
	messageTo  = "\nevent: message\ndata: "
	frameEnd   = "\n\n"
	chunkEnd   = "\r\n"
	terminator = "0\r\n\r\n"
)

// newFrame makes the frame of a checkpoint (semantics.md, "Streaming"): LF
// only, nothing after the data line but the empty line.
func newFrame(c *Checkpoint, at int64) *frame {
	n := len(idField) + len(c.ID) + len(messageTo) + len(c.JSON) + len(frameEnd)
	w := make([]byte, 0, n+16)
	w = strconv.AppendInt(w, int64(n), 16)
	w = append(w, chunkEnd...)
	body := len(w)
	w = append(append(w, idField...), c.ID...)
	event := len(w) + 1
	w = append(append(w, messageTo...), c.JSON...)
	w = append(w, frameEnd+chunkEnd...)
	return &frame{sequence: c.Sequence, id: c.ID, ended: c.Ended, wire: w, body: body, event: event, at: at}
}

// cost is the memory of a frame in bytes.
func (f *frame) cost() int64 { return int64(len(f.wire)) + 160 }

// bytes returns the frame as it is sent.
func (f *frame) bytes(plain bool) []byte {
	if plain {
		return f.wire[f.body : len(f.wire)-len(chunkEnd)]
	}
	return f.wire
}

// rest returns the frame from its second line on, to follow an id of another
// kind.
func (f *frame) rest(plain bool) []byte {
	if plain {
		return f.wire[f.event : len(f.wire)-len(chunkEnd)]
	}
	return f.wire[f.event:]
}

// composed returns what comes before rest for a stream with ids of its own.
func (f *frame) composed(dst []byte, id []byte, plain bool) []byte {
	if !plain {
		n := len(idField) + len(id) + 1 + len(f.wire) - f.event - len(chunkEnd)
		dst = strconv.AppendInt(dst, int64(n), 16)
		dst = append(dst, chunkEnd...)
	}
	dst = append(append(dst, idField...), id...)
	return append(dst, '\n')
}

// chunk appends text as a chunk of its own.
func chunk(dst []byte, text string, plain bool) []byte {
	if plain {
		return append(dst, text...)
	}
	dst = strconv.AppendInt(dst, int64(len(text)), 16)
	dst = append(append(dst, chunkEnd...), text...)
	return append(dst, chunkEnd...)
}

// heartbeat is a comment, which clients ignore.
const heartbeat = ":\n\n"

var (
	heartbeatChunk = chunk(nil, heartbeat, false)
	heartbeatPlain = []byte(heartbeat)
)
