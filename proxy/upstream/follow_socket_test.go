package upstream

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"milepost/metrics"
)

// jobsSink has a copy for each job, and tells when a job is complete.
type jobsSink struct {
	copySink // for what is the same for all jobs
	copies   map[string]*copySink
	complete chan string
}

func (s *jobsSink) Position(job string) (string, uint64, error) { return s.copies[job].Position(job) }
func (s *jobsSink) Sequence(job, id string) (uint64, error)     { return s.copies[job].Sequence(job, id) }
func (s *jobsSink) Put(job string, c Checkpoint) error          { return s.copies[job].Put(job, c) }
func (s *jobsSink) Complete(job, _ string)                      { s.complete <- job }

// TestManyJobsOverSockets: streams that break off in the middle of anything,
// and subscribers that come and go.
func TestManyJobsOverSockets(t *testing.T) {
	const jobs, checkpoints = 20, 40
	// The server cuts each connection after a random number of bytes.
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		from := after(r.Header.Get("Last-Event-ID"))
		if !strings.HasSuffix(r.URL.Path, "/stream") || r.Header.Get("Authorization") != "Bearer key" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		cut := 1 + random.IntN(2500)
		mu.Unlock()
		var text strings.Builder
		for n := from + 1; n <= checkpoints; n++ {
			text.WriteString(frameOf(idOf(n), checkpointOf(n, n, "proceeding")))
		}
		text.WriteString("id: " + completeID + idOf(checkpoints) + "\nevent: complete\ndata: {\"status\":\"completed\"}\n\n")
		if cut >= text.Len() {
			_, _ = io.WriteString(w, text.String())
			return
		}
		_, _ = io.WriteString(w, text.String()[:cut])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	sink := &jobsSink{
		copySink: copySink{t: t, credentials: []string{"Bearer key"}},
		copies:   make(map[string]*copySink), complete: make(chan string, jobs),
	}
	names := make([]string, jobs)
	for i := range names {
		names[i] = fmt.Sprintf("job%021d", i)
		sink.copies[names[i]] = &copySink{t: t}
	}
	f := NewFollowers(newClient(t, patient(server.URL)), sink, FollowOptions{
		MaxBackoff: time.Millisecond, Linger: time.Second,
		Metrics: metrics.NewUpstream(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
	})
	defer f.Close()
	var subscribers sync.WaitGroup
	for _, job := range names {
		for range 3 {
			subscribers.Go(func() {
				f.Want(job)
				f.Leave(job)
				f.Want(job)
			})
		}
	}
	subscribers.Wait()
	over := make(map[string]bool)
	for len(over) < jobs {
		select {
		case job := <-sink.complete:
			if n := sink.copies[job].length(); n != checkpoints {
				t.Fatalf("job %s ended with %d checkpoints", job, n)
			}
			over[job] = true
		case <-time.After(time.Minute):
			t.Fatalf("%d of %d jobs ended", len(over), jobs)
		}
	}
}
