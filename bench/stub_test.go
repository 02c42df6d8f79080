package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"milepost/internal/checkpoint"
)

const stubKey = "stub-key"

// stub is a server of known behaviour: the POST, GET and list of the API
// document, kept in memory, with a hook that makes it misbehave.
type stub struct {
	*httptest.Server
	// before answers the nth POST (from 1) in place of the stub if it returns true.
	before func(n int, w http.ResponseWriter) bool
	// alter changes the answer of the nth POST.
	alter func(n int, created map[string]any)

	mu    sync.Mutex
	posts int
	jobs  map[string]*stubJob
}

// stubJob holds the checkpoints of a job and the answers by idempotency key.
type stubJob struct {
	checkpoints [][]byte
	ids         map[string]int
	byKey       map[string]json.RawMessage
	bodies      []json.RawMessage
}

// newStub starts a stub, which ends with the test.
func newStub(t *testing.T) *stub {
	s := &stub{jobs: map[string]*stubJob{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// altering sets what changes answers. It takes the lock because the race detector
// does not see that a request that is sent by a raw system call comes after.
func (s *stub) altering(alter func(n int, created map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alter = alter
}

// ServeHTTP implements http.Handler.
func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+stubKey {
		http.Error(w, `{"code":401,"error":"Unauthorized","reason":"Failed to authenticate"}`, http.StatusUnauthorized)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/studio/v1/expert_jobs/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	id, wanted, _ := strings.Cut(rest, "/checkpoints/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.Method == http.MethodPost:
		s.create(w, id, r.Header.Get("Idempotency-Key"), body)
	case s.jobs[id] == nil:
		w.WriteHeader(http.StatusNotFound)
	case wanted == "":
		s.page(w, s.jobs[id], r)
	default:
		n, ok := s.jobs[id].ids[wanted]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, `{"data":{"checkpoint":%s}}`, s.jobs[id].checkpoints[n])
	}
}

// create answers a POST.
func (s *stub) create(w http.ResponseWriter, id, key string, body []byte) {
	s.posts++
	if s.before != nil && s.before(s.posts, w) {
		return
	}
	j := s.jobs[id]
	if j == nil {
		j = &stubJob{ids: map[string]int{}, byKey: map[string]json.RawMessage{}}
		s.jobs[id] = j
	}
	if known, ok := j.byKey[key]; ok && key != "" {
		_, _ = w.Write(known)
		return
	}
	var b struct {
		Checkpoint map[string]json.RawMessage `json:"checkpoint"`
		Step       map[string]json.RawMessage `json:"step"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		http.Error(w, `{"code":400}`, http.StatusBadRequest)
		return
	}
	n := len(j.checkpoints)
	created := map[string]any{}
	for name, v := range b.Step {
		created[name] = v
	}
	for name, v := range b.Checkpoint {
		created[name] = v
	}
	cid := fmt.Sprintf("c%023d", s.posts)
	created["type"], created["id"], created["expertJobId"] = "checkpoint", cid, id
	created["runId"], created["sequence"], created["createdAt"] = "r"+id[1:], n+1, fileTime
	created["action"] = object{"type": actionOf(body)}
	if s.alter != nil {
		s.alter(s.posts, created)
	}
	raw := plainJSON(created)
	j.checkpoints, j.bodies = append(j.checkpoints, raw), append(j.bodies, body)
	j.ids[cid] = n
	full := append(append([]byte(`{"data":{"checkpoint":`), raw...), "}}"...)
	j.byKey[key] = full
	_, _ = w.Write(full)
}

// page answers a list.
func (s *stub) page(w http.ResponseWriter, j *stubJob, r *http.Request) {
	number := func(name string, absent int) int {
		if n, err := strconv.Atoi(r.URL.Query().Get(name)); err == nil {
			return n
		}
		return absent
	}
	take, skip := number("take", 10), number("skip", 0)
	all := j.checkpoints
	if r.URL.Query().Get("order") == "desc" {
		all = slices.Clone(all)
		slices.Reverse(all)
	}
	from := min(skip, len(all))
	to := min(from+take, len(all))
	// Joined, not encoded again: under the race detector that takes longer than
	// a smoke run.
	page := slices.Concat([]byte(`{"data":{"checkpoints":[`), bytes.Join(all[from:to], []byte{','}),
		fmt.Appendf(nil, `]},"meta":{"total":%d,"take":%d,"skip":%d}}`, len(j.checkpoints), take, skip))
	_, _ = w.Write(page)
}

// plainJSON encodes v with the escapes of its raw parts as they are.
func plainJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// actionOf derives the type of the action by the product's own rules.
func actionOf(body []byte) string {
	r, err := checkpoint.ParseRequest(body)
	if err != nil {
		return err.Error()
	}
	_, action := r.Action()
	return action
}
