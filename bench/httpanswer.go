package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// httpAnswer takes apart the answers that come over one HTTP/1.1 connection, one
// after the other. It reads of a head what it must: the load generator shares
// the machine's cores with what it measures.
type httpAnswer struct {
	// status and body are those of the last whole answer. The body is good as
	// long as the bytes that it was taken from, and until the next answer.
	status int
	body   []byte
	// head is the length of the head of the answer that is coming, 0 as long as
	// that is not whole, length that of its body, or chunkedBody.
	head, length int
	// at is where the next chunk begins, joined what those before it held.
	at     int
	joined []byte
}

const (
	// chunkedBody says that a body comes in chunks, unknownBody that a head does
	// not say how long it is.
	chunkedBody = -1
	unknownBody = -2
)

// answer implements answerer.
func (a *httpAnswer) answer(b []byte) (used int, err error) {
	if a.head == 0 {
		if err := a.takeHead(b); err != nil || a.head == 0 {
			return 0, err
		}
	}
	if a.length == chunkedBody {
		used, err = a.takeChunks(b)
	} else if end := a.head + a.length; end <= len(b) {
		a.body, used = b[a.head:end], end
	}
	if used > 0 {
		a.head = 0
	}
	return used, err
}

// ok returns an error unless the status of the last answer is 200.
func (a *httpAnswer) ok() error {
	if a.status != 200 {
		return fmt.Errorf("status %d: %s", a.status, excerpt(a.body))
	}
	return nil
}

// takeHead reads a head; if it is not whole, a.head stays 0.
func (a *httpAnswer) takeHead(b []byte) error {
	length := unknownBody
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return nil
		}
		line := b[at : at+n]
		if n == 0 || line[n-1] != '\r' {
			return fmt.Errorf("no end of a line of HTTP: %q", excerpt(b))
		}
		line = line[:n-1]
		var err error
		switch {
		case at == 0:
			a.status, err = statusOf(line)
		case len(line) == 0:
			return a.endHead(at+n+1, length)
		default:
			length, err = bodyLength(line, length)
		}
		if err != nil {
			return err
		}
		at += n + 1
	}
}

// endHead takes note of a head of size bytes and of the length of what follows.
func (a *httpAnswer) endHead(size, length int) error {
	if a.status == 304 || a.status == 204 {
		// Neither has a body, whatever its headers say (RFC 9112, section 6.3).
		length = 0
	}
	if length == unknownBody {
		return errors.New("the answer has neither a content length nor chunks")
	}
	a.head, a.length, a.at, a.joined = size, length, size, a.joined[:0]
	return nil
}

// statusOf reads the status from the first line of an answer.
func statusOf(line []byte) (int, error) {
	const before = "HTTP/1.1 "
	if len(line) < len(before)+3 || string(line[:len(before)]) != before {
		return 0, fmt.Errorf("no HTTP/1.1 answer: %q", excerpt(line))
	}
	status, err := strconv.Atoi(string(line[len(before) : len(before)+3]))
	if err != nil {
		return 0, fmt.Errorf("no status in %q", excerpt(line))
	}
	return status, nil
}

// bodyLength returns what a header line says about the length of the body, and
// length if it says nothing. Chunks win over a length (RFC 9112, section 6.3).
func bodyLength(line []byte, length int) (int, error) {
	if v, ok := headerOf(line, "Content-Length"); ok && length != chunkedBody {
		n, err := strconv.Atoi(string(v))
		if err != nil || n < 0 || n > maxAnswer {
			return 0, fmt.Errorf("content length is %q", v)
		}
		return n, nil
	}
	if v, ok := headerOf(line, "Transfer-Encoding"); ok {
		if string(v) != "chunked" {
			return 0, fmt.Errorf("transfer encoding is %q", v)
		}
		return chunkedBody, nil
	}
	return length, nil
}

// headerOf returns the value of a header line if it has that name, without
// regard to case.
func headerOf(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

// headerValue finds a header by its name without regard to case.
func headerValue(head []byte, name string) ([]byte, bool) {
	for line := range bytes.Lines(head) {
		if v, ok := headerOf(line, name); ok {
			return v, true
		}
	}
	return nil, false
}

// takeChunks joins the chunks that are there (RFC 9112, section 7.1), and
// returns the length of the answer once the last one is.
func (a *httpAnswer) takeChunks(b []byte) (int, error) {
	for {
		n := bytes.IndexByte(b[a.at:], '\n')
		if n < 0 {
			return 0, nil
		}
		field, _, _ := bytes.Cut(b[a.at:a.at+n], []byte(";"))
		size, err := strconv.ParseUint(string(bytes.TrimSpace(field)), 16, 31)
		if err != nil || size > maxAnswer {
			return 0, fmt.Errorf("chunk size is %q", excerpt(field))
		}
		begin := a.at + n + 1
		end := begin + int(size)
		if end+2 > len(b) {
			return 0, nil
		}
		if b[end] != '\r' || b[end+1] != '\n' {
			return 0, fmt.Errorf("a chunk of %d bytes goes on", size)
		}
		if size == 0 {
			a.body = a.joined
			return end + 2, nil
		}
		a.joined = append(a.joined, b[begin:end]...)
		a.at = end + 2
	}
}
