package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// drainEvents reads a stream to its end.
func drainEvents(t *testing.T, r io.Reader) interpretation {
	t.Helper()
	var out interpretation
	events := NewEventReader(r, 300<<10)
	for {
		e, err := events.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		out.events = append(out.events, e)
	}
	out.lastID = events.LastID()
	out.retry, out.retried = events.Retry()
	return out
}

func sameEvents(a, b interpretation) bool {
	return a.lastID == b.lastID && a.retry == b.retry && a.retried == b.retried &&
		slices.EqualFunc(a.events, b.events, func(a, b Event) bool {
			return a.ID == b.ID && a.Type == b.Type && bytes.Equal(a.Data, b.Data)
		})
}

func TestEventsOfAStream(t *testing.T) {
	event := func(id, kind, data string) Event { return Event{id, kind, []byte(data)} }
	long := strings.Repeat("x", 3*readSize)
	tests := []struct {
		name, stream string
		want         []Event
		lastID       string
	}{
		{"a frame of ours", "id: a\nevent: message\ndata: {}\n\n", []Event{event("a", "message", "{}")}, "a"},
		{"message is the default type", "data: x\n\n", []Event{event("", "message", "x")}, ""},
		{"the type is of one event only", "event: complete\ndata: x\n\ndata: y\n\n", []Event{event("", "complete", "x"), event("", "message", "y")}, ""},
		{"lines end with CRLF", "id: a\r\ndata: x\r\n\r\n", []Event{event("a", "message", "x")}, "a"},
		{"lines end with CR", "id: a\rdata: x\r\r", []Event{event("a", "message", "x")}, "a"},
		{"lines end with each of the three", "id: a\rdata: x\r\ndata: y\n\r\n", []Event{event("a", "message", "x\ny")}, "a"},
		{"data lines are joined", "data: x\ndata:\ndata: y\n\n", []Event{event("", "message", "x\n\ny")}, ""},
		{"one space only goes", "data:  x\n\ndata:x\n\n", []Event{event("", "message", " x"), event("", "message", "x")}, ""},
		{"a field without a colon has an empty value", "data\n\n", []Event{event("", "message", "")}, ""},
		{"a block without data is no event but sets the id", "id: a\nevent: x\n\ndata: y\n\n", []Event{event("a", "message", "y")}, "a"},
		{"an id stays for later events", "id: a\ndata: x\n\ndata: y\n\n", []Event{event("a", "message", "x"), event("a", "message", "y")}, "a"},
		{"an empty id resets", "id: a\ndata: x\n\nid\ndata: y\n\n", []Event{event("a", "message", "x"), event("", "message", "y")}, ""},
		{"an id with NUL is ignored", "id: a\n\nid: b\x00\ndata: x\n\n", []Event{event("a", "message", "x")}, "a"},
		{"comments and unknown fields are ignored", ": c\ndata: x\n:\nfoo: y\ndat: z\n\n", []Event{event("", "message", "x")}, ""},
		{"a comment longer than any bound of memory", ":" + strings.Repeat(long, 4) + "\ndata: x\n\n", []Event{event("", "message", "x")}, ""},
		{"a byte order mark is dropped", "\uFEFFdata: x\n\n", []Event{event("", "message", "x")}, ""},
		{"only one, only at the start", "\uFEFF\uFEFFdata: x\n\n\uFEFFdata: y\n\ndata: z\n\n", []Event{event("", "message", "z")}, ""},
		{"a comment after the mark", "\uFEFF: c\ndata: x\n\n", []Event{event("", "message", "x")}, ""},
		{"an event the stream ends in is dropped", "data: x\n\nid: b\ndata: y\n", []Event{event("", "message", "x")}, "b"},
		{"a line the stream ends in is dropped", "data: x\n\nid: b", []Event{event("", "message", "x")}, ""},
		{"data of many reads", "data: " + long + "\ndata: y\n\ndata: z\n\n", []Event{event("", "message", long+"\ny"), event("", "message", "z")}, ""},
		{"nothing", "", nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := interpretation{events: test.want, lastID: test.lastID}
			if got := drainEvents(t, strings.NewReader(test.stream)); !sameEvents(got, want) {
				t.Errorf("got %.200q instead of %.200q", got.events, want.events)
			}
			if got := interpret(test.stream); !sameEvents(got, want) {
				t.Errorf("the reference has %.200q", got.events)
			}
			if got := drainEvents(t, iotest.OneByteReader(strings.NewReader(test.stream))); !sameEvents(got, want) {
				t.Errorf("byte by byte got %.200q instead of %.200q", got.events, want.events)
			}
			for cut := range min(len(test.stream), 60) {
				r := io.MultiReader(strings.NewReader(test.stream[:cut]), strings.NewReader(test.stream[cut:]))
				if got := drainEvents(t, r); !sameEvents(got, want) {
					t.Errorf("cut at %d: got %.200q instead of %.200q", cut, got.events, want.events)
				}
			}
		})
	}
}

func TestRetryTakesDigitsOnly(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"0": 0, "15": 15 * time.Millisecond, "001500": 1500 * time.Millisecond,
		"99999999999999999999999": longestRetry, "86400001": longestRetry,
		"": -1, "-1": -1, "+1": -1, "1.5": -1, " 1": -1, "1 ": -1, "1s": -1, "٣": -1,
	} {
		// One field before, so that what is ignored leaves it.
		got := drainEvents(t, strings.NewReader("retry: 7\nretry: "+value+"\n\n"))
		if want < 0 {
			want = 7 * time.Millisecond
		}
		if !got.retried || got.retry != want {
			t.Errorf("%q gives %v instead of %v", value, got.retry, want)
		}
	}
	if got := drainEvents(t, strings.NewReader("data: x\n\n")); got.retried {
		t.Error("a stream without the field has one")
	}
}

