package browser

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A long job of large checkpoints is opened without reading them: the timeline
// brings what is long past, the stream the rest, and each checkpoint is shown once.
func TestViewerOpensALongJobWithoutItsBodies(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("large")
	const total, size = 1100, 40 << 10
	s.postMany(job, total, size)

	v := openViewer(t, s)
	v.signIn(dashboardKey)
	v.open(job)
	v.until(fmt.Sprintf(`document.querySelector(".place").textContent === "%d of %d"`, total, total))
	v.shows("#state", "Live")
	if read := s.delivered(); read > 100*size {
		t.Errorf("the stream brought %.0f bytes of %d", read, total*size)
	}
	if n := s.requests("checkpoint", 200); n != "" {
		t.Errorf("%s bodies were fetched though nobody looked", n)
	}
	s.postStep(job, step{status: "proceeding", text: "and on it goes", tool: "readFile", tokens: 10})
	v.until(fmt.Sprintf(`document.querySelector(".place").textContent === "%d of %d"`, total+1, total+1))
	v.shows(".timeline", "readFile")

	// The first is there as well, and its body comes when it is opened.
	v.run(`document.querySelector(".timeline .list").scrollTop = 0`)
	v.click(`.checkpoint[data-index="1"]`)
	v.shows(".panel h2", "#1 readFile")
	v.shows(".content", "thought")
	for i, sequence := range v.sequences() {
		if want := fmt.Sprintf("#%d", i+1); sequence != want {
			t.Fatalf("%s stands where %s should", sequence, want)
		}
	}
	v.quiet()
}

// postMany adds checkpoints of about size bytes, each new.
func (s *server) postMany(job string, total, size int) {
	s.t.Helper()
	old := message("m", "userMessage", textPart(strings.Repeat("conversation ", size/13)))
	var next atomic.Int64
	var writers sync.WaitGroup
	for range 16 {
		writers.Go(func() {
			for next.Add(1) <= int64(total) {
				if _, err := s.do("POST", checkpointsPath(job), step{status: "proceeding", text: "thought", tool: "readFile", tokens: 10, messages: []any{old}}.body()); err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

// delivered is how many bytes the server's streams have sent.
func (s *server) delivered() float64 {
	s.t.Helper()
	value, err := strconv.ParseFloat(s.series("milepost_stream_delivered_bytes_total"), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return value
}
