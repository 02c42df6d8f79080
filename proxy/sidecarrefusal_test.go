package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// A list of jobs shows those that the upstream lets the credential read, as of
// upstream.auth_ttl ago at most; while it is away, as of upstream.stale_auth.
func TestJobListEndsWithItsVerdicts(t *testing.T) {
	a, c := pair(t, vfs.NewMem(), "forward", func(c *config.Config) { c.Upstream.Retries = 0 })
	all := jobs(3)
	for _, job := range all {
		_, id := a.post(job, body(nil))
		for _, key := range []string{keyA, keyRead} {
			a.wants(collection(job)+id, key, 200)
		}
	}
	lists := func(key string, want ...string) {
		t.Helper()
		r := a.do("GET", jobsPathOwn, key, nil)
		n := 0
		for _, job := range all {
			if strings.Contains(string(r.body), job) {
				n++
			}
		}
		for _, job := range want {
			if !strings.Contains(string(r.body), job) {
				t.Errorf("%s is not there: %s", job, r.body)
			}
		}
		if r.StatusCode != 200 || n != len(want) || !strings.Contains(string(r.body), `"complete":true`) {
			t.Errorf("got %d with %d jobs, want %d: %s", r.StatusCode, n, len(want), r.body)
		}
	}
	ttl := a.config.Upstream.AuthTTL.Std()
	lists(keyA, all...)
	c.advance(ttl)
	verified := a.metric("upstream_requests_total", "200", "verify")
	for range 3 {
		lists(keyA, all...) // asked about once
	}
	if n := a.metric("upstream_requests_total", "200", "verify") - verified; n != 3 {
		t.Errorf("%v questions, want 3", n)
	}
	if err := a.upstream.store.Delete(all[0]); err != nil {
		t.Fatal(err)
	}
	a.upstream.cache.Deleted()
	c.advance(ttl)
	lists(keyA, all[1:]...)
	a.revoke("r")
	c.advance(ttl)
	lists(keyA)
	lists(keyB)
	lists(keyRead, all[1:]...)

	a.upstream.stop()
	c.advance(a.config.Upstream.StaleAuth.Std() - time.Millisecond)
	lists(keyRead, all[1:]...)
	lists(keyA)
	c.advance(time.Millisecond)
	lists(keyRead)
}

// A refusal of a request that is merely relayed, for its method or its body, is one
// of the job like any other.
func TestRefusalOfWhatIsRelayedCounts(t *testing.T) {
	a, c := pair(t, vfs.NewMem(), "forward", func(c *config.Config) { c.Upstream.Retries = 0 })
	_, id := a.post(jobID, body(nil))
	one := collection(jobID) + id
	large := strings.Repeat("x", 100<<10)
	kept := func(key string) {
		t.Helper()
		c.advance(time.Millisecond)
		a.upstream.server.Reload(a.upstream.config, testKeys())
		a.wants(one, key, 200)
		a.revoke("b")
		a.wants(one, key, 200) // as of auth_ttl ago
	}
	for name, ask := range map[string]func(key string) int{
		"another method": func(key string) int { return a.do("DELETE", collection(jobID), key, nil).StatusCode },
		"another content type": func(key string) int {
			return a.do("POST", collection(jobID), key, []byte("x"), "Content-Type", "text/plain").StatusCode
		},
		"a body that is asked for": func(key string) int {
			l := a.dial()
			defer l.Close()
			l.send(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", collection(jobID), key, len(large)))
			r, err := http.ReadResponse(l.reader, nil)
			if err != nil {
				t.Fatal(err)
			}
			return r.StatusCode
		},
	} {
		kept(keyA)
		if code := ask(keyA); code != 401 {
			t.Errorf("%s: %d", name, code)
		}
		a.wants(one, keyA, 401)
		for _, path := range []string{one, collection(jobID), streamPath(jobID)} {
			if r := a.do("GET", path, keyA, nil, "If-None-Match", `"`+id+`"`); r.StatusCode != 401 {
				t.Errorf("%s: %s is %d", name, path, r.StatusCode)
			}
		}
	}
}

// Nothing of our own API is relayed, whether there is such a route or not.
func TestOurOwnPathsAreNotRelayed(t *testing.T) {
	up := upstreamtest.Start(t)
	a := startAt(t, up.URL, "forward", nil)
	for _, path := range []string{"/api/milepost/", "/api/milepost/v1/nothing", jobsPathOwn + "/x/y", "/api/milepost/v1/jobs%2F" + jobID, "/ui/nothing"} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			if r := a.do(method, path, keyA, nil); r.StatusCode != 404 && r.StatusCode != 405 {
				t.Errorf("%s %s: %d %s", method, path, r.StatusCode, r.body)
			}
		}
	}
	if n := len(up.Requests()); n != 0 {
		t.Errorf("%d requests have reached the upstream: %v", n, up.Requests())
	}
}

// What a gate in between tells one caller instead of a checkpoint is not given to
// another who asked for the same at the same time.
func TestStrangeAnswerIsNotShared(t *testing.T) {
	const callers = 8
	up := upstreamtest.Start(t)
	arrived, release := make(chan struct{}, callers), make(chan struct{})
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/checkpoints/") {
			_, _ = fmt.Fprint(w, `{"data":{"checkpoints":[]},"meta":{"total":0,"take":1,"skip":0}}`)
			return
		}
		arrived <- struct{}{}
		<-release
		_, _ = fmt.Fprintf(w, "<html>Hello, %s</html>", r.Header.Get("Authorization"))
	})
	a := startAt(t, up.URL, "forward", nil)
	key := func(i int) string { return fmt.Sprintf("secret-of-caller-%d", i) }
	for i := range callers {
		a.wants(collection(jobID)+"?take=1", key(i), 200) // a verdict each
	}
	var lines []*line
	for i := range callers {
		l := a.dial()
		lines = append(lines, l)
		l.send(head("GET", collection(jobID)+unknownJob, key(i), ""))
		if i == 0 {
			<-arrived
		}
	}
	for range 20 { // while the others join it
		a.wants("/openapi.yaml", "", 200)
	}
	close(release)
	for i, l := range lines {
		r, err := http.ReadResponse(l.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r.Body)
		if want := "<html>Hello, Bearer " + key(i) + "</html>"; err != nil || string(b) != want {
			t.Errorf("caller %d got %s, %v", i, b, err)
		}
	}
	if n := a.metric("upstream_coalesced_total"); n == 0 {
		t.Error("nobody has shared an answer")
	}
}
