package stream

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The times of the portable engine, on a clock that only moves when everybody
// waits. A pipe has no buffer: what is not read was not taken.

// inBubble runs a test with a portable hub; all its goroutines have to end.
func inBubble(t *testing.T, o Options, test func(t *testing.T, f *fixture)) {
	synctest.Test(t, func(t *testing.T) {
		o.Portable = true
		f := newHub(t, o) // no listener: a bubble cannot wait for a socket
		t.Cleanup(f.hub.Close)
		test(t, f)
	})
}

// pipe attaches a subscriber to one end of a pipe.
func (f *fixture) pipe(o Subscription) *reader {
	client, server := net.Pipe()
	f.t.Cleanup(func() { _ = client.Close() })
	f.attach(o, server)
	return newReader(client)
}

// at fails unless the time since the start is what it should be. The hub counts
// in milliseconds.
func at(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(start) - want; d < 0 || d > time.Millisecond {
		t.Errorf("it is %v instead of %v", time.Since(start), want)
	}
}

func TestHeartbeatComesExactlyWhenQuiet(t *testing.T) {
	inBubble(t, Options{Heartbeat: 15 * time.Second}, func(t *testing.T, f *fixture) {
		r := f.pipe(Subscription{})
		start := time.Now()
		comment := func(after time.Duration) {
			t.Helper()
			if e, err := r.next(); err != nil || !e.comment {
				t.Fatalf("got %.60v, %v instead of a comment", e, err)
			}
			at(t, start, after)
		}
		comment(0)
		comment(15 * time.Second)
		comment(30 * time.Second)
		go func() {
			time.Sleep(14 * time.Second)
			f.publish(testJob, 1000, "")
		}()
		r.expect(t, f.log, testJob, 1, 1)
		at(t, start, 44*time.Second)
		comment(59 * time.Second)
		// Busy for a minute: no comment among the messages.
		go func() {
			for range 60 {
				f.publish(testJob, 100, "")
				time.Sleep(time.Second)
			}
		}()
		for n := range uint64(60) {
			e, err := r.next()
			if err != nil || e.id != f.log.all(testJob)[n+1].ID {
				t.Fatalf("got %.60v, %v instead of checkpoint %d", e, err, n+2)
			}
		}
		at(t, start, 118*time.Second)
		comment(133 * time.Second)
	})
}

// A peer that takes a frame over minutes gets it whole, without a comment inside,
// and is not stalled.
func TestHeartbeatIsNeverInsideAFrame(t *testing.T) {
	inBubble(t, Options{Heartbeat: 15 * time.Second, StallTimeout: 30 * time.Second}, func(t *testing.T, f *fixture) {
		for _, size := range []int{100, 20 << 10, 100 << 10} {
			f.publish(testJob, size, "")
		}
		f.publish(testJob, 1, "completed")
		r := f.pipe(Subscription{})
		slow, w := io.Pipe()
		var copier sync.WaitGroup
		copier.Go(func() {
			b := make([]byte, 1<<10)
			for {
				n, err := r.conn.Read(b)
				if _, bad := w.Write(b[:n]); err != nil || bad != nil {
					_ = w.CloseWithError(err)
					return
				}
				time.Sleep(7 * time.Second)
			}
		})
		through := newReader(pipeConn{r.conn, slow})
		if e, err := through.next(); err != nil || !e.comment {
			t.Fatalf("got %.60v, %v", e, err)
		}
		for n, c := range f.log.all(testJob) {
			e, err := through.message()
			if err != nil || e.data != string(c.JSON) {
				t.Fatalf("checkpoint %d: %.60v, %v", n+1, e, err)
			}
		}
		through.expectEvent(t, "complete", "completed")
		through.expectEnd(t)
		_ = r.conn.Close()
		_ = slow.Close()
		copier.Wait()
	})
}

// pipeConn is a connection that is read through another reader.
type pipeConn struct {
	net.Conn
	r io.Reader
}

func (c pipeConn) Read(b []byte) (int, error) { return c.r.Read(b) }

