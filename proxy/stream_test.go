package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"milepost/internal/config"
)

// fault is an exchange that is refused.
type fault struct {
	name, method, path, key string
	body                    string
	code                    int
	reason                  string // how its JSON begins, or the path of a fault behind @
}

func (a *api) refuses(t *testing.T, all []fault) {
	t.Helper()
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			var b []byte
			if f.body != "" {
				b = []byte(f.body)
			}
			r := a.do(f.method, f.path, f.key, b)
			var e struct {
				Code   int
				Reason json.RawMessage
			}
			if err := json.Unmarshal(r.body, &e); err != nil && f.method != "HEAD" {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			path, isPath := strings.CutPrefix(f.reason, "@")
			var faults []struct{ Path string }
			_ = json.Unmarshal(e.Reason, &faults)
			switch {
			case r.StatusCode != f.code || e.Code != f.code && f.method != "HEAD":
				t.Errorf("got %d %s, want %d", r.StatusCode, r.body, f.code)
			case f.method == "HEAD":
			case isPath && (len(faults) != 1 || faults[0].Path != path):
				t.Errorf("got %s, want a fault at %s", r.body, path)
			case !isPath && !strings.HasPrefix(string(e.Reason), f.reason):
				t.Errorf("got %s, want %s", e.Reason, f.reason)
			}
		})
	}
}

const (
	unauthorized = `"Failed to authenticate"`
	noRoute      = `"No such route"`
	noMethod     = `"The route does not take this method"`
	noRead       = `"The key lacks the scope read"`
	noJob        = `"Expert job not found"`
	unknownJob   = "zzz000000000000000000009"
)

func TestStreamOrderOfChecks(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	a.refuses(t, []fault{
		{"no key", "GET", streamPath(jobID), "", "", 401, unauthorized},
		{"no key comes before the path", "GET", streamPath("X"), "", "", 401, unauthorized},
		{"no key comes before the method", "DELETE", streamPath(jobID), "", "", 401, unauthorized},
		{"a route that is nearly it", "GET", streamPath(jobID) + "/", keyA, "", 404, noRoute},
		{"a method", "POST", streamPath(jobID), keyA, "{}", 405, noMethod},
		{"the method comes before the scope", "DELETE", streamPath(jobID), keyWrite, "", 405, noMethod},
		{"the scope", "GET", streamPath(jobID), keyWrite, "", 403, noRead},
		{"the scope comes before the path", "GET", streamPath("X"), keyWrite, "", 403, noRead},
		{"the path", "GET", streamPath("X"), keyA, "", 422, "@expertJobId"},
		{"an unknown job", "GET", streamPath(unknownJob), keyA, "", 404, noJob},
		{"a job of another organization", "GET", streamPath(jobID), keyB, "", 404, noJob},
		{"HEAD without a key", "HEAD", streamPath(jobID), "", "", 401, ""},
		{"HEAD of an unknown job", "HEAD", streamPath(unknownJob), keyA, "", 404, ""},
	})
	if n := a.metric("stream_subscribers"); n != 0 {
		t.Errorf("%v subscribers after refusals", n)
	}
}

var date = regexp.MustCompile(`(?m)^Date: .*GMT`)

// wire is what a connection gets up to its end, without the date.
func (l *line) wire() string {
	l.t.Helper()
	b, err := io.ReadAll(l.reader)
	if err != nil {
		l.t.Fatal(err)
	}
	_ = l.Close()
	return date.ReplaceAllString(string(b), "Date: …")
}

