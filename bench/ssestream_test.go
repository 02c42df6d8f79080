package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"

// testEvent is a frame with the marker m and its padding.
func testEvent(m marker, size int) string {
	payload := appendPayload(nil, m, size)
	return fmt.Sprintf("id: c%023d\nevent: message\ndata: {\"text\":\"%s\",\"rest\":[]}\n\n", m.sequence, payload)
}

// testStream is an answer with events 1 to n, a comment between two, and the
// body cut into chunks of the given size, 0 for none.
func testStream(n, size, chunk int) string {
	body := ": welcome ^m\n\n"
	for i := range n {
		body += testEvent(marker{job: 7, sequence: uint32(i + 1), sent: time.Duration(i) * time.Hour}, size)
		body += ": ^mp\n\n"
	}
	if chunk == 0 {
		return streamHead + "\r\n" + body
	}
	s := streamHead + "Transfer-Encoding: chunked\r\n\r\n"
	for rest := body; rest != ""; {
		k := min(chunk, len(rest))
		s += fmt.Sprintf("%x\r\n%s\r\n", k, rest[:k])
		rest = rest[k:]
	}
	return s + "0\r\n\r\n"
}

// feedAll feeds a stream in pieces and returns the sequences found.
func feedAll(verify bool, pieces ...string) ([]uint32, error) {
	s := sseStream{verify: verify}
	var found []uint32
	for _, p := range pieces {
		err := s.feed([]byte(p), func(m marker) { found = append(found, m.sequence) })
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

func TestStreamCutAtEveryByte(t *testing.T) {
	want := []uint32{1, 2}
	for _, chunk := range []int{0, 1, 7, 1 << 20} {
		for _, size := range []int{0, markerLength + 1, 120} {
			for _, verify := range []bool{false, true} {
				whole := testStream(2, size, chunk)
				for cut := range len(whole) {
					got, err := feedAll(verify, whole[:cut], whole[cut:])
					if err != nil || !slices.Equal(got, want) {
						t.Fatalf("chunks of %d, payload of %d, cut at %d: %v, %v", chunk, size, cut, got, err)
					}
				}
				got, err := feedAll(verify, strings.Split(whole, "")...)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("chunks of %d, payload of %d, byte for byte: %v, %v", chunk, size, got, err)
				}
			}
		}
	}
}

func TestStreamTellsMarkersFields(t *testing.T) {
	want := marker{job: 0xfffffffe, sequence: 0x80000001, sent: 123_456_789 * time.Second, padding: 256}
	s := sseStream{verify: true}
	var got []marker
	err := s.feed([]byte(streamHead+"\r\n"+testEvent(want, markerLength+256)), func(m marker) { got = append(got, m) })
	if err != nil || len(got) != 1 || got[0] != want {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestStreamDiscards(t *testing.T) {
	for _, chunk := range []int{0, 1000, 1 << 20} {
		whole := []byte(testStream(20, 20_000, chunk))
		s := sseStream{}
		var found []uint32
		got := func(m marker) { found = append(found, m.sequence) }
		unread := 0
		for len(whole) > 0 {
			n := min(s.discardable(), len(whole), 7000)
			if n > 0 {
				s.discarded(n, got)
				unread += n
			} else {
				n = min(500, len(whole))
				if err := s.feed(whole[:n], got); err != nil {
					t.Fatal(err)
				}
			}
			whole = whole[n:]
		}
		if len(found) != 20 || found[19] != 20 {
			t.Errorf("chunks of %d: found %v", chunk, found)
		}
		if unread < 150_000 {
			t.Errorf("chunks of %d: only %d bytes were discarded", chunk, unread)
		}
	}
}

func TestStreamReportsWhatIsWrong(t *testing.T) {
	event := testEvent(marker{job: 1, sequence: 1}, 300)
	last := strings.Index(event, `","rest"`) - 1
	cases := map[string]struct{ stream, want string }{
		"refused":               {"HTTP/1.1 503 Busy\r\n\r\n", "503 Busy"},
		"no events":             {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", `content type is "application/json"`},
		"endless head":          {"HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", maxStreamHead), "the head has more than"},
		"no chunk size":         {streamHead + "Transfer-Encoding: chunked\r\n\r\nid: 1\n", "a chunk begins with"},
		"a chunk is too long":   {streamHead + "Transfer-Encoding: chunked\r\n\r\n2\r\n: x\n\n\r\n", "a chunk ends with"},
		"a byte is changed":     {streamHead + "\r\n" + event[:last] + "#" + event[last+1:], "is not the one that was published"},
		"a byte is missing":     {streamHead + "\r\n" + event[:last] + event[last+1:], "is not the one that was published"},
		"bytes behind the end":  {streamHead + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n:", "1 bytes after the end"},
		"no empty line between": {streamHead + "\r\n" + strings.TrimSuffix(event, "\n") + event, "no empty line before event 1"},
		"no marker":             {streamHead + "\r\ndata: ^mp:" + strings.Repeat("z", markerFields), "a marker reads"},
	}
	for name, c := range cases {
		if _, err := feedAll(true, c.stream); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, not %q", name, err, c.want)
		}
	}
	if _, err := feedAll(false, "HTTP/1.1 404 Not Found\r\n\r\n"); !errors.Is(err, errNotSSE) {
		t.Errorf("a 404 gives %v", err)
	}
}

func TestTally(t *testing.T) {
	cases := map[string]struct {
		first                                uint32
		events                               []uint32
		last                                 uint32
		delivered, lost, doubled, disordered int64
	}{
		"in order":               {1, []uint32{1, 2, 3, 4}, 4, 4, 0, 0, 0},
		"the first may be any":   {0, []uint32{7, 8}, 8, 2, 0, 0, 0},
		"the first is missing":   {1, []uint32{2, 3}, 3, 2, 1, 0, 0},
		"one in the middle":      {1, []uint32{1, 2, 4, 5}, 5, 4, 1, 0, 0},
		"the last two":           {1, []uint32{1, 2}, 4, 2, 2, 0, 0},
		"nothing comes":          {1, nil, 3, 0, 3, 0, 0},
		"one comes twice":        {1, []uint32{1, 2, 2, 3}, 3, 3, 0, 1, 0},
		"two are swapped":        {1, []uint32{1, 3, 2, 4}, 4, 4, 0, 0, 1},
		"swapped, then again":    {1, []uint32{1, 3, 2, 2, 4}, 4, 4, 0, 1, 1},
		"one from the past":      {5, []uint32{4, 5}, 5, 1, 0, 1, 0},
		"gap, double, disorder":  {1, []uint32{1, 4, 3, 3, 6}, 6, 4, 2, 1, 1},
		"the order is backwards": {1, []uint32{3, 2, 1}, 3, 3, 0, 0, 2},
	}
	for name, c := range cases {
		tl := tally{next: c.first}
		for _, e := range c.events {
			tl.count(e)
		}
		tl.finish(c.last)
		if tl.delivered != c.delivered || tl.lost() != c.lost || tl.doubled != c.doubled || tl.disordered != c.disordered {
			t.Errorf("%s: %d delivered, %d lost, %d doubled, %d out of order", name, tl.delivered, tl.lost(), tl.doubled, tl.disordered)
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add([]byte(testStream(2, 100, 0)), 30)
	f.Add([]byte(testStream(2, 100, 9)), 300)
	f.Add([]byte(streamHead+"Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nx"), 5)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		cut = max(0, min(cut, len(b)))
		count := func(verify bool, pieces ...[]byte) (n int, failed bool) {
			s := sseStream{verify: verify}
			for _, p := range pieces {
				if s.feed(p, func(marker) { n++ }) != nil {
					return n, true
				}
			}
			return n, false
		}
		for _, verify := range []bool{false, true} {
			n, failed := count(verify, b)
			if m, cutFailed := count(verify, b[:cut], b[cut:]); n != m || failed != cutFailed {
				t.Errorf("whole: %d events, failed %v; cut at %d: %d, %v", n, failed, cut, m, cutFailed)
			}
		}
	})
}
