package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnAnswerMayComeInAnyTwoPieces(t *testing.T) {
	wires := []struct{ name, wire, body string }{
		{"with a length", sized("hello, world"), "hello, world"},
		{"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n", "hello, world"},
	}
	for _, x := range wires {
		t.Run(x.name, func(t *testing.T) {
			underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
				// The second piece leaves when the first was looked at.
				seen := make(chan struct{}, len(x.wire))
				addr := scripted(t, func(conn *net.TCPConn) {
					eachRequest(conn, func(n int) bool {
						cut := 1 + n%(len(x.wire)-1)
						if _, err := io.WriteString(conn, x.wire[:cut]); err != nil {
							return false
						}
						select {
						case <-seen:
						case <-t.Context().Done():
						}
						_, err := io.WriteString(conn, x.wire[cut:])
						return err == nil
					})
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				reader, pieces := reading(t, addr, x.body), len(x.wire)-1
				reader.exchange = &observed{reader.exchange, func() { seen <- struct{}{} }, after(pieces, cancel)}
				o := runLinks(ctx, loops, []*link{reader}, hourLong())
				if o.errors != 0 || o.latency.total != uint64(pieces) {
					t.Errorf("%d of %d answers, %d errors: %v", o.latency.total, pieces, o.errors, o.err)
				}
			})
		})
	}
}

func TestManyConnectionsGetWhatIsLargerThanABuffer(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", usualAnswer/4)
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		addr := scripted(t, func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				_, err := io.WriteString(conn, sized(body))
				return err == nil
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		const connections, each = 20, 5
		var links []*link
		allDone := after(connections, cancel)
		for range connections {
			x := reading(t, addr, body)
			x.exchange = &observed{exchange: x.exchange, whole: after(each, allDone)}
			links = append(links, x)
		}
		o := runLinks(ctx, loops, links, hourLong())
		if o.errors != 0 || o.latency.total < connections*each {
			t.Errorf("%d answers, %d errors: %v", o.latency.total, o.errors, o.err)
		}
	})
}

func TestWhatIsWrongIsCounted(t *testing.T) {
	const body = "hello"
	// say answers every request with the same text.
	say := func(text string) func(*net.TCPConn) {
		return func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				_, err := io.WriteString(conn, text)
				return err == nil
			})
		}
	}
	// sayAndClose answers the first request and ends the connection.
	sayAndClose := func(text string) func(*net.TCPConn) {
		return func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				_, _ = io.WriteString(conn, text)
				return false
			})
		}
	}
	cases := []struct {
		name  string
		serve func(*net.TCPConn)
		// errors and right are how many answers are wrong and right; is is
		// what the error is, text what it says.
		errors int64
		right  uint64
		is     error
		text   string
	}{
		{"closed before the answer", sayAndClose(""), 1, 0, io.ErrUnexpectedEOF, "broke"},
		{"closed in the head", sayAndClose("HTTP/1.1 200 OK\r\nContent-"), 1, 0, io.ErrUnexpectedEOF, "broke"},
		{"closed in the body", sayAndClose(sized(body)[:len(sized(body))-1]), 1, 0, io.ErrUnexpectedEOF, "broke"},
		{"closed after an answer", sayAndClose(sized(body)), 1, 1, errBroken, "broke"},
		{"reset", func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool { return conn.SetLinger(0) != nil })
		}, 1, 0, errBroken, "reset"},
		{"no HTTP", say("hello\r\n"), 1, 0, errBroken, "no HTTP/1.1 answer"},
		{"more than an answer", say(sized(body) + "!"), 1, 0, errBroken, "more has come"},
		{"another status", say("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy"), maxTaskErrors, 0, nil, "status 503, not 200: busy"},
		{"another length", say(sized("hello!")), maxTaskErrors, 0, nil, "a body of 6 bytes, not 5"},
		{"another body", say(sized("hallo")), maxTaskErrors, 0, nil, "the body differs"},
		{"no body", say("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"), maxTaskErrors, 0, nil, "status 304"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
				o := runLinks(t.Context(), loops, []*link{reading(t, scripted(t, c.serve), body)}, hourLong())
				if o.errors != c.errors || o.latency.total != c.right {
					t.Errorf("%d errors, %d right answers, not %d and %d: %v", o.errors, o.latency.total, c.errors, c.right, o.err)
				}
				if o.err == nil || (c.is != nil && !errors.Is(o.err, c.is)) || !strings.Contains(o.err.Error(), c.text) {
					t.Errorf("the error is %v", o.err)
				}
				if broke := errors.Is(o.err, errBroken); broke != (c.is != nil) {
					t.Errorf("broken is %t: %v", broke, o.err)
				}
			})
		})
	}
}

func TestAWrongAnswerIsNotTheEnd(t *testing.T) {
	const wrong, right = maxTaskErrors - 1, 20
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		addr := scripted(t, func(conn *net.TCPConn) {
			eachRequest(conn, func(n int) bool {
				text := sized("hello")
				if n%2 == 0 && n < 2*wrong {
					text = sized("hallo!")
				}
				_, err := io.WriteString(conn, text)
				return err == nil
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		x := reading(t, addr, "hello")
		x.exchange = &observed{exchange: x.exchange, whole: after(wrong+right, cancel)}
		o := runLinks(ctx, loops, []*link{x}, hourLong())
		if o.errors != wrong || o.latency.total != right {
			t.Errorf("%d errors and %d right answers, not %d and %d: %v", o.errors, o.latency.total, wrong, right, o.err)
		}
	})
}

func TestAServerThatHangsEndsTheRun(t *testing.T) {
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		addr := scripted(t, func(conn *net.TCPConn) { eachRequest(conn, func(int) bool { return true }) })
		x := reading(t, addr, "hello")
		x.conn.timeout = 10 * time.Millisecond
		o := runLinks(t.Context(), loops, []*link{x}, hourLong())
		if o.errors != 1 || !errors.Is(o.err, os.ErrDeadlineExceeded) {
			t.Errorf("%d errors: %v", o.errors, o.err)
		}
	})
}

func TestTheEndOfTheContextCutsALoadShort(t *testing.T) {
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		// It never answers; the request is under way when the context ends.
		addr := scripted(t, func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				cancel()
				return true
			})
		})
		if o := runLinks(ctx, loops, []*link{reading(t, addr, "hello")}, hourLong()); o.errors != 0 {
			t.Errorf("%d errors: %v", o.errors, o.err)
		}
	})
}

func TestWhatEndsInTheWarmUpDoesNotCount(t *testing.T) {
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		addr := scripted(t, func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				_, err := io.WriteString(conn, sized("hello"))
				return err == nil
			})
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		x := reading(t, addr, "hello")
		x.exchange = &observed{exchange: x.exchange, whole: after(10, cancel)}
		o := runLinks(ctx, loops, []*link{x}, window{begin: time.Now(), from: time.Hour, until: 2 * time.Hour})
		if o.errors != 0 || o.latency.total != 0 {
			t.Errorf("%d answers count, %d errors: %v", o.latency.total, o.errors, o.err)
		}
	})
}

func TestALoadEndsWithItsWindow(t *testing.T) {
	// Nothing is asked that is not awaited.
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		var asked, taken atomic.Int64
		addr := scripted(t, func(conn *net.TCPConn) {
			eachRequest(conn, func(int) bool {
				asked.Add(1)
				_, err := io.WriteString(conn, sized("hello"))
				return err == nil
			})
		})
		var links []*link
		for range 3 {
			x := reading(t, addr, "hello")
			x.exchange = &observed{exchange: x.exchange, whole: func() { taken.Add(1) }}
			links = append(links, x)
		}
		o := runLinks(t.Context(), loops, links, window{begin: time.Now(), until: 10 * time.Millisecond})
		if o.errors != 0 || asked.Load() != taken.Load() || o.latency.total > uint64(taken.Load()) {
			t.Errorf("%d requests, %d answers of which %d count, %d errors: %v",
				asked.Load(), taken.Load(), o.latency.total, o.errors, o.err)
		}
	})
}

// upload sends one large request again and again.
type upload struct {
	request []byte
	http    httpAnswer
}

func (x *upload) next() []byte                 { return x.request }
func (x *upload) answer(b []byte) (int, error) { return x.http.answer(b) }

func TestARequestMayBeLargerThanTheSocketTakes(t *testing.T) {
	// More than what the buffers of both ends ever hold.
	request := make([]byte, 16<<20)
	for i := range request {
		request[i] = byte(i % 251)
	}
	const times = 2
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		wrong := make(chan int, times)
		addr := scripted(t, func(conn *net.TCPConn) {
			in := make([]byte, len(request))
			for {
				if _, err := io.ReadFull(conn, in); err != nil {
					return
				}
				if string(in) != string(request) {
					wrong <- 1
				}
				if _, err := io.WriteString(conn, sized("")); err != nil {
					return
				}
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		conn, err := dialRaw(addr)
		if err != nil {
			t.Fatal(err)
		}
		x := &link{conn: conn, exchange: &observed{exchange: &upload{request: request}, whole: after(times, cancel)}}
		o := runLinks(ctx, loops, []*link{x}, hourLong())
		if o.errors != 0 || o.latency.total != times || len(wrong) > 0 {
			t.Errorf("%d answers, %d wrong requests, %d errors: %v", o.latency.total, len(wrong), o.errors, o.err)
		}
	})
}