// The bytes of a whole stream, with what a proxy, a browser and the reference
// client hold on to: the head, the first comment, one chunk for each event, and
// the end of the body.
func TestStreamOnTheWire(t *testing.T) {
	a := start(t, nil)
	first, firstID := a.post(jobID, body(nil))
	last, lastID := a.post(jobID, withStatus("completed"))
	frame := func(id string, raw json.RawMessage) string {
		return fmt.Sprintf("id: %s\nevent: message\ndata: %s\n\n", id, raw)
	}
	events := []string{
		":\n\n", frame(firstID, first), frame(lastID, last),
		fmt.Sprintf("id: complete-%s\nevent: complete\ndata: {\"status\":\"completed\",\"expertJobId\":\"%s\"}\n\n", lastID, jobID),
	}
	head := "HTTP/1.1 200 OK\r\nDate: …\r\nContent-Type: text/event-stream; charset=utf-8\r\n" +
		"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nConnection: close\r\n"
	chunks := head + "Transfer-Encoding: chunked\r\n\r\n"
	for _, e := range events {
		chunks += fmt.Sprintf("%x\r\n%s\r\n", len(e), e)
	}
	chunks += "0\r\n\r\n"
	plain := head + "\r\n" + strings.Join(events, "")

	request := func(version string) string {
		return fmt.Sprintf("GET %s %s\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", streamPath(jobID), version, keyRead)
	}
	list := fmt.Sprintf("GET %s?take=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", collection(jobID), keyRead)
	for _, c := range []struct {
		name, request, want string
		before              int // answers that come first
	}{
		{"HTTP/1.1", request("HTTP/1.1"), chunks, 0},
		{"HTTP/1.0", request("HTTP/1.0"), plain, 0},
		{"HTTP/1.0 that wants the connection kept", strings.Replace(request("HTTP/1.0"), "\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n", 1), plain, 0},
		{"the client wants the connection closed", strings.Replace(request("HTTP/1.1"), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1), chunks, 0},
		{"more requests behind it are not read", request("HTTP/1.1") + list + list, chunks, 0},
		{"a body that nobody asked for", strings.Replace(request("HTTP/1.1"), "\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc", 1), chunks, 0},
		{"it is never compressed", strings.Replace(request("HTTP/1.1"), "\r\n\r\n", "\r\nAccept-Encoding: gzip, br, zstd\r\n\r\n", 1), chunks, 0},
		{"requests before it in one piece", list + list + request("HTTP/1.1"), chunks, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := a.dial()
			l.send(c.request)
			for range c.before {
				if r := l.answer("GET"); r.StatusCode != 200 {
					t.Fatalf("got %d before the stream", r.StatusCode)
				}
			}
			if got := l.wire(); got != c.want {
				t.Errorf("got\n%q\nwant\n%q", got, c.want)
			}
			<-a.left
		})
	}
	t.Run("a connection that served requests before", func(t *testing.T) {
		l := a.dial()
		for range 3 {
			l.send(list)
			l.answer("GET")
		}
		l.send(request("HTTP/1.1"))
		if got := l.wire(); got != chunks {
			t.Errorf("got\n%q", got)
		}
		<-a.left
	})
}

func TestStreamHead(t *testing.T) {
	a := start(t, nil)
	_, _ = a.post(jobID, body(nil))
	_, id := a.post(jobID, withStatus("completed"))
	r := a.do("HEAD", streamPath(jobID), keyA, nil)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != eventStream || r.Header.Get("Content-Length") != "" {
		t.Errorf("got %d %v", r.StatusCode, r.Header)
	}
	if r := a.do("HEAD", streamPath(jobID), keyA, nil, "Last-Event-ID", "complete-"+id); r.StatusCode != 204 {
		t.Errorf("HEAD with the id of the end: %d", r.StatusCode)
	}
	l := a.dial()
	l.send(fmt.Sprintf("HEAD %s HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", streamPath(jobID), keyA))
	if got := l.wire(); strings.Contains(got, "chunked") || !strings.HasPrefix(got, "HTTP/1.") || !strings.HasSuffix(got, "\r\n\r\n") {
		t.Errorf("HTTP/1.0 got %q", got)
	}
	if n := a.metric("stream_subscribers"); n != 0 {
		t.Errorf("%v subscribers after HEAD", n)
	}
}

