package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// event is a server-sent event (HTML standard, section 9.2.6).
type event struct {
	id, name, data string
	// fields are the names of its lines in order.
	fields []string
}

// eventReader reads events as a browser does. It is for checks: the load's
// readers count markers instead.
type eventReader struct {
	header http.Header
	body   io.ReadCloser
	lines  *bufio.Reader
}

// watch opens a job's stream with that key; the answer must be 200. query
// begins with ? if it is not empty.
func (v *verifier) watch(key, job, query string, header ...string) (*eventReader, error) {
	resp, err := v.open(key, http.MethodGet, collectionPath(job)+"stream"+query, nil, append([]string{"Accept", "text/event-stream"}, header...)...)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxStreamHead))
		return nil, errors.Join(fmt.Errorf("the stream answers %d, not 200: %s", resp.StatusCode, excerpt(body)), resp.Body.Close())
	}
	return &eventReader{resp.Header, resp.Body, bufio.NewReader(resp.Body)}, nil
}

// close ends the stream.
func (s *eventReader) close() { _ = s.body.Close() }

// next returns the next event. Comments and blocks without data are none.
func (s *eventReader) next() (event, error) {
	e := event{name: "message"}
	var data []string
	for {
		line, err := s.lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return e, errors.New("the stream has ended")
		}
		if err != nil {
			return e, fmt.Errorf("the stream broke: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			if len(data) > 0 {
				e.data = strings.Join(data, "\n")
				return e, nil
			}
			e = event{name: "message"}
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			continue // a comment
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			data = append(data, value)
		}
		e.fields = append(e.fields, name)
	}
}

// wantEnd checks that the stream ends cleanly without a further event.
func (s *eventReader) wantEnd() error {
	rest, err := io.ReadAll(io.LimitReader(s.lines, maxStreamHead))
	if err != nil {
		return fmt.Errorf("the stream does not end cleanly: %w", err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("behind complete comes %q", excerpt(rest))
	}
	return nil
}
