package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// drivers are the two ways to drive links; the second is the only one where the
// system is not Linux.
var drivers = []struct {
	name  string
	loops func([]*link) []loop
}{{"linkLoops", linkLoops}, {"goroutineLoops", goroutineLoops}}

// underDrivers runs test as a subtest with each driver.
func underDrivers(t *testing.T, test func(t *testing.T, loops func([]*link) []loop)) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) { test(t, d.loops) })
	}
}

// scripted starts a server that serves each connection by serve, which must end
// when the connection is closed. It ends with the test. It returns the address.
func scripted(t *testing.T, serve func(*net.TCPConn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// hourLong is a window that no test sees the end of.
func hourLong() window { return window{begin: time.Now(), until: time.Hour} }

// runLinks drives links until they end by themselves or ctx does, closes them,
// and returns the outcomes as one.
func runLinks(ctx context.Context, loops func([]*link) []loop, links []*link, w window) *outcome {
	all := loops(links)
	outcomes := make([]outcome, len(all))
	var running sync.WaitGroup
	for i, run := range all {
		running.Go(func() { run(ctx, &outcomes[i], w) })
	}
	running.Wait()
	closeAll(links)
	sum := &outcomes[0]
	for i := range outcomes[1:] {
		o := &outcomes[i+1]
		sum.latency.merge(&o.latency)
		sum.errors += o.errors
		sum.err = errors.Join(sum.err, o.err)
	}
	return sum
}

// observed is an exchange that tells what it sees.
type observed struct {
	exchange
	// partial is called for an answer that is not whole, whole for one that is.
	partial, whole func()
}

// answer implements answerer.
func (x *observed) answer(b []byte) (int, error) {
	used, err := x.exchange.answer(b)
	switch {
	case used > 0 && x.whole != nil:
		x.whole()
	case used == 0 && err == nil && x.partial != nil:
		x.partial()
	}
	return used, err
}

// after returns a function that calls f at its nth call.
func after(n int, f func()) func() {
	var calls atomic.Int64
	return func() {
		if calls.Add(1) == int64(n) {
			f()
		}
	}
}

const testRequest = "GET / HTTP/1.1\r\n\r\n"

// reading is a link that wants body as the answer to testRequest.
func reading(t *testing.T, addr, body string) *link {
	x, err := newReadTask(addr, []knownGet{{request: []byte(testRequest), status: 200, want: []byte(body)}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// eachRequest calls do for each testRequest that comes, until it returns false
// or the connection ends.
func eachRequest(conn *net.TCPConn, do func(n int) bool) {
	in := make([]byte, len(testRequest))
	for n := 0; ; n++ {
		if _, err := io.ReadFull(conn, in); err != nil || !do(n) {
			return
		}
	}
}

// sized is an answer with that body.
func sized(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}