func TestStallIsOnlyWhenNoByteIsTaken(t *testing.T) {
	const stall = 30 * time.Second
	inBubble(t, Options{Heartbeat: 15 * time.Second, StallTimeout: stall}, func(t *testing.T, f *fixture) {
		var gone time.Time
		closed := make(chan struct{})
		r := f.pipe(Subscription{OnClose: func() { gone = time.Now(); close(closed) }})
		if e, err := r.next(); err != nil || !e.comment {
			t.Fatal(e, err)
		}
		// An idle hour of heartbeats is no stall.
		for range 240 {
			if e, err := r.next(); err != nil || !e.comment {
				t.Fatal(e, err)
			}
		}
		f.publish(testJob, 1000, "")
		one := make([]byte, 1)
		for range 20 {
			time.Sleep(stall - time.Second)
			if _, err := r.conn.Read(one); err != nil {
				t.Fatalf("a peer that takes a byte from time to time: %v", err)
			}
		}
		last := time.Now()
		<-closed
		if d := gone.Sub(last); d < stall || d > 2*stall {
			t.Errorf("closed %v after the last byte", d)
		}
		if n := f.closed(ReasonStalled); n != 1 {
			t.Errorf("%v streams were counted as stalled", n)
		}
	})
}

func TestStallOfOneThatTakesNothing(t *testing.T) {
	inBubble(t, Options{StallTimeout: 30 * time.Second}, func(t *testing.T, f *fixture) {
		start := time.Now()
		closed := make(chan struct{})
		f.pipe(Subscription{OnClose: func() { close(closed) }})
		<-closed
		at(t, start, 30*time.Second)
		if n := f.closed(ReasonStalled); n != 1 {
			t.Errorf("%v streams were counted as stalled", n)
		}
		f.expectNobody(t)
	})
}

// ending is how a stream ended: its retry field in milliseconds, and when.
type ending struct {
	retry int
	after time.Duration
}

// readEnding reads up to the end that a server gives for a reason of its own.
func readEnding(t *testing.T, r *reader, start time.Time, message string) ending {
	e, err := r.message()
	if err != nil || !e.retry {
		t.Errorf("got %.60v, %v instead of a retry field", e, err)
		return ending{}
	}
	got := ending{after: time.Since(start)}
	if got.retry, err = strconv.Atoi(e.data); err != nil {
		t.Error(err)
	}
	e, err = r.message()
	if err != nil || e.event != "error" || e.id != "" ||
		!strings.Contains(e.data, `"type":"shutting_down"`) || !strings.Contains(e.data, message) {
		t.Errorf("got %.60v, %v instead of an error event", e, err)
	}
	if e, err = r.message(); err != io.EOF {
		t.Errorf("got %.60v, %v instead of the end", e, err)
	}
	_ = r.conn.Close()
	return got
}

// expectSpread fails unless the ends are within the bounds and fill them, and
// the retries differ.
func expectSpread(t *testing.T, all []ending, first, last time.Duration) {
	t.Helper()
	early, late := last, first
	retries := make(map[int]bool)
	for _, e := range all {
		if e.after < first || e.after > last+time.Millisecond {
			t.Errorf("a stream ended after %v, not within %v to %v", e.after, first, last)
		}
		if e.retry < 1000 || e.retry > 5000 {
			t.Errorf("retry: %d", e.retry)
		}
		early, late = min(early, e.after), max(late, e.after)
		retries[e.retry] = true
	}
	if late-early < (last-first)*3/4 {
		t.Errorf("all ended from %v to %v, together", early, late)
	}
	if len(retries) < len(all)/2 {
		t.Errorf("%d streams got only %d different retries", len(all), len(retries))
	}
}

func TestLifetimeIsBetween80And100Percent(t *testing.T) {
	inBubble(t, Options{MaxLifetime: 100 * time.Second}, func(t *testing.T, f *fixture) {
		start := time.Now()
		all := make([]ending, 200)
		var readers sync.WaitGroup
		for i := range all {
			r := f.pipe(Subscription{})
			readers.Go(func() { all[i] = readEnding(t, r, start, "max_lifetime") })
		}
		readers.Wait()
		expectSpread(t, all, 80*time.Second, 100*time.Second)
		synctest.Wait()
		if n := f.closed(ReasonLifetime); n != 200 {
			t.Errorf("%v streams were counted", n)
		}
	})
}

