package browser

import (
	"encoding/json"
	"fmt"
	"slices"
	"syscall"
	"testing"
)

// same checks that a page saw these checkpoints of a job, once and in order.
func same(t *testing.T, what string, got []event, want []checkpoint) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		if got[i].Data != want[i].json {
			t.Fatalf("%s: message %d of %d is not checkpoint %d of %d, but\n%.400s\nwhere should be\n%.400s",
				what, i+1, len(got), i+1, len(want), got[i].Data, want[i].json)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d messages of %d checkpoints", what, len(got), len(want))
	}
}

// sameIDs checks the ids by which an EventSource resumes a stream of one job.
func sameIDs(t *testing.T, what string, got []event, want []checkpoint) {
	t.Helper()
	for i := range got {
		if got[i].ID != want[i].id {
			t.Errorf("%s: message %d has the id %s instead of %s", what, i+1, got[i].ID, want[i].id)
		}
	}
}

// completed checks the complete event of a job.
func completed(t *testing.T, e event, job string) {
	t.Helper()
	if want := fmt.Sprintf(`{"status":"completed","expertJobId":%q}`, job); e.Data != want {
		t.Errorf("complete says %s instead of %s", e.Data, want)
	}
}

// wantStatuses checks the answers that a source got.
func (s *source) wantStatuses(want ...int) {
	s.page.t.Helper()
	if !slices.Equal(s.statuses, want) {
		s.page.t.Errorf("%s: answers %v instead of %v", s.name, s.statuses, want)
	}
}

// An EventSource sees history, what comes, and the end; then it asks once more,
// is told 204, and never asks again.
func TestEventSourceFollowsAJobToItsEndAndStops(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job, ended := newJob("follow"), newJob("ended")
	want := s.mustPost(job, "proceeding", 3)
	wantEnded := s.mustPost(ended, "completed", 1)

	p := openPage(t, namedOrigin)
	ticket := p.ticket(s, job, ended)
	live := p.watch("live", s.streamURL(job, ticket))
	live.awaitMessages(3)
	want = append(want, s.mustPost(job, "proceeding", 2)...)
	live.awaitMessages(5)
	want = append(want, s.mustPost(job, "completed", 1)...)
	live.awaitClosed()

	same(t, "live", live.messages, want)
	sameIDs(t, "live", live.messages, want)
	if len(live.complete) != 1 || len(live.errors) != 0 {
		t.Fatalf("not one end: %s", p.story())
	}
	completed(t, live.complete[0], job)
	if !slices.Equal(live.cuts, []int{connecting, closed}) || live.opened != 1 {
		t.Errorf("not opened and ended, then stopped: %s", p.story())
	}

	// That it stopped shows in that it does nothing while another one goes
	// through all of its life, the time to a reconnect included.
	other := p.watch("other", s.streamURL(ended, ticket))
	other.awaitClosed()
	same(t, "other", other.messages, wantEnded)
	for _, source := range []*source{live, other} {
		source.wantStatuses(200, 204)
		if source.attempts != 2 {
			t.Errorf("%s: %d requests instead of 2", source.name, source.attempts)
		}
	}
	if got := s.requests("stream", 204); got != "2" {
		t.Errorf("the server counts %q answers of 204 instead of 2", got)
	}
	if got := s.requests("stream", 200); got != "2" {
		t.Errorf("the server counts %q streams instead of 2", got)
	}
}

// A server that is killed in the middle of writes and started again is found
// again with the same ticket, and what was written is seen once.
func TestEventSourceResumesAfterAKill(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("kill")
	s.mustPost(job, "proceeding", 5)
	p := openPage(t, namedOrigin)
	source := p.watch("source", s.streamURL(job, p.ticket(s, job)))
	source.awaitMessages(5)

	// What the kill cuts off is on disk or not; the list will tell.
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		for {
			if _, err := s.post(job, "proceeding", 1<<10); err != nil {
				return
			}
		}
	}()
	source.awaitMessages(20)
	s.signal(syscall.SIGKILL)
	_ = s.wait()
	<-killed
	p.await("break of the stream", func() bool { return len(source.cuts) > 0 })

	s.start()
	s.mustPost(job, "proceeding", 3) // perhaps before it is back
	source.awaitMessages(len(s.list(job)))
	s.mustPost(job, "proceeding", 3)
	source.awaitMessages(len(s.list(job)))
	s.mustPost(job, "completed", 1)
	source.awaitClosed()

	want := s.list(job)
	same(t, "source", source.messages, want)
	sameIDs(t, "source", source.messages, want)
	if len(source.complete) != 1 || len(source.errors) != 0 || source.opened != 2 {
		t.Errorf("not one end after two streams: %s", p.story())
	}
	source.wantStatuses(200, 200, 204)
}

