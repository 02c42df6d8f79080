package proxy

import (
	"bytes"
	"errors"
	"io"

	"milepost/cache"
	"milepost/cache/store"
)

const (
	// pagePiece is how much of a page is gathered to be sent at once, in bytes: with
	// less, the calls of the kernel cost more than the page. The last checkpoint in it
	// may go beyond.
	pagePiece = 64 << 10

	pageStart = `{"data":{"checkpoints":[`
)

// pageReader yields a page's bytes. A failure ends the response before its
// length or its last chunk, so that no client takes what there is for the whole.
type pageReader struct {
	page    *page
	end     []byte // what follows the checkpoints
	release func()
	coder   *coder        // nil: not compressed
	w       io.Writer     // coder, or out itself
	out     *bytes.Buffer // what comes next

	next int // entry to come; len(entries) is the end, beyond it nothing
	json []byte
}

// reader returns the page's bytes in a coding. room is the most that is sent at
// once if there is none, and release is called by Close.
func (p *page) reader(coding cache.Coding, room int, end []byte, release func()) (*pageReader, error) {
	if coding == cache.Identity {
		out := bytes.NewBuffer(make([]byte, 0, room))
		return &pageReader{page: p, end: end, release: release, w: out, out: out}, nil
	}
	c, err := takeCoder(coding)
	if err != nil {
		return nil, err
	}
	return &pageReader{page: p, end: end, release: release, coder: c, w: c, out: &c.out}, nil
}

// all returns the whole page and closes it.
func (r *pageReader) all() ([]byte, error) {
	defer r.Close()
	for !r.ended() {
		if err := r.piece(); err != nil {
			return nil, err
		}
	}
	if r.coder == nil {
		return r.out.Bytes(), nil
	}
	return bytes.Clone(r.out.Bytes()), nil // the coder is used again
}

// ended reports whether out has the last of the page.
func (r *pageReader) ended() bool { return r.next > len(r.page.entries) }

// WriteTo implements io.WriterTo, by which fasthttp sends each piece at once.
func (r *pageReader) WriteTo(w io.Writer) (n int64, err error) {
	for {
		m, err := r.out.WriteTo(w)
		if n += m; err != nil || r.ended() {
			return n, err
		}
		if err := r.fill(); err != nil {
			return n, err
		}
	}
}

// SupportsBodyWriteTo implements fasthttp.BodyWriterTo.
func (*pageReader) SupportsBodyWriteTo() bool { return true }

// Read implements io.Reader, which a body stream must be.
func (r *pageReader) Read(b []byte) (int, error) {
	if r.out.Len() == 0 {
		if r.ended() {
			return 0, io.EOF
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	return r.out.Read(b)
}

// fill gathers what is sent next.
func (r *pageReader) fill() error {
	for r.out.Len() < pagePiece && !r.ended() {
		if err := r.guarded(); err != nil {
			r.page.server.log.Error("list broken off", "job", r.page.job, "error", err)
			return err
		}
	}
	return nil
}

// guarded writes the next piece as a handler does: a streamed page is read after
// its handler has returned, and must not outlive a shutdown either.
func (r *pageReader) guarded() error {
	s := r.page.server
	s.handlers.RLock()
	defer s.handlers.RUnlock()
	if s.closed {
		return errors.New("the server is shutting down")
	}
	return r.piece()
}

// piece writes the next piece of the page to out.
func (r *pageReader) piece() error {
	before, write := ",", r.writeCheckpoint
	if r.next == len(r.page.entries) {
		before, write = "", r.writeEnd
	}
	if r.next == 0 {
		before = pageStart
	}
	if _, err := io.WriteString(r.w, before); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	r.next++
	return nil
}

func (r *pageReader) writeEnd() error {
	if _, err := r.w.Write(r.end); err != nil || r.coder == nil {
		return err
	}
	return r.coder.Close()
}

func (r *pageReader) writeCheckpoint() error {
	e := r.page.entries[r.next]
	if json := r.page.hot(e); json != nil {
		_, err := r.w.Write(json)
		return err
	}
	c, err := r.page.server.store.Read(r.page.job, e.Sequence, r.json[:0])
	// A job that began anew under the same id may be another organization's.
	if errors.Is(err, store.ErrNotFound) || err == nil && c.ID != e.ID {
		return errors.New("the job was deleted while it was being listed")
	}
	if err != nil {
		return err
	}
	r.json = c.JSON
	_, err = r.w.Write(c.JSON)
	return err
}

// Close implements io.Closer: fasthttp calls it when the response is over.
func (r *pageReader) Close() error {
	r.release()
	if r.coder != nil && (r.ended() || r.next == 0) {
		r.coder.put()
	}
	return nil
}
