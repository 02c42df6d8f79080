package upstream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what a request says about the upstream.
type outcome byte

const (
	// neutral: nothing, because it was given up or never got there.
	neutral outcome = iota
	// answered: it answers, whatever it says.
	answered
	// failed: no connection, no answer, or none in time.
	failed
)

// outcomeOf returns what the error of an exchange says about the upstream.
func outcomeOf(err error) outcome {
	var own *refusal
	switch {
	case err == nil, errors.Is(err, ErrTooLarge):
		return answered
	case errors.As(err, &own):
		return neutral
	case errors.Is(err, ErrRefused), errors.Is(err, ErrBroken), errors.Is(err, ErrLate):
		return failed
	}
	return neutral
}

// outcomeFor is outcomeOf for a caller that may not have waited long enough to
// tell.
func outcomeFor(caller context.Context, err error) outcome {
	if err != nil && caller.Err() != nil {
		return neutral
	}
	return outcomeOf(err)
}

var errBreakerOpen = errors.New("it failed several times in a row and is left alone for a moment")

// breaker leaves an upstream alone that failed several times in a row. After a
// wait one request may try; when it is answered all may. A request that ends
// without saying anything about the upstream gives its try back.
type breaker struct {
	threshold int // failures in a row; 0 turns the breaker off
	wait      time.Duration
	now       func() time.Time
	log       *slog.Logger

	// calm says that the breaker is closed and the last request was answered,
	// which is the usual case and needs no lock.
	calm atomic.Bool

	mu       sync.Mutex
	failures int
	open     bool
	until    time.Time // when one may try, while open
	trying   bool
}

// pass is the permission for one request. It must be handed back by done, once.
type pass struct {
	// try says that it is the one that may try while the breaker is open. What
	// was sent before it opened decides nothing any more.
	try bool
}

func newBreaker(threshold int, wait time.Duration, log *slog.Logger) *breaker {
	b := &breaker{threshold: threshold, wait: wait, now: time.Now, log: log}
	b.calm.Store(true)
	return b
}

// admit lets a request through or returns an ErrRefused.
func (b *breaker) admit() (pass, error) {
	if b.calm.Load() {
		return pass{}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return pass{}, nil
	}
	left := b.until.Sub(b.now())
	if left > 0 || b.trying {
		return pass{}, &failure{kind: ErrRefused, cause: errBreakerOpen, retryAfter: max(left, time.Second)}
	}
	b.trying = true
	return pass{try: true}, nil
}

// done takes the permission back. cause is the error of a failure, for the log.
func (b *breaker) done(p pass, o outcome, cause error) {
	if o == answered && !p.try && b.calm.Load() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.try {
		b.trying = false
	}
	if o == neutral || b.open && !p.try {
		return
	}
	if o == failed {
		b.fail(p, cause)
		return
	}
	if b.open {
		b.log.Info("the upstream answers again")
	}
	b.failures, b.open = 0, false
	b.calm.Store(true)
}

// fail counts a failure. The lock is held.
func (b *breaker) fail(p pass, cause error) {
	b.calm.Store(false)
	b.failures++
	if b.threshold == 0 || !p.try && b.failures < b.threshold {
		return
	}
	if !b.open {
		b.log.Warn("the upstream fails and is left alone", "failures", b.failures, "for", b.wait, "cause", cause)
	}
	b.open, b.until = true, b.now().Add(b.wait)
}

// down reports whether the breaker is open or the last request failed.
func (b *breaker) down() bool {
	if b.calm.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open || b.failures > 0
}
