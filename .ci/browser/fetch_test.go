package browser

import "testing"

// A page that reads the stream as the reference client does, by fetch and with
// its state forgotten at each network chunk, loses nothing and sees a clean end;
// it resumes by a header.
func TestFetchReadsAsTheReferenceClient(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("fetch")
	sizes := []int{1 << 10, 3 << 10, 10 << 10, 30 << 10, 100 << 10, 300 << 10}
	post := func(rounds int) {
		for range rounds {
			for _, size := range sizes {
				if _, err := s.post(job, "proceeding", size); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	post(3)

	p := openPage(t, namedOrigin)
	url := "http://" + s.api + checkpointsPath(job) + "stream"
	headers := map[string]string{"Authorization": "Bearer " + dashboardKey, "Content-Type": "application/json"}
	reader := p.read("reader", url, headers)
	reader.awaitMessages(1)
	post(3)
	s.mustPost(job, "completed", 1)
	p.await("end", func() bool { return reader.ended || reader.broken != "" })

	want := s.list(job)
	check := func(r *source, want []checkpoint) {
		t.Helper()
		same(t, r.name, r.messages, want)
		if r.broken != "" || len(r.complete) != 1 || len(r.errors) != 0 {
			t.Fatalf("%s: not one clean end: %s", r.name, p.story())
		}
		completed(t, r.complete[0], job)
	}
	check(reader, want)

	half := len(want) / 2
	headers["Last-Event-ID"] = want[half-1].id
	rest := p.read("rest", url, headers)
	p.await("end", func() bool { return rest.ended || rest.broken != "" })
	check(rest, want[half:])
}
