package main

import (
	"bytes"
	"strings"
	"testing"
)

// httpAnswers are answers as they may come, and what they are.
var httpAnswers = []struct {
	wire   string
	status int
	body   string
}{
	{"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: 1\r\n\r\nhello", 200, "hello"},
	{"HTTP/1.1 200\r\nContent-Length:0\r\n\r\n", 200, ""},
	{"HTTP/1.1 404 Not Found\r\nX-Content-Length: 9\r\nCONTENT-LENGTH: 3\r\n\r\nno!", 404, "no!"},
	{"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, "abc0123456789"},
	{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n0\r\n\r\n", 200, "\n"},
	{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", 200, ""},
	{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""},
	{"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, ""},
	{"HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", 304, ""},
}

func TestAnswersAreTakenApartWhereverTheyAreCut(t *testing.T) {
	// One after the other by the same parser, as over one connection.
	var a httpAnswer
	for _, x := range httpAnswers {
		for cut := range len(x.wire) {
			if used, err := a.answer([]byte(x.wire[:cut])); used != 0 || err != nil {
				t.Fatalf("%q is taken for %d bytes, %v", x.wire[:cut], used, err)
			}
			// The bytes may stand elsewhere by then, and others may follow.
			used, err := a.answer([]byte(x.wire + "HTTP"))
			if used != len(x.wire) || err != nil || a.status != x.status || string(a.body) != x.body {
				t.Fatalf("%q cut at %d: %d bytes, status %d, body %q, %v", x.wire, cut, used, a.status, a.body, err)
			}
		}
	}
}

func TestAnAnswerThatGrowsByteByByte(t *testing.T) {
	var a httpAnswer
	for _, x := range httpAnswers {
		for n := range len(x.wire) + 1 {
			used, err := a.answer([]byte(x.wire[:n]))
			if err != nil || (used > 0) != (n == len(x.wire)) {
				t.Fatalf("%q: %d bytes, %v", x.wire[:n], used, err)
			}
		}
		if a.status != x.status || string(a.body) != x.body {
			t.Errorf("%q: status %d, body %q", x.wire, a.status, a.body)
		}
	}
}

func TestWhatIsNoAnswerIsRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, x := range []struct{ wire, says string }{
		{"\r\n", "no HTTP/1.1 answer"},
		{"nonsense\r\n\r\n", "no HTTP/1.1 answer"},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "no HTTP/1.1 answer"},
		{"HTTP/1.1 20\r\n", "no HTTP/1.1 answer"},
		{"HTTP/1.1 abc\r\n\r\n", "no status"},
		{"\nHTTP/1.1 200 OK\r\n", "no end of a line"},
		{ok + "Content-Length: 0\n\r\n", "no end of a line"},
		{ok + "\r\n", "neither a content length nor chunks"},
		{ok + "Content-Length: x\r\n\r\n", "content length"},
		{ok + "Content-Length: -1\r\n\r\n", "content length"},
		{ok + "Content-Length: 99999999999\r\n\r\n", "content length"},
		{ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", "transfer encoding"},
		{ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk size"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\n", "chunk size"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n7fffffff\r\n", "chunk size"},
		{ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n", "goes on"},
	} {
		var a httpAnswer
		used, err := a.answer([]byte(x.wire))
		if used != 0 || err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q is taken for %d bytes, status %d: %v", x.wire, used, a.status, err)
		}
	}
}

// FuzzHTTPAnswer wants no panic, and the same from two pieces as from one.
func FuzzHTTPAnswer(f *testing.F) {
	for _, x := range httpAnswers {
		f.Add([]byte(x.wire), uint(len(x.wire)/2))
	}
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), uint(40))
	f.Fuzz(func(t *testing.T, wire []byte, at uint) {
		var whole, cut httpAnswer
		used, err := whole.answer(wire)
		if used < 0 || used > len(wire) || (used > 0 && err != nil) {
			t.Fatalf("%d of %d bytes, %v", used, len(wire), err)
		}
		first, firstErr := cut.answer(wire[:at%uint(len(wire)+1)])
		if first > 0 || firstErr != nil {
			if first > 0 && first != used {
				t.Fatalf("%d bytes of a piece, %d of the whole", first, used)
			}
			return
		}
		again, againErr := cut.answer(wire)
		if again != used || (err == nil) != (againErr == nil) {
			t.Fatalf("%d bytes, %v in pieces; %d, %v whole", again, againErr, used, err)
		}
		if used > 0 && (cut.status != whole.status || !bytes.Equal(cut.body, whole.body)) {
			t.Fatalf("status %d %q in pieces; %d %q whole", cut.status, cut.body, whole.status, whole.body)
		}
	})
}

func TestTakingAnAnswerAllocatesNothing(t *testing.T) {
	for _, x := range httpAnswers {
		var a httpAnswer
		wire := []byte(x.wire)
		if n := testing.AllocsPerRun(100, func() {
			if used, err := a.answer(wire); used == 0 || err != nil {
				t.Fatal(used, err)
			}
		}); n > 0 {
			t.Errorf("%q costs %g allocations", x.wire, n)
		}
	}
}
