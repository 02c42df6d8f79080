package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// twoOrganizationsServer starts milepost with a key for each of two
// organizations. It ends with the test.
func twoOrganizationsServer(t *testing.T) *milepostServer {
	t.Helper()
	s := &scenario{ctx: t.Context(), progress: io.Discard, dir: t.TempDir()}
	m, err := s.startTwoOrganizations()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.end(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestVerifyPassesMilepost(t *testing.T) {
	m := twoOrganizationsServer(t)
	var out, progress bytes.Buffer
	status := dispatch(t.Context(), []string{"verify", "--target", "http://" + m.addr, "--key", benchKey, "--other-key", otherBenchKey}, &out, &progress)
	if status != 0 || strings.Contains(out.String(), "FAIL") || strings.Contains(out.String(), "\nleft") {
		t.Errorf("status %d\n%s%s", status, out.String(), progress.String())
	}
	if lines := strings.Count(out.String(), "\n"); lines != len(conformanceChecks())+1 {
		t.Errorf("%d lines for %d checks", lines, len(conformanceChecks()))
	}
	out.Reset()
	status = dispatch(t.Context(), []string{"verify", "--target", "http://" + m.addr, "--key", benchKey, "--document"}, &out, &progress)
	if status != 0 || strings.Contains(out.String(), "ok   +") || !strings.Contains(out.String(), "left + tenancy") {
		t.Errorf("status %d\n%s", status, out.String())
	}
	out.Reset()
	if status = dispatch(t.Context(), []string{"verify", "--target", "http://" + m.addr, "--key", "wrong"}, &out, &progress); status != 1 || !strings.Contains(out.String(), "FAIL") {
		t.Errorf("a wrong key gives status %d", status)
	}
}

// alteredServer passes requests on to milepost and alters the answers.
type alteredServer struct {
	request func(*http.Request)
	answer  func(*http.Response, []byte) []byte
	// stream alters the stream's bytes, whatever is read at once.
	stream func([]byte) []byte
}

// start starts it in front of m, to end with the test.
func (a alteredServer) start(t *testing.T, m *milepostServer) string {
	target, err := url.Parse("http://" + m.addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if a.request != nil {
				a.request(r.Out)
			}
		},
		FlushInterval: -1,
		ModifyResponse: func(r *http.Response) error {
			if strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream") {
				if a.stream != nil {
					r.Body = &alteredBody{r.Body, a.stream}
				}
				return nil
			}
			if a.answer == nil || r.Request.Method == http.MethodHead {
				return nil
			}
			body, err := io.ReadAll(r.Body)
			if err = errors.Join(err, r.Body.Close()); err != nil {
				return err
			}
			body = a.answer(r, body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			r.ContentLength = int64(len(body))
			r.Header.Del("Content-Length")
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}

// alteredBody alters what is read.
type alteredBody struct {
	io.ReadCloser
	alter func([]byte) []byte
}

// Read implements io.Reader. What alter gives must fit where the read went.
func (b *alteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:len(p)/4])
	return copy(p, b.alter(bytes.Clone(p[:n]))), err
}

func TestVerifyFindsAServerThatIsWrong(t *testing.T) {
	m := twoOrganizationsServer(t)
	replace := func(old, with string) func(*http.Response, []byte) []byte {
		return func(_ *http.Response, b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(with)) }
	}
	cases := []struct {
		name    string
		rule    string
		says    string
		altered alteredServer
	}{
		{"a wrong key is let in", "without a key, and with a wrong one", "status 404, not 401", alteredServer{request: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+benchKey) }}},
		{"an error without a reason", "an unknown checkpoint is 404", "has no reason", alteredServer{answer: replace(`"reason"`, `"because"`)}},
		{"a 422 that is a 400", "a body of the wrong shape is 422", "status 400, not 422", alteredServer{answer: func(r *http.Response, b []byte) []byte {
			if r.StatusCode == 422 {
				r.StatusCode = 400
			}
			return b
		}}},
		{"faults without their paths", "the reason of a 422 names all faults", "no fault at checkpoint.usage.inputTokens", alteredServer{answer: replace(`"path":"checkpoint.`, `"path":"`)}},
		{"a property is missing", "the answer has every property", "runId", alteredServer{answer: replace(`"runId"`, `"run"`)}},
		{"numbers are read and written again", "messages come back with the same literals", "not as they were posted", alteredServer{answer: replace(`1.10`, `1.1`)}},
		{"another action", "recorded jobs get the actions", "action.type", alteredServer{answer: replace(`"type":"readTextFile"`, `"type":"generalTool"`)}},
		{"a sequence is skipped", "sequence runs 1, 2, 3", "has the sequence 4", alteredServer{answer: replace(`"sequence":3`, `"sequence":4`)}},
		{"the idempotency key is not looked at", "an Idempotency-Key with the same body", "the answers are", alteredServer{request: func(r *http.Request) { r.Header.Del("Idempotency-Key") }}},
		{"no ETag", "a checkpoint carries a strong ETag", `ETag is ""`, alteredServer{answer: func(r *http.Response, b []byte) []byte { r.Header.Del("ETag"); return b }}},
		{"If-None-Match is not looked at", "If-None-Match with the ETag", "gives 200", alteredServer{request: func(r *http.Request) { r.Header.Del("If-None-Match") }}},
		{"GET differs from POST", "GET gives what the answer to POST showed", "POST gave", alteredServer{answer: func(r *http.Response, b []byte) []byte {
			if r.Request.Method == http.MethodGet {
				return bytes.ReplaceAll(b, []byte("step 2"), []byte("step two"))
			}
			return b
		}}},
		{"pages are turned round", "pages hold the checkpoints in order", "checkpoint 1 of the page", alteredServer{request: func(r *http.Request) {
			r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "order=desc", "order=asc")
		}}},
		{"the total is that of the page", "pages hold the checkpoints in order", "not total 12", alteredServer{answer: replace(`"total":12`, `"total":10`)}},
		{"an event is doubled", "a subscriber gets what is stored and then what comes", "in place of sequence", alteredServer{stream: func(b []byte) []byte {
			if i := bytes.Index(b, []byte("id: ")); i >= 0 {
				return append(b, b[i:]...)
			}
			return b
		}}},
		{"an event gets another id", "Last-Event-ID, as a header or in the query", "in place of sequence", alteredServer{request: func(r *http.Request) { r.Header.Del("Last-Event-ID") }}},
		{"complete has another status", "a job that has ended gives its history", "status is", alteredServer{stream: func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(`"status":"failed"`), []byte(`"status":"broken"`))
		}}},
		{"a stream for an unknown job", "the stream of an unknown job is 404", "status 200", alteredServer{answer: func(r *http.Response, b []byte) []byte {
			if strings.HasSuffix(r.Request.URL.Path, "/stream") {
				r.StatusCode = 200
			}
			return b
		}}},
		{"organizations are not told apart", "another organization gets 404", "status 200", alteredServer{request: func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+benchKey) }}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v, err := newVerifier(t.Context(), c.altered.start(t, m), benchKey, otherBenchKey)
			if err != nil {
				t.Fatal(err)
			}
			defer v.http.CloseIdleConnections()
			found := false
			for _, check := range conformanceChecks() {
				if !strings.HasPrefix(check.rule, c.rule) {
					continue
				}
				found = true
				if err := v.once(check); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v, which does not say %q", check.rule, err, c.says)
				}
			}
			if !found {
				t.Errorf("no rule begins with %q", c.rule)
			}
		})
	}
}
