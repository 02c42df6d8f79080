package terminal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"milepost/internal/checkpoint"
)

// maxAnswer bounds the answers that are read whole, in bytes. An answer to a
// checkpoint repeats it, and a server takes 64 MiB unless told otherwise.
const maxAnswer = 512 << 20

// headerTimeout is how long a server may take to begin its answer. A write
// waits for a sync, and a filtered list for a scan that the server bounds.
const headerTimeout = 2 * time.Minute

// Client talks to one server with one key. It is safe for concurrent use.
type Client struct {
	base string
	key  string
	http *http.Client
}

// NewClient returns a client of the server at target, an http or https URL, or
// unix:/path for a socket.
func NewClient(target, key string) (*Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = headerTimeout
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		target = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	}
	u, err := url.Parse(target)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("target %q is no http or https URL, such as http://127.0.0.1:8080", target)
	}
	return &Client{
		base: u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/"),
		key:  key,
		http: &http.Client{
			Transport: transport,
			// The key goes where it was meant to go, and a POST stays one.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// CheckID says what is wrong with an id that somebody typed.
func CheckID(what, id string) error {
	if !checkpoint.ValidID(id) {
		return fmt.Errorf("%s %q: an id is %d characters of a-z and 0-9", what, id, checkpoint.IDLen)
	}
	return nil
}

// checkpoints is the path of a job's checkpoints.
func checkpoints(job string) string {
	return "/api/studio/v1/expert_jobs/" + job + "/checkpoints/"
}

// ask sends a request. The body of the answer is the caller's to close; the
// error is an *APIError if the answer is no success.
func (c *Client) ask(ctx context.Context, method, path string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("User-Agent", "milepost-terminal")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the server: %w%s", err, hint(err))
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, readAPIError(resp)
	}
	return resp, nil
}

// whole sends a request and reads its answer whole.
func (c *Client) whole(ctx context.Context, method, path string, header http.Header, body io.Reader) ([]byte, error) {
	resp, err := c.ask(ctx, method, path, header, body)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("the answer was cut: %w", err)
	}
	if len(b) > maxAnswer {
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return b, nil
}

// envelope is what the API wraps a checkpoint in.
type envelope struct {
	Data struct {
		Checkpoint json.RawMessage `json:"checkpoint"`
	} `json:"data"`
}

// Checkpoint returns one checkpoint, in the bytes that the server gave.
func (c *Client) Checkpoint(ctx context.Context, job, id string) (json.RawMessage, error) {
	b, err := c.whole(ctx, http.MethodGet, checkpoints(job)+id, nil, nil)
	if err != nil {
		return nil, err
	}
	return unwrap(b)
}

// Exists returns no error if the job has the checkpoint.
func (c *Client) Exists(ctx context.Context, job, id string) error {
	resp, err := c.ask(ctx, http.MethodHead, checkpoints(job)+id, nil, nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Posted is what an answer to a POST says of its checkpoint.
type Posted struct {
	ID string `json:"id"`
	// Sequence is its place in the job, from 1 on; 0 if the server does not say.
	Sequence uint64 `json:"sequence"`
}

// Post creates a checkpoint. The same idempotency key with the same body returns
// what it returned the first time.
func (c *Client) Post(ctx context.Context, job, idempotencyKey string, body []byte) (made Posted, err error) {
	header := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {idempotencyKey}}
	b, err := c.whole(ctx, http.MethodPost, checkpoints(job), header, bytes.NewReader(body))
	if err != nil {
		return Posted{}, err
	}
	raw, err := unwrap(b)
	if err != nil {
		return Posted{}, err
	}
	if err := json.Unmarshal(raw, &made); err != nil || !checkpoint.ValidID(made.ID) {
		return Posted{}, errors.New("the answer has no checkpoint with an id: is the target a Milepost?")
	}
	return made, nil
}

func unwrap(answer []byte) (json.RawMessage, error) {
	var e envelope
	if err := json.Unmarshal(answer, &e); err != nil || len(e.Data.Checkpoint) == 0 {
		return nil, errors.New("the answer holds no checkpoint: is the target a Milepost?")
	}
	return e.Data.Checkpoint, nil
}

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }
