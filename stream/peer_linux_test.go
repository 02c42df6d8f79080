package stream

import (
	"net"
	"testing"
	"time"
)

// A peer that is gone is forgotten at once, whatever way it went and whatever
// was on its way to it.
func TestPeerThatGoesIsForgottenAtOnce(t *testing.T) {
	tcp := func(c net.Conn) *net.TCPConn { return c.(*net.TCPConn) }
	garbage := func(t *testing.T, c net.Conn) {
		b := make([]byte, 4<<10)
		for n := 0; ; n += len(b) {
			if _, err := c.Write(b); err != nil {
				return
			}
			if n > 64<<20 {
				t.Fatal("a peer may send without end")
			}
		}
	}
	for _, way := range []struct {
		name string
		goes func(t *testing.T, c net.Conn)
	}{
		{"closes", func(_ *testing.T, c net.Conn) { _ = c.Close() }},
		{"resets", func(_ *testing.T, c net.Conn) { _ = tcp(c).SetLinger(0); _ = c.Close() }},
		{"closes its half", func(_ *testing.T, c net.Conn) { _ = tcp(c).CloseWrite() }},
		{"sends a request and closes its half", func(_ *testing.T, c net.Conn) {
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			_ = tcp(c).CloseWrite()
		}},
		{"sends garbage without end", garbage},
	} {
		t.Run(way.name, func(t *testing.T) {
			onEngines(t, Options{StallTimeout: time.Hour, Heartbeat: time.Hour}, func(t *testing.T, f *fixture) {
				gone := make(chan struct{})
				r := f.subscribe(Subscription{OnClose: func() { close(gone) }})
				f.publish(testJob, 100, "")
				r.expect(t, f.log, testJob, 1, 1)
				way.goes(t, r.conn)
				<-gone
				f.expectNobody(t)
				if n := f.closed(ReasonClient); n != 1 {
					t.Errorf("%v streams were counted as closed by the client", n)
				}
			})
		})
	}
}

// The same with full socket buffers, where no writable edge comes any more.
func TestStalledPeerThatGoesIsForgottenAtOnce(t *testing.T) {
	for _, reset := range []bool{false, true} {
		onEngines(t, Options{StallTimeout: time.Hour, Heartbeat: time.Hour, SendBuffer: 4 << 10}, func(t *testing.T, f *fixture) {
			gone := make(chan struct{})
			r := f.subscribe(Subscription{OnClose: func() { close(gone) }})
			for range 100 {
				f.publish(testJob, 100_000, "")
			}
			for f.gauge("subscribers_behind") != 1 {
				if e, err := r.next(); err != nil {
					t.Fatal(e, err)
				}
			}
			if reset {
				_ = r.conn.(*net.TCPConn).SetLinger(0)
			}
			_ = r.conn.Close()
			<-gone
			f.expectNobody(t)
		})
	}
}

// A reader so slow that the kernel tells of room less often than the stall
// timeout takes bytes all the same.
func TestSlowReaderIsNotStalled(t *testing.T) {
	const stall = time.Second
	onEngines(t, Options{StallTimeout: stall, SendBuffer: 128 << 10}, func(t *testing.T, f *fixture) {
		for range 20 {
			f.publish(testJob, 50_000, "")
		}
		client, server := f.dialSegments(1448, 16<<10)
		f.attach(Subscription{}, server)
		b := make([]byte, 2<<10)
		for start := time.Now(); time.Since(start) < 3*stall; time.Sleep(60 * time.Millisecond) { // it reads slowly
			if _, err := client.Read(b); err != nil {
				t.Fatalf("closed after %v: %v", time.Since(start), err)
			}
		}
		if n := f.closed(ReasonStalled); n != 0 {
			t.Errorf("%v streams were counted as stalled", n)
		}
	})
}
