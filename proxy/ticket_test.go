package proxy

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
)

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// clocked starts a server whose tickets go by a clock.
func clocked(t *testing.T, fs vfs.FS, c *clock) *api {
	a := startOn(t, fs, nil)
	a.server.tickets.now = c.read
	return a
}

func newClock() *clock { return &clock{now: time.UnixMilli(1_800_000_000_999)} }

func ticketBody(jobs ...string) []byte {
	b, err := json.Marshal(map[string]any{"jobs": jobs})
	if err != nil {
		panic(err)
	}
	return b
}

// ticket asks for a ticket.
func (a *api) ticket(key string, jobs ...string) (text, expires string) {
	a.t.Helper()
	r := a.do("POST", string(ticketsPath), key, ticketBody(jobs...))
	var v struct {
		Data struct{ Ticket, ExpiresAt string }
	}
	if err := json.Unmarshal(r.body, &v); err != nil || r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" {
		a.t.Fatalf("no ticket: %d %v %s", r.StatusCode, r.Header, r.body)
	}
	return v.Data.Ticket, v.Data.ExpiresAt
}

// refused fails the test unless a stream is 401 with a ticket, for that reason.
func (a *api) refused(path, ticket, reason string) {
	a.t.Helper()
	before := a.metric("auth_failures_total", reason)
	if r := a.do("GET", withTicket(path, ticket), "", nil); r.StatusCode != 401 {
		a.t.Errorf("a ticket that is to be refused as %s: %d %s", reason, r.StatusCode, r.body)
	}
	if n := a.metric("auth_failures_total", reason); n != before+1 {
		a.t.Errorf("auth_failures_total{%s} went from %v to %v", reason, before, n)
	}
}

func withTicket(path, ticket string) string {
	if strings.Contains(path, "?") {
		return path + "&ticket=" + ticket
	}
	return path + "?ticket=" + ticket
}

