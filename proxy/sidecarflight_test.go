package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/config"
	"milepost/proxy/upstream/upstreamtest"
)

// served returns how many requests a server has answered, by what counts as one
// for its upstream: streams, and all others.
func (a *api) served() (streams, others int) {
	a.t.Helper()
	families, err := a.metrics.Registry.Gather()
	if err != nil {
		a.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "milepost_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			n := int(m.GetCounter().GetValue())
			others += n
			for _, l := range m.GetLabel() {
				if l.GetName() == "route" && l.GetValue() == "stream" {
					streams, others = streams+n, others-n
				}
			}
		}
	}
	return streams, others
}

// crowd does something as often at the same time.
func crowd(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// get asks on a connection of its own and returns status and body.
func (a *api) get(path, key string) (int, string) {
	l := a.dial()
	defer l.Close()
	l.send(head("GET", path, key, ""))
	r, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		return 0, err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, err.Error()
	}
	return r.StatusCode, string(b)
}

// However many ask for the same missing thing, it is asked for once; those whom
// the upstream has accepted share it whoever asked.
func TestCrowdCausesOneRequest(t *testing.T) {
	release := make(chan struct{})
	up := upstreamtest.Start(t)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		list := `{"data":{"checkpoints":[]},"meta":{"total":0,"take":1,"skip":0}}`
		if strings.HasSuffix(r.URL.Path, "/"+unknownJob) {
			<-release
			list = fmt.Sprintf(`{"data":{"checkpoint":{"id":%q,"sequence":1,"status":"init"}}}`, unknownJob)
		}
		_, _ = io.WriteString(w, list)
	})
	a := startAt(t, up.URL, "forward", nil)
	const callers, keys = 200, 20
	key := func(i int) string { return fmt.Sprintf("secret-of-caller-%d", i%keys) }
	for i := range keys {
		a.wants(collection(jobID), key(i), 200)
	}
	before := len(up.Requests())
	var answered sync.WaitGroup
	answered.Go(func() {
		crowd(callers, func(i int) {
			if code, b := a.get(collection(jobID)+unknownJob, key(i)); code != 200 || !strings.Contains(b, unknownJob) {
				t.Errorf("caller %d: %d %s", i, code, b)
			}
		})
	})
	for len(up.Requests()) == before { // the first is there
		a.wants("/openapi.yaml", "", 200)
	}
	close(release)
	answered.Wait()
	if n := len(up.Requests()) - before; n != 1 {
		t.Errorf("%d requests have reached the upstream", n)
	}
}

// A caller whose credential is refused meanwhile does not answer for the others,
// nor they for it; a failure is not kept.
func TestSharedAnswerIsNobodysRefusal(t *testing.T) {
	var mu sync.Mutex
	refused := ""
	up := upstreamtest.Start(t)
	up.Answer(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		no := r.Header.Get("Authorization") == refused
		mu.Unlock()
		switch {
		case no:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"code":401,"error":"Unauthorized","reason":"Failed to authenticate"}`)
		case strings.HasSuffix(r.URL.Path, "/checkpoints/"):
			_, _ = io.WriteString(w, `{"data":{"checkpoints":[]},"meta":{"total":0,"take":1,"skip":0}}`)
		default:
			id := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
			_, _ = fmt.Fprintf(w, `{"data":{"checkpoint":{"id":%q,"status":"init"}}}`, id)
		}
	})
	a := startAt(t, up.URL, "forward", nil)
	for round := range 20 {
		mu.Lock()
		refused = ""
		mu.Unlock()
		a.wants(collection(jobID), keyA, 200)
		a.wants(collection(jobID), keyB, 200)
		mu.Lock()
		refused = "Bearer " + keyA
		mu.Unlock()
		id := fmt.Sprintf("new%021d", round)
		crowd(6, func(i int) {
			code, b := a.get(collection(jobID)+id, []string{keyA, keyB}[i%2])
			switch {
			case i%2 == 1 && code != 200:
				t.Errorf("round %d: whom the upstream accepts got %d %s", round, code, b)
			case i%2 == 0 && code != 401 && code != 200:
				t.Errorf("round %d: whom the upstream refuses got %d %s", round, code, b)
			}
		})
		a.wants(collection(jobID), keyA, 401)
		a.wants(collection(jobID)+id, keyA, 401)
	}
}

// A thousand dashboards of one key cost the upstream one stream, and next to
// nothing else.
func TestThousandDashboardsCostOneStream(t *testing.T) {
	const dashboards, history, live = 1000, 100, 100
	cfg := config.Default()
	a := startPair(t, vfs.NewMem(), cfg, "forward")
	for range history {
		if r := a.upstream.do("POST", collection(jobID), keyA, body(nil)); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	streamsBefore, othersBefore := a.upstream.served()
	var open, ended sync.WaitGroup
	open.Add(dashboards)
	for i := range dashboards {
		ended.Go(func() {
			l := a.dial()
			defer l.Close()
			l.send(head("GET", streamPath(jobID), keyRead, ""))
			r, err := http.ReadResponse(l.reader, nil)
			if err != nil || r.StatusCode != 200 {
				t.Errorf("dashboard %d: %v, %v", i, r, err)
				open.Done()
				return
			}
			begun := false
			events := 0
			buf := make([]byte, 64<<10)
			var tail []byte
			for {
				n, err := r.Body.Read(buf)
				tail = append(tail, buf[:n]...)
				events += bytes.Count(tail, []byte("\nevent: message\n"))
				if i := bytes.LastIndex(tail, []byte("\nevent: message\n")); i >= 0 {
					tail = append(tail[:0], tail[i+1:]...)
				}
				if !begun && (events >= history || err != nil) {
					begun = true
					open.Done()
				}
				if err != nil {
					if err != io.EOF || events != history+live || !bytes.Contains(tail, []byte("event: complete\n")) {
						t.Errorf("dashboard %d: %d events, %v", i, events, err)
					}
					return
				}
			}
		})
	}
	open.Wait()
	for n := range live {
		b := body(nil)
		if n == live-1 {
			b = withStatus("completed")
		}
		if r := a.upstream.do("POST", collection(jobID), keyA, b); r.StatusCode != 200 {
			t.Fatal(r.StatusCode)
		}
	}
	ended.Wait()
	streams, others := a.upstream.served()
	streams, others = streams-streamsBefore, others-othersBefore-live
	t.Logf("%d dashboards: %d streams and %d other requests", dashboards, streams, others)
	if streams != 1 || others > 4 {
		t.Errorf("%d streams and %d other requests reached the upstream", streams, others)
	}
}
