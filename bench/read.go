package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// readConnections are those of the read scenario.
const readConnections = 64

// readSizes are the response bodies in bytes, with the ratios per server CPU
// second that the project sets itself against bare fasthttp and nginx.
var readSizes = []struct {
	size           int
	bare, nginxHit float64
}{{4 << 10, 0.95, 1}, {64 << 10, 0.85, 0.85}}

// runRead is `bench read`.
func runRead(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "read", 9, progress)
	s.allowTarget()
	s.allowPeers()
	return s.run(args, out, func() error { return measureReads(s) })
}

// measureReads reads checkpoints from many connections: the same one again and
// again, the same one that the caller has already, and many that are not in
// the hot tier.
func measureReads(s *scenario) error {
	server, err := s.startSubject()
	if err != nil {
		return err
	}
	hot := make([]storedAnswer, len(readSizes))
	canned := map[string]cannedAnswer{}
	for i, r := range readSizes {
		if hot[i], err = storeAnswer(s.ctx, server, r.size); err != nil {
			return err
		}
		canned[hot[i].path] = hot[i].cannedAnswer
	}
	peers, err := startReadPeers(s, canned)
	if err != nil {
		return err
	}
	for i, r := range readSizes {
		systems := append([]readSystem{{"milepost", server.pid, server.addr}}, peers...)
		all, err := s.interleave(fmt.Sprintf("GET %d KB, %d connections", r.size>>10, readConnections), drivenReads(systems, []knownGet{hot[i].get(server.key)}))
		if err != nil {
			return err
		}
		s.report.compare(all, "milepost", "bare fasthttp", "requests per server CPU second", measurement.perCPUSecond, r.bare)
		s.report.compare(all, "milepost", betterNginx(all), "requests per server CPU second", measurement.perCPUSecond, r.nginxHit)
		s.report.compare(all, "milepost", betterNginx(all), "requests/s", measurement.perSecond, 0)
		s.report.compare(all, "milepost", nginxStatic, "requests per server CPU second", measurement.perCPUSecond, 0)
		s.report.compare(all, "milepost", varnishName, "requests per server CPU second", measurement.perCPUSecond, 0)
	}
	if err := measureNotModified(s, server, hot[0], peers); err != nil {
		return err
	}
	return measureColdReads(s, server)
}

// measureNotModified reads a checkpoint that the caller has already.
func measureNotModified(s *scenario, server subject, a storedAnswer, peers []readSystem) error {
	tag := a.header("ETag")
	if tag == "" {
		s.report.note("left out: 304, because the server gives no ETag")
		return nil
	}
	systems := []readSystem{{"milepost", server.pid, server.addr}}
	for _, p := range peers {
		// These compare the ETag that they have cached; the others have none.
		if p.name == nginxPushOff || p.name == varnishName {
			systems = append(systems, p)
		}
	}
	known := a.get(server.key)
	known.status, known.want = http.StatusNotModified, nil
	known.request = bytes.Replace(known.request, []byte("\r\n\r\n"), []byte("\r\nIf-None-Match: "+tag+"\r\n\r\n"), 1)
	all, err := s.interleave(fmt.Sprintf("GET 304, %d connections", readConnections), drivenReads(systems, []knownGet{known}))
	if err != nil {
		return err
	}
	for _, p := range systems[1:] {
		s.report.compare(all, "milepost", p.name, "requests per server CPU second", measurement.perCPUSecond, 0)
	}
	return nil
}

// coldCheckpoints are read in turn by all connections when reads are cold.
const coldCheckpoints = 300

// measureColdReads reads many checkpoints from a server that keeps no answers in
// memory. One that --target names may keep them, so it is not measured.
func measureColdReads(s *scenario, server subject) error {
	if server.end == nil {
		s.report.note("left out: cold reads, because a server that runs already may have kept the answers")
		return nil
	}
	cold, err := s.startServer(s.path("cold-data"), "MILEPOST_CACHE_SIZE=0B")
	if err != nil {
		return err
	}
	n := coldCheckpoints
	if s.smoke {
		n = 10
	}
	for _, r := range readSizes {
		var gets []knownGet
		for range n {
			a, err := storeAnswer(s.ctx, subject{addr: cold.addr, key: benchKey}, r.size)
			if err != nil {
				return err
			}
			gets = append(gets, a.get(benchKey))
		}
		name := fmt.Sprintf("GET %d KB from the store (cache.size 0), %d connections", r.size>>10, readConnections)
		if _, err := s.interleave(name, drivenReads([]readSystem{{"milepost", cold.pid(), cold.addr}}, gets)); err != nil {
			return err
		}
	}
	return nil
}

// betterNginx returns the name of the setting of tcp_nopush with which nginx
// answers more requests per CPU second; the stall costs it that too.
func betterNginx(all []series[measurement]) string {
	name, best := "", 0.0
	for _, s := range all {
		rate := median(s.values(measurement.perCPUSecond))
		if (s.System == nginxPushOff || s.System == nginxPushOn) && rate > best {
			name, best = s.System, rate
		}
	}
	return name
}

// storedAnswer is a checkpoint's answer to GET.
type storedAnswer struct {
	path string
	cannedAnswer
}

// get returns the GET of the answer with that key.
func (a storedAnswer) get(key string) knownGet {
	return knownGet{request: getRequest("127.0.0.1", key, a.path), status: http.StatusOK, want: []byte(a.Body)}
}

// header returns the value of a header, empty if there is none.
func (a storedAnswer) header(name string) string {
	for _, h := range a.Headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// storeAnswer posts a checkpoint whose answer to GET has a body of size bytes.
func storeAnswer(ctx context.Context, server subject, size int) (storedAnswer, error) {
	c, err := newClient("http://"+server.addr, server.key)
	if err != nil {
		return storedAnswer{}, err
	}
	// The answer repeats the texts once more than the body has them; its length
	// beyond the body is learned from a first try.
	posted := minTemplate() + 1000
	rng := newRand(randomSeed(), 0)
	for range 8 {
		job := newID(rng)
		t, err := newTemplate(posted, 1)
		if err != nil {
			return storedAnswer{}, err
		}
		r := t.next()
		status, body, err := c.post(ctx, job, r)
		if err != nil {
			return storedAnswer{}, err
		}
		a, err := newChecker(job, true).check(r, status, body)
		if err != nil {
			return storedAnswer{}, err
		}
		got, err := fetch(ctx, c, collectionPath(job)+a.id)
		if err != nil {
			return storedAnswer{}, err
		}
		if len(got.Body) == size {
			return got, nil
		}
		posted += size - len(got.Body)
	}
	return storedAnswer{}, fmt.Errorf("cannot make a checkpoint whose answer has %d bytes", size)
}

// fetch reads path with a plain client.
func fetch(ctx context.Context, c *client, path string) (storedAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.target.String()+path, nil)
	if err != nil {
		return storedAnswer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	resp, err := c.http.Do(req)
	if err != nil {
		return storedAnswer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if err == nil && (resp.StatusCode != http.StatusOK || !json.Valid(body)) {
		err = fmt.Errorf("GET %s gives %d: %s", path, resp.StatusCode, excerpt(body))
	}
	got := storedAnswer{path: path, cannedAnswer: cannedAnswer{Body: string(body)}}
	for name, values := range resp.Header {
		switch name {
		case "Date", "Content-Length", "Connection", "Transfer-Encoding":
			continue // every server writes its own
		}
		got.Headers = append(got.Headers, [2]string{name, values[0]})
	}
	return got, err
}
