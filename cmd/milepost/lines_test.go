package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"
)

// lines reads a log while it is being written.
type lines struct{ ch chan string }

func newLines(r io.Reader) *lines {
	l := &lines{ch: make(chan string, 1024)}
	go func() {
		defer close(l.ch)
		for s := bufio.NewScanner(r); s.Scan(); {
			l.ch <- s.Text()
		}
	}()
	return l
}

// until waits for a line that contains the words.
func (l *lines) until(t *testing.T, words string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-l.ch:
			if !ok {
				t.Fatalf("the log ended without %q", words)
			}
			if strings.Contains(line, words) {
				return
			}
		case <-deadline:
			t.Fatalf("no line with %q", words)
		}
	}
}
