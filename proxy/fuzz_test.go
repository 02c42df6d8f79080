package proxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/valyala/fasthttp"

	"milepost/internal/checkpoint"
	"milepost/stream"
)

func FuzzPath(f *testing.F) {
	for _, p := range []string{
		"/", "", "/openapi.yaml", collection(jobID), strings.TrimSuffix(collection(jobID), "/"),
		collection(jobID) + jobID, collection(jobID) + "stream", collection("..") + "/", collection("%2e%2e%2f"),
		"/api/studio/v1/expert_jobs/", "/api/studio/v1/expert_jobs//checkpoints//",
		string(streamsPath), string(ticketsPath), string(streamsPath) + "/", string(ticketsPath) + "/x",
		"/ui", "/ui/", "/ui/main.js", "/uix", "/api/milepost/v1/jobs", "/api/milepost/v1/jobs/" + jobID, "/api/milepost/v1/jobs/" + jobID + "/diff", "/api/milepost/v1/jobs/" + jobID + "/timeline",
	} {
		f.Add([]byte(p))
	}
	f.Fuzz(func(t *testing.T, path []byte) {
		target := parsePath(path)
		fixed := map[route]string{
			routeOpenAPI: "/openapi.yaml", routeStreams: "/api/milepost/v1/stream", routeTickets: "/api/milepost/v1/stream/tickets",
			routeJobs: "/api/milepost/v1/jobs",
		}
		if target.route == routeUI {
			if p := string(path); p != "/ui" && !strings.HasPrefix(p, "/ui/") {
				t.Errorf("%q is taken for the viewer", path)
			}
			return
		}
		if want, ok := fixed[target.route]; ok && string(path) != want {
			t.Errorf("%q is taken for %q", path, want)
		} else if ok || target.route == routeNone || target.faults() != nil {
			return
		}
		// What passes is exactly one of the documented paths with valid ids.
		want := collection(string(target.job)) + string(target.checkpoint)
		switch target.route {
		case routeStream:
			want += "stream"
		case routeJob:
			want = "/api/milepost/v1/jobs/" + string(target.job)
		case routeDiff:
			want = "/api/milepost/v1/jobs/" + string(target.job) + "/diff"
		case routeTimeline:
			want = "/api/milepost/v1/jobs/" + string(target.job) + "/timeline"
		}
		if got := string(path); got != want && got+"/" != want {
			t.Errorf("%q is taken for %q", got, want)
		}
		if !checkpoint.ValidIDBytes(target.job) {
			t.Errorf("%q: job %q", path, target.job)
		}
	})
}

func FuzzListQuery(f *testing.F) {
	for _, q := range []string{
		"", "take=10&skip=0", "take=&skip=", "take=18446744073709551616", "skip=9007199254740992", "filter=%ff",
		"filter=.a%20%3D%3D%201", "sort=sequence&order=desc", "take=1&take=1", "&&=&%", "take=+1", "take=%31",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var args fasthttp.Args
		args.Parse(query)
		q, faults := parseListQuery(&args)
		if faults == nil && (q.take < 1 || q.take > maxTake || q.skip > maxSkip) {
			t.Errorf("%q: take %d, skip %d", query, q.take, q.skip)
		}
		if _, err := checkpoint.Marshal(faults); err != nil {
			t.Errorf("%q: %v", query, err)
		}
		for _, f := range faults {
			if f.Path == "" || f.Message == "" {
				t.Errorf("%q: fault %+v", query, f)
			}
			if !utf8.ValidString(f.Path) {
				t.Errorf("%q: path %q", query, f.Path)
			}
		}
	})
}

func FuzzAcceptEncoding(f *testing.F) {
	for _, h := range []string{"gzip, br;q=0.2, zstd;q=0", "*", ";", "q=1", "gzip;q=1e999", ","} {
		f.Add([]byte(h))
	}
	f.Fuzz(func(t *testing.T, header []byte) {
		if c := parseAcceptEncoding(header); int(c) >= len(codingNames) {
			t.Errorf("%q: coding %d", header, c)
		}
	})
}

