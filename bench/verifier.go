package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
)

// verifier asks a server and says what is wrong with its answers.
type verifier struct {
	// whole is the context of the whole run, ctx that of the present check.
	whole, ctx context.Context
	base       string
	key, other string
	http       *http.Client
	rng        *rand.Rand
}

// newVerifier returns a verifier of the server at target. other is the key of a
// second organization, or empty.
func newVerifier(ctx context.Context, target, key, other string) (*verifier, error) {
	c, err := newClient(target, key)
	if err != nil {
		return nil, err
	}
	return &verifier{
		whole: ctx, ctx: ctx, base: strings.TrimSuffix(c.target.String(), "/"), key: key, other: other,
		http: c.http, rng: newRand(randomSeed(), 0),
	}, nil
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// open sends a request and returns its answer with the body still to be read.
// header holds names and values in turn; an empty key sends none.
func (v *verifier) open(key, method, path string, body []byte, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(v.ctx, method, v.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		req.Body = nil
		req.ContentLength = 0
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return resp, nil
}

// as sends a request with the given key and reads the answer.
func (v *verifier) as(key, method, path string, body []byte, header ...string) (reply, error) {
	resp, err := v.open(key, method, path, body, header...)
	if err != nil {
		return reply{}, err
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return reply{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return reply{resp.StatusCode, resp.Header, b}, nil
}

// do is as with the first key.
func (v *verifier) do(method, path string, body []byte, header ...string) (reply, error) {
	return v.as(v.key, method, path, body, header...)
}

// get reads path, whose answer must be 200 and JSON.
func (v *verifier) get(path string, header ...string) (reply, error) {
	r, err := v.do(http.MethodGet, path, nil, header...)
	if err == nil && r.status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d, not 200: %s", path, r.status, excerpt(r.body))
	}
	return r, err
}

// newJob returns the id of a job that nobody has.
func (v *verifier) newJob() string { return newID(v.rng) }

// stored is a checkpoint as the answer to its POST showed it.
type stored struct {
	id       string
	sequence int64
	// raw is data.checkpoint.
	raw json.RawMessage
}

// post creates a checkpoint, whose answer must be 200.
func (v *verifier) post(job string, body []byte, header ...string) (stored, error) {
	r, err := v.do(http.MethodPost, collectionPath(job), body, header...)
	if err != nil {
		return stored{}, err
	}
	if r.status != http.StatusOK {
		return stored{}, fmt.Errorf("POST: status %d, not 200: %s", r.status, excerpt(r.body))
	}
	return r.checkpoint()
}

// checkpoint reads data.checkpoint.
func (r reply) checkpoint() (stored, error) {
	var a struct {
		Data struct {
			Checkpoint json.RawMessage `json:"checkpoint"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.body, &a); err != nil {
		return stored{}, fmt.Errorf("the answer is no JSON: %w: %s", err, excerpt(r.body))
	}
	return storedOf(a.Data.Checkpoint)
}

// storedOf reads a checkpoint.
func storedOf(raw json.RawMessage) (stored, error) {
	var c struct {
		ID       string `json:"id"`
		Sequence int64  `json:"sequence"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return stored{}, fmt.Errorf("no checkpoint: %w: %s", err, excerpt(raw))
	}
	if !isID(c.ID) {
		return stored{}, fmt.Errorf("a checkpoint's id is %q", c.ID)
	}
	return stored{c.ID, c.Sequence, raw}, nil
}

// seed creates n checkpoints with that status in a new job.
func (v *verifier) seed(n int, statuses ...string) (job string, all []stored, err error) {
	job = v.newJob()
	for i := range n {
		status := statusProceeding
		if i < len(statuses) {
			status = statuses[i]
		}
		s, err := v.post(job, checkBody(status, i+1))
		if err != nil {
			return job, all, err
		}
		all = append(all, s)
	}
	return job, all, nil
}

// checkBody is a small checkpoint with that status.
func checkBody(status string, step int) []byte {
	b := strings.Replace(smallestBody, `"proceeding"`, `"`+status+`"`, 1)
	b = strings.ReplaceAll(b, `"stepNumber":1,`, fmt.Sprintf(`"stepNumber":%d,`, step))
	return []byte(strings.Replace(b, "~", fmt.Sprintf("step %d", step), 1))
}

// wantError checks the body of an error. An empty reason stands for any.
func (r reply) wantError(code int, title, reason string) error {
	if r.status != code {
		return fmt.Errorf("status %d, not %d: %s", r.status, code, excerpt(r.body))
	}
	if t := r.header.Get("Content-Type"); !strings.HasPrefix(t, "application/json") {
		return fmt.Errorf("the content type of a %d is %q", code, t)
	}
	var e struct {
		Code   int             `json:"code"`
		Error  string          `json:"error"`
		Reason json.RawMessage `json:"reason"`
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		return fmt.Errorf("the body of a %d is no JSON: %s", code, excerpt(r.body))
	}
	if e.Code != code || e.Error != title {
		return fmt.Errorf("the body of a %d says code %d, error %q, not %q", code, e.Code, e.Error, title)
	}
	if len(e.Reason) == 0 {
		return fmt.Errorf("the body of a %d has no reason", code)
	}
	var text string
	if reason != "" && (json.Unmarshal(e.Reason, &text) != nil || text != reason) {
		return fmt.Errorf("the reason of a %d is %s, not %q", code, excerpt(e.Reason), reason)
	}
	return nil
}

// wantFaults checks a 422 whose reason names the given paths.
func (r reply) wantFaults(paths ...string) error {
	if err := r.wantError(http.StatusUnprocessableEntity, "Validation Failed", ""); err != nil {
		return err
	}
	var e struct {
		Reason []struct {
			Path    string `json:"path"`
			Message string `json:"message"`
		} `json:"reason"`
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		return fmt.Errorf("the reason of a 422 is no array of faults: %s", excerpt(r.body))
	}
	for _, want := range paths {
		found := false
		for _, f := range e.Reason {
			found = found || (f.Path == want && f.Message != "")
		}
		if !found {
			return fmt.Errorf("no fault at %s: %s", want, excerpt(r.body))
		}
	}
	return nil
}

// refuses sends a request whose answer must be the error that want checks.
func (v *verifier) refuses(method, path string, body []byte, want func(reply) error, header ...string) error {
	r, err := v.do(method, path, body, header...)
	if err == nil {
		err = want(r)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, excerpt([]byte(path)), err)
	}
	return nil
}

// isError returns wantError for refuses.
func isError(code int, title, reason string) func(reply) error {
	return func(r reply) error { return r.wantError(code, title, reason) }
}

// hasFaults returns wantFaults for refuses.
func hasFaults(paths ...string) func(reply) error {
	return func(r reply) error { return r.wantFaults(paths...) }
}
