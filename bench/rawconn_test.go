package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
)

// answering returns a connection to a peer that gives the answers in turn, each
// cut in pieces of n bytes.
func answering(t *testing.T, n int, answers ...string) *rawConn {
	addr := scripted(t, func(conn *net.TCPConn) {
		in := make([]byte, 1024)
		for _, a := range answers {
			if _, err := conn.Read(in); err != nil {
				return
			}
			for len(a) > 0 {
				k := min(n, len(a))
				if _, err := conn.Write([]byte(a[:k])); err != nil {
					return
				}
				a = a[k:]
			}
		}
	})
	c, err := dialRaw(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func TestRawConnReadsAnswers(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20000)
	answers := []struct{ wire, body string }{
		{"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: 1\r\n\r\nhello", "hello"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", "abc0123456789"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 320000\r\n\r\n" + big, big},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""},
	}
	for _, pieces := range []int{1 << 20, 4096, 700} {
		var wires []string
		for _, a := range answers {
			wires = append(wires, a.wire)
		}
		c := answering(t, pieces, wires...)
		for i, a := range answers {
			status, body, err := c.roundTrip([]byte("GET"))
			if err != nil || status != 200 || !bytes.Equal(body, []byte(a.body)) {
				t.Errorf("answer %d in pieces of %d: status %d, %d bytes, %v", i, pieces, status, len(body), err)
			}
		}
	}
}

func TestRawConnRefusesWhatIsNoAnswer(t *testing.T) {
	for _, wire := range []string{
		"nonsense\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "",
	} {
		c := answering(t, 1000, wire)
		if status, body, err := c.roundTrip([]byte("GET")); err == nil {
			t.Errorf("%q is taken as status %d, body %q", wire, status, body)
		}
	}
}

func TestRawConnMovesItsDeadlineInTime(t *testing.T) {
	c := answering(t, 1000, sized("a"), sized("b"), sized("c"))
	roundTrip := func() time.Time {
		if _, err := c.ask([]byte("GET")); err != nil {
			t.Fatal(err)
		}
		return c.deadline
	}
	first := roundTrip()
	if again := roundTrip(); again != first {
		t.Errorf("the deadline moves from %s to %s at once", first, again)
	}
	// As if most of the timeout had passed since.
	c.deadline = time.Now().Add(c.timeout / 2)
	if left := time.Until(roundTrip()); left < c.timeout*3/4 {
		t.Errorf("a request has %s of %s", left, c.timeout)
	}
}
