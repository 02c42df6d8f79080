package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// answerer takes answers apart.
type answerer interface {
	// answer looks at b, all that has come of an answer so far; b begins with
	// the answer's first byte each time. It returns the length of the answer, 0
	// as long as that is not whole. An error with a length is a wrong answer,
	// after which the connection can go on; one without says that it cannot.
	answer(b []byte) (used int, err error)
}

// exchange is what is asked over one connection, a request after the answer to
// the one before. It is driven by one goroutine at a time.
type exchange interface {
	answerer
	// next returns the bytes of the next request, good until its answer was taken.
	next() []byte
}

// link is an open connection and what is asked over it in one run.
type link struct {
	conn *rawConn
	exchange
	// end releases what the exchange holds; it may be nil.
	end func()
}

// do makes one request and checks its answer.
func (x *link) do() error { return x.conn.perform(x.next(), x) }

// close ends the connection.
func (x *link) close() {
	x.conn.close()
	if x.end != nil {
		x.end()
	}
}

// openers returns a function that opens n links, for one run.
func openers(n int, open func() (*link, error)) func() ([]*link, error) {
	return func() ([]*link, error) {
		var links []*link
		for range n {
			x, err := open()
			if err != nil {
				return links, err
			}
			links = append(links, x)
		}
		return links, nil
	}
}

// closeAll closes links.
func closeAll(links []*link) {
	for _, x := range links {
		x.close()
	}
}

// goroutineLoops gives each link a goroutine of its own. That is simple and runs
// everywhere, and takes about twice as long for a request as linkLoops on Linux.
func goroutineLoops(links []*link) []loop {
	loops := make([]loop, len(links))
	for i, x := range links {
		again := repeat(x.do)
		loops[i] = func(ctx context.Context, o *outcome, w window) {
			// Who waits for an answer notices the end of ctx by that.
			defer context.AfterFunc(ctx, x.conn.close)()
			again(ctx, o, w)
		}
	}
	return loops
}

// errBroken says that a connection cannot go on.
var errBroken = errors.New("the connection broke")

// broken is errBroken with its cause.
func broken(err error) error {
	if errors.Is(err, io.EOF) {
		// A server may not close a connection over which it was asked.
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", errBroken, err)
}
