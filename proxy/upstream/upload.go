package upstream

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"
)

// maxShortBody is the longest body of a request, in bytes, that is read before
// it is sent on.
const maxShortBody = 16 << 10

// lastWords is how long the upstream has to say why it does not take the rest
// of a request.
const lastWords = time.Second

// bodyOf returns the body of a request as it comes.
func bodyOf(ctx *fasthttp.RequestCtx) io.Reader {
	if s := ctx.RequestBodyStream(); s != nil {
		return s
	}
	return bytes.NewReader(ctx.Request.Body())
}

// bodyError is the answer to a body that broke off.
func bodyError(err error) error {
	if timedOut(err) {
		return errBodyLate
	}
	return errBodyBroken
}

// addBody reads a short body and puts it behind the head. by is since epoch.
func (r *request) addBody(ctx *fasthttp.RequestCtx, by time.Duration) error {
	body := bodyOf(ctx)
	start := len(r.head)
	r.head = append(r.head, make([]byte, r.length)...)
	// The beginning, which is mostly all, was read with the head and needs no
	// deadline.
	n, err := body.Read(r.head[start:])
	if n < r.length && err == nil {
		if err = ctx.SetReadDeadline(epoch.Add(by)); err == nil {
			_, err = io.ReadFull(body, r.head[start+n:])
		}
	} else if n == r.length {
		err = nil
	}
	if err != nil {
		return bodyError(err)
	}
	return nil
}

// upload sends the body of a request whose head has been sent, and reads the
// head of the answer meanwhile: an upstream that does not want the body says so
// before it has all.
func (x *exchange) upload(ctx *fasthttp.RequestCtx, r *request) error {
	// The answer may take as long as the body; how long that is, the body's own
	// deadlines say.
	x.conn.readBy = 0
	if err := x.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	head := make(chan error, 1)
	go func() {
		err := readHead(x.conn.br, &ctx.Response.Header)
		if err == nil {
			// A write that waits for the upstream now is not to do so for long.
			x.answered.Store(true)
			_ = x.hasten() // the write fails by itself
		}
		head <- err
	}()
	// The deadline for writing may be that of hasten, which nobody has noted.
	defer func() { x.conn.writeBy = 0 }()

	early, err := x.sendBody(ctx, r, head)
	if early {
		return err
	}
	switch {
	case err == nil:
		err = x.awaitHead(time.Since(epoch))
	case errors.As(err, new(*refusal)):
		// The caller's body broke off: what the upstream has got must not look
		// like all of it.
		_ = x.conn.Close()
		<-head
		return err
	default:
		x.unsent = true
		if x.conn.readUntil(time.Since(epoch)+lastWords, 0) != nil {
			_ = x.conn.Close()
		}
		if <-head == nil {
			return nil
		}
		return err
	}
	if err != nil {
		_ = x.conn.Close()
		<-head
		return err
	}
	return <-head
}

// sendBody sends the body. early says that an answer came before the end, which
// has been taken from head: err is how it was, and exchange.unsent says whether
// the body was left at that.
func (x *exchange) sendBody(ctx *fasthttp.RequestCtx, r *request, head <-chan error) (early bool, err error) {
	body, piece := bodyOf(ctx), pieces.Get().(*[pieceSize]byte)
	defer pieces.Put(piece)
	var allowed time.Duration // until when the caller may take, since epoch
	for left := r.length; left != 0; {
		if by := x.deadline(0); by > allowed {
			allowed = by + x.slack()
			if err := ctx.SetReadDeadline(epoch.Add(allowed)); err != nil {
				return early, errBodyBroken
			}
		}
		// Room before and behind for the frame of a chunk.
		const before, behind = 10, 2
		n, err := body.Read(piece[before : pieceSize-behind])
		x.moved += int64(n)
		select {
		case answered := <-head:
			early = true
			if h := &ctx.Response.Header; answered != nil || h.StatusCode() >= 400 || h.ConnectionClose() {
				x.unsent = true
				return true, answered
			}
		default:
		}
		if n > 0 {
			frame := piece[before : before+n]
			if left < 0 {
				frame = chunk(piece[:], before, n)
			} else {
				left -= n
			}
			if err := x.write(frame); early && err != nil {
				x.unsent = true // it has said what it had to say
				return true, nil
			} else if err != nil {
				return false, err
			}
		}
		if err == io.EOF && left <= 0 {
			break
		}
		if err != nil {
			return early, bodyError(err)
		}
	}
	if r.length < 0 {
		// The trailers have been read with the last chunk.
		return early, x.write(append([]byte("0\r\n"), ctx.Request.Header.TrailerHeader()...))
	}
	return early, nil
}

// chunk writes the frame of a chunk around n bytes that stand at an offset.
func chunk(piece []byte, at, n int) []byte {
	size := strconv.AppendInt(make([]byte, 0, 8), int64(n), 16)
	size = append(size, "\r\n"...)
	start := at - len(size)
	copy(piece[start:], size)
	copy(piece[at+n:], "\r\n")
	return piece[start : at+n+2]
}

func (x *exchange) write(b []byte) error {
	if err := x.conn.writeUntil(x.deadline(0), x.slack()); err != nil {
		return err
	}
	if x.answered.Load() { // looked at when the longer deadline is in force
		if err := x.hasten(); err != nil {
			return err
		}
	}
	_, err := x.conn.Write(b)
	return err
}

// hasten bounds a write to an upstream that has answered. It may well go on to
// read, so it gets the time in which others must answer.
func (x *exchange) hasten() error {
	return x.conn.SetWriteDeadline(time.Now().Add(x.client.o.HeaderTimeout))
}