// History, then what comes, up to the end; then the end alone, and 204.
func TestStreamFromTheBeginningToTheEnd(t *testing.T) {
	a := start(t, nil)
	var all []json.RawMessage
	for range 3 {
		raw, _ := a.post(jobID, body(nil))
		all = append(all, raw)
	}
	w := a.watch(streamPath(jobID), keyRead)
	if e, err := w.read(); err != nil || !e.comment {
		t.Fatalf("the first is %v, %v instead of a comment", e, err)
	}
	w.messages(all...)
	raw, id := a.post(jobID, body(nil))
	if got := w.messages(raw); got != id {
		t.Errorf("the message's id is %s, want %s", got, id)
	}
	raw, id = a.post(jobID, withStatus("stoppedByError"))
	w.messages(raw)
	done := w.complete(jobID, "failed")
	w.ended()

	w = a.watch(streamPath(jobID), keyRead, "Last-Event-ID", id)
	if again := w.complete(jobID, "failed"); again != done {
		t.Errorf("the end has the ids %s and %s", done, again)
	}
	w.ended()
	r := a.do("GET", streamPath(jobID), keyRead, nil, "Last-Event-ID", done)
	if r.StatusCode != 204 || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("after the end: %d %v", r.StatusCode, r.Header)
	}

	// Continued: what came after, and the first end is passed over.
	raw, _ = a.post(jobID, body(nil))
	a.watch(streamPath(jobID), keyRead, "Last-Event-ID", done).messages(raw)
	end, _ := a.post(jobID, withStatus("completed"))
	w = a.watch(streamPath(jobID), keyRead, "Last-Event-ID", id)
	w.messages(raw, end)
	if again := w.complete(jobID, "completed"); again == done {
		t.Error("two ends have one id")
	}
	w.ended()
}

func TestStreamResumes(t *testing.T) {
	a := start(t, nil)
	var all []json.RawMessage
	var ids []string
	for i := range 5 {
		raw, id := a.post(jobID, sized(i*100))
		all, ids = append(all, raw), append(ids, id)
	}
	other := jobs(1)[0]
	_, foreign := a.post(other, body(nil))
	r := a.do("POST", collection(jobs(2)[1]), keyB, body(nil))
	var strange struct {
		Data struct{ Checkpoint struct{ ID string } }
	}
	if err := json.Unmarshal(r.body, &strange); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, header, query string
		from                int
	}{
		{"nothing", "", "", 0},
		{"the header", ids[1], "", 2},
		{"the query", "", ids[2], 3},
		{"the header goes before the query", ids[3], ids[0], 4},
		{"an id that is nowhere", "zzz999999999999999999999", "", 0},
		{"an id of another job", foreign, "", 0},
		{"an id of another organization", strange.Data.Checkpoint.ID, "", 0},
		{"no id at all", "../..", "", 0},
		{"the end of a job that has not ended", "complete-" + ids[1], "", 2},
		{"the end at the tail of a job that has not ended", "", "complete-" + ids[3], 4},
		{"the end of another job", "complete-" + foreign, "", 0},
		{"an end of nothing", "complete-", "", 0},
		{"one character more", ids[1] + "0", "", 0},
		{"upper case", strings.ToUpper(ids[1]), "", 0},
		{"one much too long", strings.Repeat("x", 9000), "", 0},
		{"a number", "3", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := streamPath(jobID)
			if c.query != "" {
				path += "?last_event_id=" + c.query
			}
			var header []string
			if c.header != "" {
				header = []string{"Last-Event-ID", c.header}
			}
			w := a.watch(path, keyA, header...)
			w.messages(all[c.from:]...)
			w.close()
			<-a.left
		})
	}
}

// A stream that may wait gets the job's beginning, and never learns of a job
// that another organization has or will have under that id.
func TestStreamWaitsForAJob(t *testing.T) {
	a := start(t, func(c *config.Config) {
		c.Stream.UnknownJob, c.Stream.Heartbeat = "wait", config.Duration(20*time.Millisecond)
	})
	early, stranger := a.watch(streamPath(jobID), keyA), a.watch(streamPath(jobID), keyB)
	raw, id := a.post(jobID, body(nil))
	early.messages(raw)
	end, _ := a.post(jobID, withStatus("completed"))
	early.messages(end)
	early.complete(jobID, "completed")
	early.ended()
	stranger.silent(4)
	for _, resume := range []string{"", id, "complete-" + id} {
		a.watch(streamPath(jobID), keyB, "Last-Event-ID", resume).silent(3)
	}
	if r := a.do("HEAD", streamPath(unknownJob), keyB, nil); r.StatusCode != 200 {
		t.Errorf("HEAD of a job to wait for: %d", r.StatusCode)
	}
}