// A server that is told to end says so to each page, at its own time, and the
// pages come back to its successor. None is refused while others still drain,
// because a refusal would close an EventSource for good.
func TestEventSourceResumesAfterADrain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := openPage(t, namedOrigin)
	var jobs []string
	var sources []*source
	for i := range 5 { // a browser has six connections for a host
		job := newJob(fmt.Sprintf("drain%c", 'a'+i))
		s.mustPost(job, "proceeding", 2)
		jobs = append(jobs, job)
	}
	ticket := p.ticket(s, jobs...)
	for _, job := range jobs {
		source := p.watch(job, s.streamURL(job, ticket))
		source.awaitMessages(2)
		sources = append(sources, source)
	}

	s.signal(syscall.SIGTERM)
	for _, source := range sources {
		p.await("farewell", func() bool { return len(source.errors) > 0 })
	}
	if err := s.wait(); err != nil {
		t.Errorf("the server did not end well: %v\n%s", err, s.logs)
	}
	s.start()
	for i, job := range jobs {
		s.mustPost(job, "proceeding", 1)
		sources[i].awaitMessages(3)
		s.mustPost(job, "completed", 1)
	}
	for i, source := range sources {
		source.awaitClosed()
		same(t, source.name, source.messages, s.list(jobs[i]))
		source.wantStatuses(200, 200, 204)
		if len(source.errors) != 1 || len(source.complete) != 1 {
			t.Fatalf("%s: not one farewell and one end: %s", source.name, p.story())
		}
		var farewell struct{ Type, ExpertJobID string }
		if err := json.Unmarshal([]byte(source.errors[0].Data), &farewell); err != nil ||
			farewell.Type != "shutting_down" || farewell.ExpertJobID != jobs[i] {
			t.Errorf("the farewell says %s", source.errors[0].Data)
		}
	}
}

// One EventSource follows several jobs, over a kill, until all have ended.
func TestOneEventSourceFollowsSeveralJobs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	jobs := []string{newJob("walla"), newJob("wallb"), newJob("wallc")}
	url := "http://" + s.api + "/api/milepost/v1/stream?job=" + jobs[0] + "&job=" + jobs[1] + "&job=" + jobs[2]
	total := 0
	round := func(status string, of ...string) {
		for _, job := range of {
			s.mustPost(job, status, 1)
			total++
		}
	}
	for range 3 {
		round("proceeding", jobs...)
	}
	p := openPage(t, namedOrigin)
	wall := p.watch("wall", url+"&ticket="+p.ticket(s, jobs...))
	wall.awaitMessages(total)
	for range 3 {
		round("proceeding", jobs...)
	}
	round("completed", jobs[0])
	p.await("end of the first job", func() bool { return len(wall.complete) == 1 })
	round("proceeding", jobs[1])
	wall.awaitMessages(total)

	s.signal(syscall.SIGKILL)
	_ = s.wait()
	p.await("break of the stream", func() bool { return len(wall.cuts) > 0 })
	s.start()
	round("proceeding", jobs[1:]...)
	wall.awaitMessages(total)
	round("completed", jobs[1:]...)
	wall.awaitClosed()

	of := make(map[string][]event)
	for _, e := range wall.messages {
		var c struct{ ExpertJobID string }
		if err := json.Unmarshal([]byte(e.Data), &c); err != nil {
			t.Fatal(err)
		}
		of[c.ExpertJobID] = append(of[c.ExpertJobID], e)
	}
	ends := make(map[string]int)
	for _, e := range wall.complete {
		var c struct{ ExpertJobID string }
		if err := json.Unmarshal([]byte(e.Data), &c); err != nil {
			t.Fatal(err)
		}
		ends[c.ExpertJobID]++
		completed(t, e, c.ExpertJobID)
	}
	for _, job := range jobs {
		same(t, job, of[job], s.list(job))
		if ends[job] != 1 {
			t.Errorf("%s ended %d times", job, ends[job])
		}
	}
	if len(wall.messages) != total || len(wall.complete) != len(jobs) {
		t.Errorf("%d messages and %d ends instead of %d and %d", len(wall.messages), len(wall.complete), total, len(jobs))
	}
	wall.wantStatuses(200, 200, 204)
}