// FuzzParseComposite checks that positions go to the jobs that are named, and
// nowhere if the id is none.
func FuzzParseComposite(f *testing.F) {
	for _, id := range []string{
		"", "AAAA", "AAAAAA", "____", "AAAA____________", "AAAAAAAAAAAAAAAAAAAAAAAA", "complete-" + jobID, jobID,
		"0dRuAxfQ7gg", "0dRuAxfQ7gg=", "\n", strings.Repeat("A", 20000),
	} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		positions := make([]stream.Position, 0, 3)
		for _, j := range append(jobs(2), unknownJob) {
			positions = append(positions, stream.Position{Organization: orgA, Job: j})
		}
		before := slices.Clone(positions)
		ok := stream.ParseComposite(id, positions)
		for i, p := range positions {
			if p.Job != before[i].Job || p.Organization != orgA {
				t.Errorf("%q: job %v became %v", id, before[i], p)
			}
		}
		if !ok && !slices.Equal(before, positions) {
			t.Errorf("%q is no id and gave %v", id, positions)
		}
	})
}

// fuzzedTicket is one that was issued with the secret of FuzzTicket.
const fuzzedTicket = "Ab-FQ5SrXz0tp5SyOigbaMYAWXa5QEpM1cRihgeN1uW-AAABoxhcUAAAAAGjGJM-gKKu42qhhtTWR-oXUYlnDKi6b3bfNWfJP0g9mefZRSWl"

// FuzzTicket checks that a ticket which the server did not issue is none.
func FuzzTicket(f *testing.F) {
	m := ticketMaker{secret: []byte("a secret of the store"), ttl: time.Hour, now: func() time.Time { return time.Unix(1_800_000_000, 0) }}
	c := new(caller)
	for _, text := range []string{
		fuzzedTicket, fuzzedTicket[1:], fuzzedTicket[:len(fuzzedTicket)-1], fuzzedTicket + "A", fuzzedTicket + "\n", fuzzedTicket + "====",
		"", strings.Repeat("A", len(fuzzedTicket)), strings.Repeat("A", 98),
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, ok := m.read(text)
		if ok != (string(text) == fuzzedTicket) {
			t.Fatalf("%q: taken %t", text, ok)
		}
		if ok && (read.key != m.keyTag(c.Hash) || !m.covers(read, []byte(jobID)) || m.covers(read, []byte(unknownJob))) {
			t.Errorf("%q is of another key, or covers other jobs", text)
		}
	})
}

// FuzzLastEventID checks that whatever a client says it has got, both streams
// begin with a checkpoint of their job, or end.
func FuzzLastEventID(f *testing.F) {
	a := start(f, nil)
	first, firstID := a.post(jobID, body(nil))
	last, lastID := a.post(jobID, withStatus("completed"))
	all := streamsOf([]string{jobID})
	w := a.watch(all, keyA)
	composite := []string{w.messages(first), w.messages(last), w.complete(jobID, "completed")}
	for _, id := range append(composite, "", firstID, lastID, "complete-"+firstID, "complete-"+lastID, "complete-", unknownJob,
		"\x00", "\xff", "é", "a: b", strings.Repeat("x", 5000)) {
		f.Add(id)
	}
	client := &http.Client{Transport: &http.Transport{}}
	f.Cleanup(client.CloseIdleConnections)
	f.Fuzz(func(t *testing.T, id string) {
		for _, path := range []string{streamPath(jobID), all} {
			req, err := http.NewRequest("GET", a.base+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+keyA)
			query := req.URL.Query()
			query.Set("last_event_id", id)
			if req.URL.RawQuery = query.Encode(); len(req.URL.RawQuery) > 12<<10 {
				return // no such request reaches the handler
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatalf("%q: %v", id, err)
			}
			events := strings.Count(string(b), "event: message")
			switch ended := strings.Count(string(b), "event: complete"); {
			case resp.StatusCode == 204 && len(b) == 0:
			case resp.StatusCode == 200 && ended == 1 && events <= 2 && (events < 1 || bytes.Contains(b, last)):
			default:
				t.Errorf("%q: %d with %d checkpoints and %d ends", id, resp.StatusCode, events, ended)
			}
		}
	})
}
