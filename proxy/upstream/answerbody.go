package upstream

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// pieces is memory for moving bodies.
var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// pieceSize is how much of a body is moved at once, in bytes.
const pieceSize = 32 << 10

// answerBody is the body of an answer as it comes. The server reads it while it
// writes the response, and closes it.
type answerBody struct {
	exchange *exchange
	head     *fasthttp.ResponseHeader // of the response, gets the trailers
	chunks   *fasthttp.Response       // takes chunks apart, if the body comes in them
	left     int                      // of a body of known length, in bytes; else -1
	closes   bool                     // the connection is not used again
	ended    bool
}

func newAnswerBody(x *exchange, h *fasthttp.ResponseHeader, length int, closes bool) *answerBody {
	b := &answerBody{exchange: x, head: h, left: max(length, -1), closes: closes || length == -2}
	if length == -1 {
		b.chunks = fasthttp.AcquireResponse()
		b.chunks.StreamBody = true
		b.chunks.Header.SetContentLength(-1)
		// With StreamBody nothing is read yet, and nothing can fail.
		_ = b.chunks.ReadBody(x.conn.br, 0)
	}
	return b
}

// await sets the deadline for what comes next.
func (b *answerBody) await() error {
	x := b.exchange
	return x.conn.readUntil(x.deadline(time.Since(epoch)), x.slack())
}

// Read implements io.Reader. A body that breaks off is an error, never an end.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.ended || b.left == 0 {
		b.ended = true
		return 0, io.EOF
	}
	if err := b.await(); err != nil {
		return 0, err
	}
	x := b.exchange
	var (
		n   int
		err error
	)
	switch {
	case b.chunks != nil:
		n, err = b.chunks.BodyStream().Read(p)
	case b.left < 0:
		n, err = x.conn.br.Read(p)
	default:
		n, err = x.conn.br.Read(p[:min(len(p), b.left)])
		b.left -= n
		err = whole(err)
	}
	x.moved += int64(n)
	if err == io.EOF {
		b.ended = true
		b.takeTrailers()
	}
	return n, err
}

// takeTrailers gives the response the trailers that came behind the chunks.
func (b *answerBody) takeTrailers() {
	if b.chunks == nil {
		return
	}
	from := &b.chunks.Header
	for key := range from.Trailers() {
		if err := b.head.AddTrailerBytes(key); err != nil {
			continue // one that must not be a trailer
		}
		for _, value := range from.PeekAll(string(key)) {
			b.head.AddBytesKV(key, value)
		}
	}
}

// SupportsBodyWriteTo implements fasthttp.BodyWriterTo.
func (b *answerBody) SupportsBodyWriteTo() bool { return true }

// WriteTo implements io.WriterTo in pieces that are larger than the server's.
func (b *answerBody) WriteTo(w io.Writer) (written int64, err error) {
	piece := pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	for {
		n, err := b.Read(piece[:])
		if n > 0 {
			m, err := w.Write(piece[:n])
			written += int64(m)
			if err != nil {
				return written, err
			}
		}
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

// hold reads all of the body into the response, for a caller who can only take
// one whose length is known.
func (b *answerBody) hold(resp *fasthttp.Response) error {
	limit := b.exchange.client.o.MaxAnswer
	body, err := io.ReadAll(io.LimitReader(b, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = &failure{kind: ErrTooLarge, cause: fmt.Errorf("more than %d bytes", limit)}
	}
	if err != nil {
		b.releaseChunks()
		return whole(err)
	}
	resp.SetBodyRaw(body)
	return b.Close()
}

// Close implements io.Closer. It gives the connection back if all of the body
// was read.
func (b *answerBody) Close() error {
	b.releaseChunks()
	if x := b.exchange; x.conn != nil {
		x.leave(b.closes || !b.ended && b.left != 0)
	}
	return nil
}

func (b *answerBody) releaseChunks() {
	if b.chunks != nil {
		fasthttp.ReleaseResponse(b.chunks)
		b.chunks = nil
	}
}
