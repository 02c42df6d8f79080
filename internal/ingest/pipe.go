package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	// maxQueued bounds the events that wait for the server, in bytes. When it is
	// reached the input is not read, and the runtime waits.
	maxQueued = 256 << 20
	// maxLine bounds one line, in bytes. The runtime's largest events hold their
	// checkpoint twice, and a server takes 64 MiB unless told otherwise.
	maxLine = 256 << 20
)

// Pipe posts the events among the lines of in, and passes in on to out
// unchanged and at once. If posting fails for good, the rest is passed on all
// the same, and then the error returned; a reader of out that has gone does
// not end it. progress is called after each event; it may be nil.
func Pipe(ctx context.Context, in io.Reader, out io.Writer, p *Poster, progress func()) error {
	q := newQueue(maxQueued)
	posted := make(chan error, 1)
	unread := 0
	go func() {
		err := postAll(ctx, q, p, progress)
		if err != nil {
			p.Note(fmt.Sprintf("no longer posting: %v", err))
			q.refuse()
		}
		posted <- err
	}()
	broken := readLines(in, &passOn{w: out}, func(line []byte, whole bool) {
		e, err := Parse(line)
		if !whole {
			err = fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		if err != nil {
			unread++
			p.Note(fmt.Sprintf("not stored: %v", err))
		} else if e != nil {
			q.put(e)
		}
	})
	q.end()
	err := <-posted
	p.Refused += unread + q.lost
	if err != nil {
		p.Refused++ // the one with which posting ended
	}
	if broken != nil {
		return errors.Join(err, fmt.Errorf("cannot read the input: %w", broken))
	}
	return err
}

func postAll(ctx context.Context, q *queue, p *Poster, progress func()) error {
	for e := q.take(); e != nil; e = q.take() {
		delegator, err := p.Delegator(ctx, e)
		switch {
		case errors.Is(err, errNoDelegator):
			err = p.postAnyway(ctx, e)
		case err == nil:
			err = p.Post(ctx, e, delegator)
		}
		if err != nil {
			return err
		}
		if progress != nil {
			progress()
		}
	}
	return nil
}

// readLines passes r on to w as it comes and calls each with every line,
// without its end; whole is false, and the line empty, if it is too long.
func readLines(r io.Reader, w io.Writer, each func(line []byte, whole bool)) error {
	b := bufio.NewReaderSize(io.TeeReader(r, w), 64<<10)
	var line []byte
	for whole := true; ; {
		part, err := b.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			whole, line = false, nil
		}
		if whole {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if !whole || len(line) > 0 {
			each(bytes.TrimRight(line, "\r\n"), whole)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		whole, line = true, line[:0]
	}
}

// passOn writes until a write fails, and takes everything.
type passOn struct {
	w      io.Writer
	failed bool
}

// Write implements io.Writer.
func (p *passOn) Write(b []byte) (int, error) {
	if !p.failed {
		_, err := p.w.Write(b)
		p.failed = err != nil
	}
	return len(b), nil
}
