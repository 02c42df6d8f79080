package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// readAll returns the events of a stream, one a line, and how it ended.
func readAll(r io.Reader) (string, error) {
	var b strings.Builder
	events := newEventReader(r)
	for {
		e, err := events.next()
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintf(&b, "%s|%s|%q\n", e.id, e.name, e.data)
	}
}

func TestEventReader(t *testing.T) {
	for _, tt := range []struct{ name, stream, want string }{
		{"as the server sends it", ":\n\nid: a\nevent: message\ndata: {}\n\n", "a|message|\"{}\"\n"},
		{"no name is message", "data: x\n\n", "|message|\"x\"\n"},
		{"the id stays", "id: a\ndata: 1\n\ndata: 2\n\n", "a|message|\"1\"\na|message|\"2\"\n"},
		{"the name does not", "event: complete\ndata: 1\n\ndata: 2\n\n", "|complete|\"1\"\n|message|\"2\"\n"},
		{"an event without data is none", "id: a\nevent: x\n\ndata: 1\n\n", "a|message|\"1\"\n"},
		{"empty data is data", "data\n\ndata:\n\n", "|message|\"\"\n|message|\"\"\n"},
		{"several lines of data", "data: a\ndata: b\n\n", "|message|\"a\\nb\"\n"},
		{"one space goes", "data:  a\n\ndata:b\n\n", "|message|\" a\"\n|message|\"b\"\n"},
		{"carriage returns", "id: a\r\ndata: 1\r\n\r\n", "a|message|\"1\"\n"},
		{"comments and unknown fields", ": hello\nfoo: bar\ndata: 1\n: more\n\n", "|message|\"1\"\n"},
		{"an id with NUL is none", "id: a\nid: b\x00\ndata: 1\n\n", "a|message|\"1\"\n"},
		{"a cut event is none", "data: 1\n\ndata: 2\n", "|message|\"1\"\n"},
		{"longer than the buffer", "data: " + strings.Repeat("x", 200<<10) + "\n\n", "|message|\"" + strings.Repeat("x", 200<<10) + "\"\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readAll(strings.NewReader(tt.stream))
			if got != tt.want || !errors.Is(err, io.EOF) {
				t.Errorf("got %.200q %v\nwant %.200q", got, err, tt.want)
			}
		})
	}
}

func TestRetryField(t *testing.T) {
	events := newEventReader(strings.NewReader("retry: 1500\nretry: soon\n\ndata: x\n\n"))
	if _, err := events.next(); err != nil || events.retry.Milliseconds() != 1500 {
		t.Errorf("%v %v", events.retry, err)
	}
}

// How a stream is cut into reads does not change its events.
func FuzzEventReader(f *testing.F) {
	f.Add([]byte("id: a\nevent: complete\ndata: {}\n\n:\n\ndata\r\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		whole, err := readAll(bytes.NewReader(stream))
		pieces, pieceErr := readAll(iotest.OneByteReader(bytes.NewReader(stream)))
		if whole != pieces || !errors.Is(err, io.EOF) || !errors.Is(pieceErr, io.EOF) {
			t.Errorf("%q %v\n%q %v", whole, err, pieces, pieceErr)
		}
	})
}
