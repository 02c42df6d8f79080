package browser

import (
	"encoding/base64"
	"maps"
	"testing"
)

// A page of an origin that was not named learns nothing, whatever it holds, and
// causes nothing; the same requests of a named one are answered.
func TestOnlyNamedOriginsCanRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job := newJob("origin")
	s.mustPost(job, "completed", 1) // so that its stream ends
	list := "http://" + s.api + checkpointsPath(job)
	one := list + s.list(job)[0].id
	withKey := func(key string) map[string]any {
		return map[string]any{"headers": map[string]string{"Authorization": "Bearer " + key}}
	}
	write := withKey(runtimeKey)
	maps.Copy(write, map[string]any{"method": "POST", "body": body("completed", 10)})

	named := openPage(t, namedOrigin)
	ticket := named.ticket(s, job)
	stream := s.streamURL(job, ticket)
	requests := []struct {
		name, url string
		options   map[string]any
	}{
		{"list", list, withKey(dashboardKey)},
		{"checkpoint", one, withKey(dashboardKey)},
		{"ticket", ticketURL(s), ticketRequest(job)},
		{"stream with the key", list + "stream", withKey(dashboardKey)},
		{"stream with a ticket", stream, nil},
		{"an error", list, nil},
	}

	for _, r := range requests {
		a := named.fetch(r.url, r.options)
		want := 200
		if r.name == "an error" {
			want = 401
		}
		if a.Error != "" || a.Type != "cors" || a.Status != want || a.Body == "" {
			t.Errorf("named origin, %s: %+v", r.name, a)
		}
		if r.name == "checkpoint" && a.ETag == "" {
			t.Error("named origin: the ETag is hidden")
		}
	}
	source := named.watch("named", stream)
	source.awaitClosed()
	same(t, "named origin", source.messages, s.list(job))

	for _, origin := range []struct{ name, page string }{
		{"other", otherOrigin},
		{"opaque", "data:text/html;base64," + base64.StdEncoding.EncodeToString(pageHTML)},
	} {
		p := openPage(t, origin.page)
		for _, r := range append(requests[:len(requests):len(requests)], struct {
			name, url string
			options   map[string]any
		}{"write", list, write}) {
			if a := p.fetch(r.url, r.options); a != (answer{Error: "TypeError"}) {
				t.Errorf("%s origin, %s: %+v", origin.name, r.name, a)
			}
		}
		// Without CORS a page may send a simple request, and not see the answer.
		if a := p.fetch(stream, map[string]any{"mode": "no-cors"}); a.Error == "" && (a.Type != "opaque" || a.Status != 0 || a.Body != "") {
			t.Errorf("%s origin, without CORS: %+v", origin.name, a)
		}
		source := p.watch("source", stream)
		source.awaitClosed()
		if source.opened != 0 || len(source.messages)+len(source.complete)+len(source.errors) != 0 || len(source.cuts) != 1 {
			t.Errorf("%s origin: %s", origin.name, p.story())
		}
	}
	if n := len(s.list(job)); n != 1 {
		t.Errorf("%d checkpoints after writes that no page may make", n)
	}
}

// A ticket is for its own jobs: a stream of another one is refused, and the
// EventSource does not try again.
func TestTicketIsForItsJobs(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	job, other := newJob("mine"), newJob("theirs")
	s.mustPost(job, "completed", 1)
	s.mustPost(other, "completed", 1)
	p := openPage(t, namedOrigin)
	ticket := p.ticket(s, job)
	for name, url := range map[string]string{
		"another job":     s.streamURL(other, ticket),
		"one job of two":  "http://" + s.api + "/api/milepost/v1/stream?job=" + job + "&job=" + other + "&ticket=" + ticket,
		"a forged ticket": s.streamURL(job, ticket[:len(ticket)-2]+"00"),
	} {
		source := p.watch(name, url)
		source.awaitClosed()
		source.wantStatuses(401)
		if source.opened != 0 || len(source.messages) != 0 {
			t.Errorf("%s: %s", name, p.story())
		}
	}
}
