package upstream

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"milepost/proxy/upstream/upstreamtest"
)

// breakerClock is a breaker's time in tests.
type breakerClock struct{ t time.Time }

func testBreaker(threshold int) (*breaker, *breakerClock) {
	c := &breakerClock{time.Unix(1000, 0)}
	b := newBreaker(threshold, time.Second, slog.New(slog.DiscardHandler))
	b.now = func() time.Time { return c.t }
	return b, c
}

func admit(t *testing.T, b *breaker) pass {
	t.Helper()
	p, err := b.admit()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func refuse(t *testing.T, b *breaker) {
	t.Helper()
	if _, err := b.admit(); !errors.Is(err, ErrRefused) || RetryAfter(err) != 1 {
		t.Fatalf("got %v", err)
	}
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	b, _ := testBreaker(3)
	for range 5 {
		b.done(admit(t, b), failed, ErrBroken)
		b.done(admit(t, b), failed, ErrBroken)
		b.done(admit(t, b), answered, nil)
	}
	for range 3 {
		b.done(admit(t, b), neutral, nil)
		b.done(admit(t, b), failed, ErrBroken)
	}
	refuse(t, b)
	if !b.down() {
		t.Error("it is not down")
	}
}

func TestBreakerLetsOneTry(t *testing.T) {
	b, now := testBreaker(1)
	b.done(admit(t, b), failed, ErrBroken)
	refuse(t, b)
	now.t = now.t.Add(time.Second)
	p := admit(t, b)
	refuse(t, b)
	b.done(p, failed, ErrBroken)
	refuse(t, b) // waits again
	now.t = now.t.Add(time.Second)
	p = admit(t, b)
	b.done(p, neutral, nil) // gives its try back
	p = admit(t, b)
	refuse(t, b)
	b.done(p, answered, nil)
	admit(t, b)
	admit(t, b)
	if b.down() {
		t.Error("it is down")
	}
}

func TestWhatWasSentBeforeDoesNotDecide(t *testing.T) {
	b, now := testBreaker(1)
	before, slow := admit(t, b), admit(t, b)
	b.done(before, failed, ErrBroken)
	b.done(slow, answered, nil)
	refuse(t, b)
	now.t = now.t.Add(time.Second)
	p := admit(t, b)
	b.done(slow, failed, ErrBroken)
	refuse(t, b)
	b.done(p, answered, nil)
	admit(t, b)
}

func TestBreakerSharedByAll(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.BreakerFailures, o.Retries = 3, 5
	f := serve(t, o)
	now := &breakerClock{time.Unix(1000, 0)}
	f.client.breaker.now = func() time.Time { return now.t }
	up.Misbehave(upstreamtest.Drop)
	// The retries stop at the open breaker.
	resp, body := f.ask(get("/x"))
	wantError(t, resp, body, 503)
	if n := len(up.Requests()); n != 3 {
		t.Errorf("%d requests until the breaker opened", n)
	}
	if _, err := f.client.Do(t.Context(), "x", Request{Method: "GET", Target: "/"}); !errors.Is(err, ErrRefused) {
		t.Errorf("Do: %v", err)
	}
	if _, err := f.client.Open(t.Context(), "x", "/", nil); !errors.Is(err, ErrRefused) {
		t.Errorf("Open: %v", err)
	}
	if n := len(up.Requests()); n != 3 {
		t.Errorf("%d requests reached the upstream", n)
	}
	up.Misbehave(upstreamtest.Behave)
	now.t = now.t.Add(time.Second)
	if resp, _ := f.ask(get("/x")); resp.StatusCode != 200 {
		t.Errorf("then %d", resp.StatusCode)
	}
}

func TestACallerThatGivesUpSaysNothingAboutTheUpstream(t *testing.T) {
	up := upstreamtest.Start(t)
	o := patient(up.URL)
	o.BreakerFailures = 1
	c := newClient(t, o)
	up.Misbehave(upstreamtest.Hang)
	for _, give := range []func() (context.Context, context.CancelFunc){
		func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 20*time.Millisecond)
		},
		func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(20*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		ctx, cancel := give()
		if _, err := c.Do(ctx, "x", Request{Method: "GET", Target: "/"}); err == nil || c.Down() {
			t.Errorf("Do: %v, down: %v", err, c.Down())
		}
		cancel()
	}
}

func TestACallerThatBreaksOffSaysNothingAboutTheUpstream(t *testing.T) {
	up := upstreamtest.Start(t)
	o := hasty(up.URL)
	o.BreakerFailures = 1
	f := serve(t, o)
	c := f.dial()
	// A body that stops.
	c.send("POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe")
	resp, body, err := c.answer("POST")
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, resp, body, 408)
	if f.client.Down() {
		t.Error("the upstream counts as down")
	}
}
