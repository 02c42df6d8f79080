package terminal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"milepost/internal/checkpoint"
)

// adminToken is the file in the data directory with the token of the admin
// listener.
const adminToken = "admin-token"

// Importer sends exports to the admin listener of a server on this machine.
type Importer struct {
	Admin   string // address of the listener: host:port, or unix:/path
	DataDir string // the server's data directory, which holds the token

	Organization string // id of who is to own the jobs; empty: as the header says
	Application  string // id of the application; may be empty

	Progress func(job string, lines int) // called after each line; may be nil
}

// Imported tells what became of one job.
type Imported struct {
	Job         string `json:"job"`
	Checkpoints int    `json:"checkpoints"` // stored now
	Present     int    `json:"present"`     // found there, with the same bytes
}

// Import reads exports from r and sends each job in a request of its own (see
// the package comment). It calls done after each, and ends with the first that
// fails.
func (im *Importer) Import(ctx context.Context, r io.Reader, done func(Imported)) error {
	if im.Admin == "" {
		return errors.New("server.admin_listen is off: there is nobody to import")
	}
	token, err := os.ReadFile(filepath.Join(im.DataDir, adminToken))
	if err != nil {
		return fmt.Errorf("cannot read the admin token; is the server running on this data directory? %w", err)
	}
	client := adminHTTP(im.Admin)
	defer client.CloseIdleConnections()
	lines := &exportReader{r: bufio.NewReaderSize(r, 64<<10)}
	for {
		header, err := lines.header()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		got, err := im.job(ctx, client, strings.TrimSpace(string(token)), header, lines)
		if err != nil {
			return fmt.Errorf("job %s: %w", header.Job, err)
		}
		done(got)
	}
}

// job sends the lines up to the next header.
func (im *Importer) job(ctx context.Context, client *http.Client, token string, h exportHeader, lines *exportReader) (Imported, error) {
	query := url.Values{"job": {h.Job}, "organization": {im.Organization}}
	if im.Organization == "" {
		query.Set("organization", h.Organization)
	}
	if query.Get("organization") == "" {
		return Imported{}, errors.New("the export does not say whose it is: name the owner with --organization")
	}
	if im.Application != "" {
		query.Set("application", im.Application)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// The lines are read by the goroutine that sends them; it has ended when the
	// pipe's reader is closed and fed is.
	body, feed := io.Pipe()
	var unreadable error
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		n := 0
		unreadable = lines.job(func(line []byte) error {
			if _, err := feed.Write(line); err != nil {
				return errNotWanted
			}
			if n++; im.Progress != nil {
				im.Progress(h.Job, n)
			}
			return nil
		})
		_ = feed.CloseWithError(unreadable) // nil is the end
	}()
	answer, err := im.send(ctx, client, token, query, body)
	_ = body.CloseWithError(errNotWanted)
	<-fed
	if unreadable != nil && !errors.Is(unreadable, errNotWanted) {
		return Imported{}, unreadable
	}
	return answer, err
}

// errNotWanted ends the reading of lines that the server has refused.
var errNotWanted = errors.New("the server takes no more lines")

func (im *Importer) send(ctx context.Context, client *http.Client, token string, query url.Values, body io.Reader) (Imported, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/import?"+query.Encode(), body)
	if err != nil {
		return Imported{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Expect", "100-continue")
	resp, err := client.Do(req)
	if err != nil {
		return Imported{}, fmt.Errorf("cannot send it to the server at %s: %w", im.Admin, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return Imported{}, fmt.Errorf("the answer was cut: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return Imported{}, fmt.Errorf("the server refused with %d: %s", resp.StatusCode, Clean(strings.TrimSpace(string(text))))
	}
	var got Imported
	if err := json.Unmarshal(text, &got); err != nil {
		return Imported{}, fmt.Errorf("the server's answer is not understood: %w", err)
	}
	got.Job = query.Get("job")
	return got, nil
}

// adminHTTP returns a client that reaches the listener at address whatever the
// host of a URL.
func adminHTTP(address string) *http.Client {
	network, dial := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, dial = "unix", path
	}
	return &http.Client{Transport: &http.Transport{
		// A server that refuses says so before it is sent the whole job.
		ExpectContinueTimeout: 5 * time.Second,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, dial)
		},
	}}
}

// exportReader reads exports line by line.
type exportReader struct {
	r      *bufio.Reader
	number int           // of the last line, from 1
	next   *exportHeader // read ahead, at the end of a job
}

// header returns the header of the next job, or io.EOF.
func (x *exportReader) header() (exportHeader, error) {
	if x.next == nil {
		line, err := x.line()
		if err != nil {
			return exportHeader{}, err
		}
		h, ok := parseHeader(line)
		if !ok {
			return exportHeader{}, fmt.Errorf("line %d: an export begins with its header", x.number)
		}
		x.next = &h
	}
	h := *x.next
	x.next = nil
	switch {
	case h.Version != exportVersion:
		return h, fmt.Errorf("line %d: version %d of the format is not known", x.number, h.Version)
	case !checkpoint.ValidID(h.Job), h.Organization != "" && !checkpoint.ValidID(h.Organization):
		return h, fmt.Errorf("line %d: the header names no valid job", x.number)
	}
	return h, nil
}

// job calls each with the lines up to the next header, with their line feeds.
func (x *exportReader) job(each func(line []byte) error) error {
	for {
		line, err := x.line()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h, ok := parseHeader(line); ok {
			x.next = &h
			return nil
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// line returns the next line that is not empty, with one line feed at its end.
func (x *exportReader) line() ([]byte, error) {
	for {
		line, err := x.r.ReadBytes('\n')
		if len(line) > 0 {
			x.number++
		}
		if text := bytes.TrimSpace(line); len(text) > 0 {
			if !errors.Is(err, io.EOF) && err != nil {
				return nil, err
			}
			return append(text, '\n'), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// parseHeader tells a header from a checkpoint, which is an object too: only a
// header begins with "milepost".
func parseHeader(line []byte) (h exportHeader, ok bool) {
	if !bytes.HasPrefix(line, []byte(`{"milepost":`)) {
		return h, false
	}
	return h, json.Unmarshal(line, &h) == nil && h.Milepost == exportMark
}