func TestTicketOrderOfChecks(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	good, path := string(ticketBody(jobID)), string(ticketsPath)
	ids := func(n int) string { return string(ticketBody(jobs(n)...)) }
	a.refuses(t, []fault{
		{"no key", "POST", path, "", good, 401, unauthorized},
		{"no key comes before the method", "GET", path, "", "", 401, unauthorized},
		{"a route that is nearly it", "POST", path + "/", keyA, good, 404, noRoute},
		{"GET", "GET", path, keyA, "", 405, noMethod},
		{"HEAD", "HEAD", path, keyA, "", 405, ""},
		{"the method comes before the scope", "PUT", path, keyWrite, good, 405, noMethod},
		{"the scope", "POST", path, keyWrite, good, 403, noRead},
		{"the scope comes before the body", "POST", path, keyWrite, "{", 403, noRead},
		{"no JSON", "POST", path, keyA, `{"jobs":[}`, 400, `"invalid JSON at byte 9: `},
		{"data behind it", "POST", path, keyA, good + "{}", 400, `"invalid JSON at byte 37: `},
		{"twice", "POST", path, keyA, `{"jobs":[],"jobs":[]}`, 400, `"invalid JSON at byte 11: `},
		{"no object", "POST", path, keyA, `[]`, 422, "@"},
		{"nothing in it", "POST", path, keyA, `{}`, 422, "@jobs"},
		{"jobs of another kind", "POST", path, keyA, `{"jobs":"` + jobID + `"}`, 422, "@jobs"},
		{"no jobs", "POST", path, keyA, `{"jobs":[]}`, 422, "@jobs"},
		{"101 jobs", "POST", path, keyA, ids(101), 422, "@jobs"},
		{"no id", "POST", path, keyA, `{"jobs":["` + jobID + `","x"]}`, 422, "@jobs.1"},
		{"the body comes before the job", "POST", path, keyA, `{"jobs":["` + unknownJob + `",7]}`, 422, "@jobs.1"},
		{"an unknown job", "POST", path, keyA, string(ticketBody(jobID, unknownJob)), 404, noJob},
		{"a job of another organization", "POST", path, keyB, good, 404, noJob},
		{"too large", "POST", path, keyA, good + strings.Repeat(" ", maxTicketBody), 413, `"The body is larger than 64 KiB"`},
	})
	for _, c := range []struct {
		name, more string
		body       string
		code       int
	}{
		{"nothing", "Content-Length: 0\r\n", "", 400},
		{"another content type", "", "", 415},
		{"in chunks", "Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(good), good), 200},
		{"in chunks without end", "Transfer-Encoding: chunked\r\n", "20000\r\n" + strings.Repeat(" ", 0x20000) + "\r\n0\r\n\r\n", 413},
	} {
		l := a.dial()
		request := head("POST", path, keyA, c.more)
		if c.code == 415 {
			request = strings.Replace(head("POST", path, keyA, "Content-Length: 2\r\n"), "/json", "/xml", 1) + "{}"
		}
		go func() { _, _ = l.Write([]byte(request + c.body)) }()
		if r := l.answer("POST"); r.StatusCode != c.code {
			t.Errorf("%s: %d %s", c.name, r.StatusCode, r.body)
		}
	}
}

// A ticket opens the streams of its jobs and nothing else, once more after it
// was used, and no longer than it says.
func TestTicketLife(t *testing.T) {
	c := newClock()
	fs := vfs.NewMem()
	a := clocked(t, fs, c)
	two := jobs(2)
	raw, id := a.post(two[0], body(nil))
	a.post(two[1], body(nil))
	text, expires := a.ticket(keyRead, two[0], two[0])
	if expires != "2027-01-16T08:00:00.000Z" {
		t.Errorf("expires at %s", expires)
	}
	unused, _ := a.ticket(keyRead, two[0])
	both, _ := a.ticket(keyRead, two...)

	c.advance(ticketFirstUse)
	open := func(path, ticket string) *watcher {
		t.Helper()
		return a.watch(withTicket(path, ticket), "")
	}
	open(streamPath(two[0]), text).messages(raw)
	open(streamPath(two[0])+"?last_event_id="+id, text).silent(1)
	a.refused(streamPath(two[1]), text, "ticket_job")
	a.refused(streamPath("X"), text, "ticket_job")
	a.refused(streamsOf(two), text, "ticket_job")
	open(streamsOf(two[:1]), text).messages(raw)
	open(streamsOf(two), both)
	for _, path := range []string{collection(two[0]), collection(two[0]) + id, string(ticketsPath)} {
		if r := a.do("GET", withTicket(path, text), "", nil); r.StatusCode != 401 {
			t.Errorf("GET %s with a ticket: %d", path, r.StatusCode)
		}
	}
	// A header goes first, whatever it says.
	if r := a.do("GET", withTicket(streamPath(two[0]), text), "nobody-has-this-secret", nil); r.StatusCode != 401 {
		t.Errorf("a wrong key beside a ticket: %d", r.StatusCode)
	}
	if r := a.do("GET", withTicket(streamPath(two[0]), text), keyB, nil); r.StatusCode != 404 {
		t.Errorf("another organization's key beside a ticket: %d", r.StatusCode)
	}

	c.advance(time.Millisecond)
	a.refused(streamPath(two[0]), unused, "ticket_late")
	open(streamPath(two[0]), text).messages(raw)

	// Over a restart.
	a.stop()
	c.advance(time.Hour)
	a = clocked(t, fs, c)
	open(streamPath(two[0]), text).messages(raw)
	a.refused(streamPath(two[0]), unused, "ticket_late")

	// With its key, and with the key's scope.
	a.server.Reload(a.config, testKeys()[:2])
	a.refused(streamPath(two[0]), text, "ticket_key")
	keys := testKeys()
	keys[2].Read = false
	a.server.Reload(a.config, keys)
	if r := a.do("GET", withTicket(streamPath(two[0]), text), "", nil); r.StatusCode != 403 {
		t.Errorf("a ticket whose key may no longer read: %d", r.StatusCode)
	}
	a.server.Reload(a.config, testKeys())
	open(streamPath(two[0]), text).messages(raw)

	c.advance(a.config.Stream.TicketTTL.Std())
	a.refused(streamPath(two[0]), text, "ticket_invalid")
}

// A ticket of another store, and one in which anything was changed, is none.
func TestForgedTickets(t *testing.T) {
	a, other := start(t, nil), start(t, nil)
	a.post(jobID, body(nil))
	other.post(jobID, body(nil))
	text, _ := a.ticket(keyRead, jobID)
	if _, ok := a.server.tickets.read([]byte(text)); !ok {
		t.Fatal("the ticket itself is refused")
	}
	other.refused(streamPath(jobID), text, "ticket_invalid")
	for i := range text {
		forged := []byte(text)
		for c := range 256 {
			if forged[i] = byte(c); string(forged) == text {
				continue
			}
			if _, ok := a.server.tickets.read(forged); ok {
				t.Errorf("taken with %q at %d", byte(c), i)
			}
		}
		forged[i] = 'A' + (text[i]+1)%26
		if string(forged) != text {
			a.refused(streamPath(jobID), string(forged), "ticket_invalid")
		}
		if _, ok := a.server.tickets.read([]byte(text[:i])); ok {
			t.Errorf("taken without its end from %d on", i)
		}
		if _, ok := a.server.tickets.read([]byte(text[:i] + "\n" + text[i:])); ok {
			t.Errorf("taken with a line end at %d", i)
		}
	}
	for _, more := range []string{text + "A", text + "AAAAAAAAAAA", text + text} {
		a.refused(streamPath(jobID), more, "ticket_invalid")
	}
	if r := a.do("GET", streamPath(jobID)+"?ticket=", "", nil); r.StatusCode != 401 {
		t.Errorf("an empty ticket: %d", r.StatusCode)
	}
	a.watch(withTicket(streamPath(jobID), text), "")
}

// Neither keys nor tickets are logged, at any level, whatever goes wrong.
func TestSecretsAreNotLogged(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	text, _ := a.ticket(keyRead, jobID)
	a.watch(withTicket(streamPath(jobID), text), "").close()
	<-a.left
	path := withTicket(streamPath(jobID), text)
	for _, request := range []string{
		"GET " + path + " HTTP/1.1\r\nbroken\r\n\r\n",
		"GET " + path + " HTTP/9\r\nHost: x\r\n\r\n",
		"GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + keyA + "\r\nX: " + strings.Repeat("x", 20<<10) + "\r\n\r\n",
		"GET " + path + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer " + keyA + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + keyA + "\x00\r\n\r\n",
		"GET " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + keyA + "\r\n\r\n",
	} {
		l := a.dial()
		l.send(request)
		l.ended()
	}
	// A failure of ours is logged with its path.
	a.server.fail(newCtx(path), errInternal)
	got := a.log.String()
	if !strings.Contains(got, streamPath(jobID)) {
		t.Errorf("the failure was not logged: %s", got)
	}
	for _, secret := range []string{text, keyA, keyRead, text[10:60]} {
		if strings.Contains(got, secret) {
			t.Errorf("%s is in the log: %s", secret, got)
		}
	}
}

// The streams of a ticket count as those of its key, and end with it.
func TestTicketStreamsBelongToTheKey(t *testing.T) {
	a := start(t, func(c *config.Config) { c.Stream.MaxSubscribersPerKey = 1 })
	raw, _ := a.post(jobID, body(nil))
	text, _ := a.ticket(keyRead, jobID)
	w := a.watch(withTicket(streamPath(jobID), text), "")
	w.messages(raw)
	if r := a.do("GET", streamPath(jobID), keyRead, nil); r.StatusCode != 429 {
		t.Errorf("a second stream of the key: %d", r.StatusCode)
	}
	a.server.Reload(a.config, testKeys()[:2])
	w.failed("revoked")
}