func TestStreamLimits(t *testing.T) {
	a := start(t, func(c *config.Config) {
		c.Stream.MaxSubscribers, c.Stream.MaxSubscribersPerKey, c.Stream.MaxSubscribersPerJob = 4, 2, 3
	})
	two := jobs(2)
	for _, j := range two {
		a.post(j, body(nil))
	}
	refused := func(job, key string, code int, limit, reason string) {
		t.Helper()
		before := a.metric("limit_rejections_total", limit)
		r := a.do("GET", streamPath(job), key, nil)
		if r.StatusCode != code || r.Header.Get("Retry-After") == "" || !strings.Contains(string(r.body), reason) {
			t.Errorf("%s: %d %v %s", limit, r.StatusCode, r.Header, r.body)
		}
		if n := a.metric("limit_rejections_total", limit); n != before+1 {
			t.Errorf("limit_rejections_total{%s} went from %v to %v", limit, before, n)
		}
	}
	first := a.watch(streamPath(two[0]), keyA)
	a.watch(streamPath(two[0]), keyA)
	refused(two[1], keyA, 429, "max_subscribers_per_key", "max_subscribers_per_key")
	a.watch(streamPath(two[0]), keyRead)
	refused(two[0], keyRead, 503, "max_subscribers_per_job", "of the job")
	a.watch(streamPath(two[1]), keyRead)
	refused(two[1], keyRead, 503, "max_subscribers", "Too many streams are open")
	first.close()
	<-a.left
	a.watch(streamPath(two[1]), keyA)

	a.config.Stream.MaxSubscribers = 0
	a.server.Reload(a.config, testKeys())
	refused(two[1], keyA, 429, "max_subscribers_per_key", "max_subscribers_per_key")
}

// A server that drains takes no new streams and says when to come back.
func TestDrainingServerRefusesStreams(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	w := a.watch(streamPath(jobID), keyA)
	w.next()
	a.server.hub.Drain(t.Context(), 0)
	e, err := w.read()
	for err == nil && e.name == "" { // comments, and when to come back
		e, err = w.read()
	}
	if err != nil || e.name != "error" || !strings.Contains(e.data, `"shutting_down"`) {
		t.Errorf("got %v, %v", e, err)
	}
	for _, path := range []string{streamPath(jobID), streamsOf([]string{jobID})} {
		if r := a.do("GET", path, keyA, nil); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v", r.StatusCode, r.Header)
		}
	}
}

// What a reload takes from a key, its streams lose; the others go on.
func TestReloadEndsStreams(t *testing.T) {
	a := start(t, nil)
	for i, c := range []struct {
		name string
		keys func([]config.Key) []config.Key
	}{
		{"a key that is removed", func(k []config.Key) []config.Key { return k[1:] }},
		{"a key that may no longer read", func(k []config.Key) []config.Key { k[0].Read = false; return k }},
		{"a key of another organization now", func(k []config.Key) []config.Key { k[0].OrganizationID = orgB; return k }},
	} {
		t.Run(c.name, func(t *testing.T) {
			job := jobs(3)[i]
			raw, _ := a.post(job, body(nil))
			lost, kept := a.watch(streamPath(job), keyA), a.watch(streamPath(job), keyRead)
			lost.messages(raw)
			kept.messages(raw)
			revoked := a.metric("stream_closed_total", "revoked")
			a.server.Reload(a.config, c.keys(testKeys()))
			lost.failed("revoked")
			<-a.left
			if n := a.metric("stream_closed_total", "revoked"); n != revoked+1 {
				t.Errorf("stream_closed_total{revoked} went from %v to %v", revoked, n)
			}
			a.server.Reload(a.config, testKeys())
			next, _ := a.post(job, body(nil))
			kept.messages(next)
			again := a.watch(streamPath(job), keyA)
			again.messages(raw, next)
			again.close()
			kept.close()
			<-a.left
			<-a.left
		})
	}
}

// stream opens a stream on the line and reads its head.
func (l *line) stream(job string) {
	l.t.Helper()
	l.send(head("GET", streamPath(job), keyA, ""))
	if r, err := http.ReadResponse(l.reader, nil); err != nil || r.StatusCode != 200 {
		l.t.Fatalf("no stream: %v, %v", r, err)
	}
}

