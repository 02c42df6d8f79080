package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"milepost/metrics"
)

const followedJob = "job000000000000000000001"

// idOf is the id of the n-th checkpoint of the job that tests follow.
func idOf(n int) string { return fmt.Sprintf("c%023d", n) }

// checkpointOf is that checkpoint, with the number that the upstream gives it,
// none if it is negative.
func checkpointOf(n, sequence int, status string) string {
	number := fmt.Sprintf(`,"sequence":%d`, sequence)
	if sequence < 0 {
		number = ""
	}
	return fmt.Sprintf(`{"type":"checkpoint","id":"%s"%s,"status":"%s","messages":[]}`, idOf(n), number, status)
}

// frameOf is a checkpoint as an upstream streams it.
func frameOf(id, json string) string { return "id: " + id + "\nevent: message\ndata: " + json + "\n\n" }

// script is an upstream without sockets, so that a bubble's clock can wait for
// it.
type script struct {
	// sequence gives the n-th checkpoint its number; nil is n.
	sequence func(n int) int
	// open answers an attempt to open the stream, the first being 1.
	open func(attempt int, lastID string) reply
	// list, if set, may answer a request for a list instead of it.
	list func(request int, skip, take int) *Answer

	mu       sync.Mutex
	log      []string // checkpoints that there are
	attempts []time.Time
	requests []http.Header
	pages    []string // skip+take
}

// reply is the answer to an attempt. body writes the stream; it ends when body
// returns, or goes on as long as its reader wants after hold.
type reply struct {
	status int
	header http.Header
	err    error
	body   func(w *writer)
}

// writer writes a stream. Nobody has to read it.
type writer struct {
	io.Writer
	closed <-chan struct{}
}

func (w *writer) send(text string) { _, _ = io.WriteString(w, text) }

// hold waits until the stream is closed.
func (w *writer) hold() { <-w.closed }

// wait lets time pass, and reports whether the stream is still open.
func (w *writer) wait(d time.Duration) bool {
	select {
	case <-w.closed:
		return false
	case <-time.After(d):
		return true
	}
}

// beat sends heartbeats until the stream is closed.
func (w *writer) beat() {
	for w.wait(15 * time.Second) {
		w.send(":\n")
	}
}

// add appends n checkpoints with a status.
func (s *script) add(n int, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		number := len(s.log) + 1
		sequence := number
		if s.sequence != nil {
			sequence = s.sequence(number)
		}
		s.log = append(s.log, checkpointOf(number, sequence, status))
	}
}

// length is how many checkpoints there are.
func (s *script) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.log)
}

// frames are the checkpoints from the n-th to the m-th.
func (s *script) frames(from, to int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	for n := from; n <= to; n++ {
		text.WriteString(frameOf(idOf(n), s.log[n-1]))
	}
	return text.String()
}

// after is the place that a Last-Event-ID names.
func after(lastID string) int {
	n, err := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(lastID, completeID), "c0"))
	if err != nil {
		return 0
	}
	return n
}

