package upstream

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"
)

// ErrFlightsClosed is what the callers of Flights get when it is closed.
var ErrFlightsClosed = errors.New("the server is closing")

// errNoAnswer is for callers whose work ended without returning.
var errNoAnswer = errors.New("the request ended without an answer")

// Flights lets callers who want the same thing at the same time share one request
// for it. A flight begins with its first caller and ends with its answer; nothing
// is kept after that, so a failure is shared with those who waited for it and
// with nobody else. The work belongs to no caller: it has a context of its own,
// and is canceled when the last who waited has gone.
//
// The zero Flights is ready for use and must not be copied.
type Flights[T any] struct {
	mu     sync.Mutex
	latest map[string]*flight[T] // the flight that new callers of a key join
	all    map[*flight[T]]struct{}
	closed bool
	done   sync.WaitGroup
}

// flight is one piece of work and those who wait for it. Its fields but the first
// four are guarded by the lock of Flights; value and err may be read when done is
// closed.
type flight[T any] struct {
	key    string
	began  time.Time
	cancel context.CancelCauseFunc
	done   chan struct{} // closed with the answer

	value   T
	err     error
	landed  bool // done is closed
	waiting int
	before  *flight[T] // the one that this took the place of, as it had stalled
}

// Do returns what f returns for the key, or what a call of f for the same key
// returns that is under way: shared says that it was not this caller's. The key
// must name everything that the answer depends on, the caller's credential too,
// and callers must not change the value, for others have it as well.
//
// A caller waits no longer than ctx says. A flight older than limit is given up:
// the next caller begins a new one, and if that brings an answer first, those who
// wait for the old one get it, too.
func (fs *Flights[T]) Do(ctx context.Context, key string, limit time.Duration, f func(context.Context) (T, error)) (value T, shared bool, err error) {
	if ctx.Err() != nil {
		return value, false, context.Cause(ctx)
	}
	fl, shared, err := fs.board(key, limit, f)
	if err != nil {
		return value, false, err
	}
	select {
	case <-fl.done:
		return fl.value, shared, fl.err
	case <-ctx.Done():
		fs.leave(fl)
		return value, shared, context.Cause(ctx)
	}
}

// board joins the flight of a key or begins one.
func (fs *Flights[T]) board(key string, limit time.Duration, f func(context.Context) (T, error)) (fl *flight[T], shared bool, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return nil, false, ErrFlightsClosed
	}
	now := time.Now()
	before := fs.latest[key]
	if before != nil && now.Sub(before.began) < limit {
		before.waiting++
		return before, true, nil
	}
	if fs.latest == nil {
		fs.latest = make(map[string]*flight[T])
		fs.all = make(map[*flight[T]]struct{})
	}
	// No context of a caller is its parent: their values may be gone before the
	// work is done.
	ctx, cancel := context.WithCancelCause(context.Background())
	key = strings.Clone(key) // it may be in memory that is used again
	fl = &flight[T]{key: key, began: now, cancel: cancel, done: make(chan struct{}), waiting: 1, before: before}
	fs.latest[key] = fl
	fs.all[fl] = struct{}{}
	fs.done.Go(func() { fs.fly(ctx, fl, f) })
	return fl, false, nil
}

// fly does the work of a flight.
func (fs *Flights[T]) fly(ctx context.Context, fl *flight[T], f func(context.Context) (T, error)) {
	var value T
	err := errNoAnswer // unless f returns: a test's Goexit, or a panic that ends the process
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), ErrFlightsClosed) {
			err = ErrFlightsClosed
		}
		fs.land(fl, value, err)
	}()
	value, err = f(ctx)
}

// land gives the answer to those who wait, and an answer that is no failure also to
// those of the stalled flights before.
func (fs *Flights[T]) land(fl *flight[T], value T, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.all, fl)
	fs.forget(fl)
	fl.arrive(value, err)
	if err == nil {
		for old := fl.before; old != nil; old = old.before {
			old.arrive(value, nil)
		}
	}
}

// arrive closes a flight with an answer, if it has none yet. The lock must be held.
func (fl *flight[T]) arrive(value T, err error) {
	if !fl.landed {
		fl.landed, fl.value, fl.err = true, value, err
		close(fl.done)
	}
	fl.cancel(context.Canceled) // the work of a stalled flight has nobody left to do it for
}

// leave takes a caller off a flight. The last cancels the work, and whoever comes
// then begins anew.
func (fs *Flights[T]) leave(fl *flight[T]) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fl.waiting--; fl.waiting == 0 {
		fs.forget(fl)
		fl.cancel(context.Canceled)
	}
}

// forget lets no new caller join a flight. The lock must be held.
func (fs *Flights[T]) forget(fl *flight[T]) {
	if fs.latest[fl.key] == fl {
		delete(fs.latest, fl.key)
	}
}

// Close cancels all work and waits until it has ended. Those who wait for it, and
// all who come later, get ErrFlightsClosed.
func (fs *Flights[T]) Close() {
	fs.mu.Lock()
	fs.closed = true
	for fl := range fs.all {
		fl.cancel(ErrFlightsClosed)
	}
	fs.mu.Unlock()
	fs.done.Wait()
}