func TestDrainIsSpread(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, f *fixture) {
		all := make([]ending, 200)
		var readers sync.WaitGroup
		begin := make(chan time.Time)
		for i := range all {
			r := f.pipe(Subscription{})
			readers.Go(func() { all[i] = readEnding(t, r, <-begin, "shutting down") })
		}
		// Two that come late: one is attached in the middle of it, one never.
		late, err := f.hub.Admit(from(0, false))
		if err != nil {
			t.Fatal(err)
		}
		never, err := f.hub.Admit(from(0, false))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range all {
			begin <- start
		}
		readers.Go(func() {
			time.Sleep(2 * time.Second)
			client, server := net.Pipe()
			if err := late.Attach(server); err != nil {
				t.Error(err)
			}
			_, _ = io.Copy(io.Discard, client)
			at(t, start, 7*time.Second) // the end, and the time for the peer to close
			_ = client.Close()
		})
		readers.Go(func() {
			time.Sleep(3 * time.Second)
			// One that comes during the drain is told of its end like the others.
			meanwhile, err := f.hub.Admit(from(0, false))
			if err != nil {
				t.Errorf("one that came during the drain got %v", err)
				return
			}
			meanwhile.Cancel()
			never.Cancel()
		})
		f.hub.Drain(t.Context(), 5*time.Second)
		at(t, start, 5*time.Second)
		readers.Wait()
		expectSpread(t, all, 0, 5*time.Second)
		f.expectNobody(t)
	})
}

func TestDrainWaitsNoLongerThanItsContext(t *testing.T) {
	inBubble(t, Options{StallTimeout: time.Hour}, func(t *testing.T, f *fixture) {
		r := f.pipe(Subscription{}) // takes nothing
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		f.hub.Drain(ctx, 0)
		at(t, start, 10*time.Second)
		f.hub.Close()
		if _, err := r.conn.Read(make([]byte, 1)); err == nil {
			t.Error("the connection stays open")
		}
		if n := f.closed(ReasonDrain); n != 1 {
			t.Errorf("%v streams were counted as drained", n)
		}
	})
}

func TestDrainOfNobodyReturnsAtOnce(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, f *fixture) {
		start := time.Now()
		f.hub.Drain(t.Context(), 5*time.Second)
		f.hub.Drain(t.Context(), 5*time.Second)
		at(t, start, 0)
	})
}

// The event loop looks at its subscribers from time to time; it may be late but
// never early.
func TestHeartbeatOfTheEventLoopIsNotEarly(t *testing.T) {
	const heartbeat = 200 * time.Millisecond
	f := newFixture(t, Options{Heartbeat: heartbeat})
	r := f.subscribe(Subscription{})
	comment := func() {
		if e, err := r.next(); err != nil || !e.comment {
			t.Fatalf("got %.60v, %v", e, err)
		}
	}
	comment()
	first := time.Now()
	for range 5 {
		comment()
	}
	// The first is seen a little late, but not by a heartbeat.
	if d := time.Since(first); d < 4*heartbeat {
		t.Errorf("five comments within %v", d)
	}
}

func TestDrainAndLifetimeOfTheEventLoop(t *testing.T) {
	const life, spread = 800 * time.Millisecond, 500 * time.Millisecond
	f := newFixture(t, Options{MaxLifetime: life, Heartbeat: time.Second})
	start := time.Now()
	all := make([]ending, 50)
	var readers sync.WaitGroup
	for i := range all {
		r := f.subscribe(Subscription{})
		readers.Go(func() { all[i] = readEnding(t, r, start, "max_lifetime") })
	}
	readers.Wait()
	for _, e := range all {
		if e.after < life*8/10 {
			t.Errorf("a stream ended after %v", e.after)
		}
	}
	rs := make([]*reader, 50)
	for i := range rs {
		rs[i] = f.subscribe(Subscription{})
		if e, err := rs[i].next(); err != nil || !e.comment {
			t.Fatal(e, err)
		}
	}
	start = time.Now()
	for i, r := range rs {
		readers.Go(func() { all[i] = readEnding(t, r, start, "shutting down") })
	}
	f.hub.Drain(t.Context(), spread)
	if d := time.Since(start); d < spread/2 {
		t.Errorf("all were closed within %v", d)
	}
	readers.Wait()
	f.expectNobody(t)
}