// Streams count as connections until they are closed, whoever closes them.
func TestStreamsCountAsConnections(t *testing.T) {
	a := start(t, nil)
	post := func(l *line, b []byte) {
		t.Helper()
		l.send(head("POST", collection(jobID), keyA, fmt.Sprintf("Content-Length: %d\r\n", len(b))) + string(b))
		if r := l.answer("POST"); r.StatusCode != 200 {
			t.Fatalf("POST: %d %s", r.StatusCode, r.body)
		}
	}
	writer := a.dial()
	post(writer, body(nil))
	if n := a.server.conns.open.Load(); n != 1 {
		t.Fatalf("%d connections are counted at the start", n)
	}
	var open []*line
	for range 12 {
		l := a.dial()
		l.stream(jobID)
		open = append(open, l)
	}
	if n := a.server.conns.open.Load(); n != 13 {
		t.Errorf("%d connections are counted with 12 streams", n)
	}
	a.config.Server.MaxConnections = 13
	a.server.Reload(a.config, testKeys())
	if r := a.dial().answer("GET"); r.StatusCode != 503 || a.metric("limit_rejections_total", "max_connections") != 1 {
		t.Errorf("a connection too many got %d", r.StatusCode)
	}
	for _, l := range open[:6] {
		_ = l.Close()
	}
	for range 6 {
		<-a.left
	}
	late := a.dial()
	late.stream(jobID)
	post(writer, withStatus("completed"))
	for range 7 {
		<-a.left
	}
	if n := a.server.conns.open.Load(); n != 1 {
		t.Errorf("%d connections are counted at the end", n)
	}
	if n := a.metric("stream_subscribers"); n != 0 {
		t.Errorf("%v subscribers at the end", n)
	}
}

// broken is a connection whose requests arrive and whose answers do not.
type broken struct {
	net.Conn
	requests io.Reader
	closed   chan struct{}
}

func (b *broken) Read(p []byte) (int, error)       { return b.requests.Read(p) }
func (b *broken) Write([]byte) (int, error)        { return 0, errors.New("reset by peer") }
func (b *broken) Close() error                     { close(b.closed); return nil }
func (b *broken) SetDeadline(time.Time) error      { return nil }
func (b *broken) SetReadDeadline(time.Time) error  { return nil }
func (b *broken) SetWriteDeadline(time.Time) error { return nil }
func (b *broken) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (b *broken) RemoteAddr() net.Addr             { return &net.TCPAddr{} }

// A stream whose connection breaks before it is taken over leaves nothing
// behind: fasthttp then forgets to hand it over.
func TestConnectionBreaksBeforeTheStreamBegins(t *testing.T) {
	a := start(t, nil)
	a.post(jobID, body(nil))
	before := a.server.conns.open.Load()
	b := &broken{closed: make(chan struct{}), requests: strings.NewReader(
		head("GET", collection(jobID), keyA, "") + head("GET", streamPath(jobID), keyA, ""))}
	a.server.conns.open.Add(1)
	c, err := newConn(b, a.server)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.server.http.ServeConn(c); err == nil {
		t.Error("an answer that could not be written is no error")
	}
	<-b.closed
	if n := a.metric("stream_subscribers"); n != 0 {
		t.Errorf("%v subscribers are left", n)
	}
	if n := a.metric("stream_jobs"); n != 0 {
		t.Errorf("%v jobs are left", n)
	}
	if n := a.server.conns.open.Load(); n != before {
		t.Errorf("%d connections are counted, want %d", n, before)
	}
}

// A deleted job ends its streams; what begins anew under its id is another job.
func TestDeletedJobEndsItsStreams(t *testing.T) {
	a := start(t, nil)
	raw, id := a.post(jobID, body(nil))
	w := a.watch(streamPath(jobID), keyA)
	w.messages(raw)
	if err := a.store.Delete(jobID); err != nil {
		t.Fatal(err)
	}
	a.server.hub.Deleted(jobID)
	w.failed("storage")
	a.refuses(t, []fault{{"after it", "GET", streamPath(jobID), keyA, "", 404, noJob}})
	raw, _ = a.post(jobID, body(nil))
	a.watch(streamPath(jobID), keyA, "Last-Event-ID", id).messages(raw)
}