// TestEventIsThereWithItsLastByte: a stream pauses after each event, and what
// ends with CR must not wait for what might be an LF.
func TestEventIsThereWithItsLastByte(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		r, w := io.Pipe()
		events := NewEventReader(r, 100)
		for i := range 3 {
			data := fmt.Sprint(i)
			go func() { _, _ = io.WriteString(w, "data: "+data+end+end) }()
			if e, err := events.Next(); err != nil || string(e.Data) != data {
				t.Fatalf("got %q, %v instead of %q", e.Data, err, data)
			}
		}
		// The LF of the last CRLF may be on its way.
		go func() { _ = w.Close() }()
		if e, err := events.Next(); err != io.EOF {
			t.Fatalf("got %q, %v instead of the end", e.Data, err)
		}
	}
}

func TestEventBound(t *testing.T) {
	const bound = 100
	fits := "data: " + strings.Repeat("x", bound-len("data: "))
	for name, test := range map[string]struct {
		stream string
		events int
		err    error
	}{
		"just fits, again and again": {strings.Repeat(fits+"\n\n", 3), 3, io.EOF},
		"comments do not count":      {": " + strings.Repeat("c", 1000) + "\n" + fits + "\n\n", 1, io.EOF},
		"one byte more":              {fits + "\n\n" + fits + "x\n\n", 1, ErrEventTooLarge},
		"a line that does not end":   {fits + "x", 0, ErrEventTooLarge},
		"several lines":              {fits[:60] + "\n" + fits[:60] + "\n\n", 0, ErrEventTooLarge},
		"unknown fields":             {strings.Repeat("foo\n", 40), 0, ErrEventTooLarge},
		"an id":                      {"id: " + strings.Repeat("x", bound), 0, ErrEventTooLarge},
	} {
		for _, r := range []io.Reader{strings.NewReader(test.stream), iotest.OneByteReader(strings.NewReader(test.stream))} {
			events := NewEventReader(r, bound)
			for range test.events {
				if _, err := events.Next(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for range 2 {
				if e, err := events.Next(); !errors.Is(err, test.err) {
					t.Errorf("%s: got %q, %v instead of %v", name, e.Data, err, test.err)
				}
			}
		}
	}
}

func TestErrorOfTheReaderComesAfterItsEvents(t *testing.T) {
	broken := errors.New("broken")
	events := NewEventReader(io.MultiReader(strings.NewReader("data: x\n\ndata: y\n"), iotest.ErrReader(broken)), 100)
	if e, err := events.Next(); err != nil || string(e.Data) != "x" {
		t.Fatalf("got %q, %v", e.Data, err)
	}
	for range 2 {
		if _, err := events.Next(); err != broken {
			t.Fatalf("got %v", err)
		}
	}
}

// TestLargeEventIsNotCopiedOverAndOver: 48 MB in reads of 1 KB. What is
// allocated for it is a small multiple of its length, and so is the work.
func TestLargeEventIsNotCopiedOverAndOver(t *testing.T) {
	const size = 48 << 20
	stream := io.MultiReader(strings.NewReader("data: "), io.LimitReader(endlessLetters{}, size), strings.NewReader("\n\n"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	events := NewEventReader(smallReads{stream}, size+100)
	e, err := events.Next()
	runtime.ReadMemStats(&after)
	if err != nil || len(e.Data) != size {
		t.Fatalf("got %d bytes, %v", len(e.Data), err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 8*size {
		t.Errorf("%d MB were allocated for %d", allocated>>20, size>>20)
	}
}

type endlessLetters struct{}

func (endlessLetters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// smallReads gives at most a KB at a time.
type smallReads struct{ io.Reader }

func (s smallReads) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 1<<10)]) }

// randomReads gives pieces of random length.
type randomReads struct {
	io.Reader
	random *rand.Rand
}

func (c randomReads) Read(p []byte) (int, error) {
	return c.Reader.Read(p[:min(len(p), 1+c.random.IntN(1+c.random.IntN(9)))])
}

func FuzzEventReader(f *testing.F) {
	f.Add("\uFEFFid: a\r\nevent: message\r\ndata: {}\r\n\r\n", uint64(1))
	f.Add("data\rdata:x\n\r\nid: b\x00\nretry: 12\n: c\n\ndata: y\n", uint64(2))
	f.Add(":\n\n\r\r\n\ndata::\n\nid\n\nevent:e\n\ndata\n\n", uint64(3))
	f.Fuzz(func(t *testing.T, stream string, seed uint64) {
		want := interpret(stream)
		if got := drainEvents(t, strings.NewReader(stream)); !sameEvents(got, want) {
			t.Errorf("got %q, %+v instead of %q, %+v", got.events, got, want.events, want)
		}
		if got := drainEvents(t, randomReads{strings.NewReader(stream), rand.New(rand.NewPCG(seed, 0))}); !sameEvents(got, want) {
			t.Errorf("in pieces got %q, %+v instead of %q, %+v", got.events, got, want.events, want)
		}
	})
}

func BenchmarkEventReader(b *testing.B) {
	for _, size := range []int{4 << 10, 16 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			frame := []byte("id: abcdefghijklmnopqrstuvwx\nevent: message\ndata: " + strings.Repeat("x", size) + "\n\n")
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			events := NewEventReader(&endlessFrames{frame: frame}, int64(len(frame)))
			for b.Loop() {
				if _, err := events.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// endlessFrames repeats a frame.
type endlessFrames struct {
	frame []byte
	off   int
}

func (e *endlessFrames) Read(p []byte) (int, error) {
	n := copy(p, e.frame[e.off:])
	e.off = (e.off + n) % len(e.frame)
	return n, nil
}