func (s *script) Open(ctx context.Context, _, target string, h http.Header) (*http.Response, error) {
	s.mu.Lock()
	s.attempts = append(s.attempts, time.Now())
	s.requests = append(s.requests, h)
	attempt := len(s.attempts)
	s.mu.Unlock()
	if want := "/api/studio/v1/expert_jobs/" + followedJob + "/checkpoints/stream"; target != want {
		return nil, errors.New("unexpected target " + target)
	}
	a := s.open(attempt, h.Get("Last-Event-ID"))
	if a.err != nil {
		return nil, a.err
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.header == nil {
		a.header = http.Header{"Content-Type": {"text/event-stream; charset=utf-8"}}
	}
	r, w := io.Pipe()
	if a.body == nil {
		_ = w.Close()
	} else {
		closed, cancel := context.WithCancel(ctx)
		context.AfterFunc(ctx, func() { _ = r.CloseWithError(ctx.Err()) })
		go func() {
			defer cancel()
			a.body(&writer{Writer: w, closed: closed.Done()})
			_ = w.Close()
		}()
	}
	return &http.Response{StatusCode: a.status, Header: a.header, Body: r}, nil
}

func (s *script) Do(_ context.Context, _ string, r Request) (*Answer, error) {
	target, err := url.Parse(r.Target)
	if err != nil || r.Method != http.MethodGet || target.Path != checkpointsOf(followedJob) {
		return nil, fmt.Errorf("unexpected request %s %s", r.Method, r.Target)
	}
	query := target.Query()
	skip, _ := strconv.Atoi(query.Get("skip"))
	take, _ := strconv.Atoi(query.Get("take"))
	s.mu.Lock()
	s.pages = append(s.pages, fmt.Sprintf("%d+%d", skip, take))
	request := len(s.pages)
	s.mu.Unlock()
	if query.Get("order") != "asc" || query.Get("sort") != "createdAt" || take > 100 {
		return nil, errors.New("unexpected query " + target.RawQuery)
	}
	if s.list != nil {
		if a := s.list(request, skip, take); a != nil {
			if a.Status == 0 {
				return nil, ErrTooLarge
			}
			return a, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	page := s.log[min(skip, len(s.log)):min(skip+take, len(s.log))]
	body := fmt.Sprintf(`{"data":{"checkpoints":[%s]},"meta":{"total":%d,"take":%d,"skip":%d}}`,
		strings.Join(page, ","), len(s.log), take, skip)
	return &Answer{Status: http.StatusOK, Body: []byte(body)}, nil
}

// following is a bubble with an upstream, a copy and followers.
type following struct {
	*script
	copy   *copySink
	f      *Followers
	series *prometheus.Registry
}

// inFollowing runs a test in a bubble, in which everything has to end.
func inFollowing(t *testing.T, o FollowOptions, test func(t *testing.T, x *following)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newFollowing(t, o)
		defer x.f.Close()
		test(t, x)
	})
}

func newFollowing(t *testing.T, o FollowOptions) *following {
	x := &following{
		script: &script{}, copy: &copySink{t: t, credentials: []string{"first"}},
		series: prometheus.NewRegistry(),
	}
	o.Metrics, o.Logger = metrics.NewUpstream(x.series), slog.New(slog.DiscardHandler)
	x.f = NewFollowers(x.script, x.copy, o)
	return x
}

// has fails unless the copy is the log's first n checkpoints, and what else the
// sink was told is what it should be.
func (x *following) has(t *testing.T, n int, said ...string) {
	t.Helper()
	synctest.Wait()
	x.copy.mu.Lock()
	defer x.copy.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.copy.log) != n {
		t.Errorf("the copy has %d checkpoints instead of %d", len(x.copy.log), n)
	}
	for i, c := range x.copy.log {
		if string(c.JSON) != x.log[i] {
			t.Errorf("place %d of the copy is %s instead of %s", i+1, c.JSON, x.log[i])
		}
	}
	if !slices.Equal(x.copy.said, said) {
		t.Errorf("the sink was told %q instead of %q", x.copy.said, said)
	}
}

// asked fails unless the list was asked for these pages.
func (x *following) asked(t *testing.T, pages ...string) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Equal(x.pages, pages) {
		t.Errorf("the list was asked for %q instead of %q", x.pages, pages)
	}
}

// opened fails unless the stream was opened so often.
func (x *following) opened(t *testing.T, n int) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.attempts) != n {
		t.Errorf("the stream was opened %d times instead of %d", len(x.attempts), n)
	}
}

// counted returns the value of a series.
func (x *following) counted(t *testing.T, name string) float64 {
	t.Helper()
	families, err := x.series.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			m := family.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("there is no series %s", name)
	return 0
}

// left fails unless so many followers are left.
func (x *following) left(t *testing.T, n int) {
	t.Helper()
	synctest.Wait()
	x.f.mu.Lock()
	defer x.f.mu.Unlock()
	if len(x.f.jobs) != n {
		t.Errorf("%d followers are left instead of %d", len(x.f.jobs), n)
	}
}

// times are those of the attempts.
func (x *following) times() []time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Clone(x.attempts)
}

// honest answers as an upstream should: what comes after the id, and the end
// with its own id.
func (x *following) honest(_ int, lastID string) reply {
	return reply{body: func(w *writer) {
		n := x.length()
		w.send(":\n\n" + x.frames(after(lastID)+1, n))
		w.send(completed(completeID+idOf(n), "completed"))
	}}
}

// completed is a complete event, without an id if that is empty.
func completed(id, status string) string {
	if id != "" {
		id = "id: " + id + "\n"
	}
	return id + `event: complete` + "\n" + `data: {"status":"` + status + `","expertJobId":"` + followedJob + `"}` + "\n\n"
}
