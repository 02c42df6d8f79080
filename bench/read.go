package main

import (
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

// measureReads reads one checkpoint again and again from many connections.
func measureReads(s *scenario) error {
	server, err := s.startSubject()
	if err != nil {
		return err
	}
	stored := make([]storedAnswer, len(readSizes))
	canned := map[string]cannedAnswer{}
	for i, r := range readSizes {
		if stored[i], err = storeAnswer(s.ctx, server, r.size); err != nil {
			return err
		}
		canned[stored[i].path] = stored[i].cannedAnswer
	}
	var bare *fasthttpPeer
	var nginx *nginxServer
	if s.peers && s.target == "" {
		if bare, err = startFasthttpPeer(s.ctx, canned, s.path("answers.json")); err != nil {
			return err
		}
		s.cleanup(bare.end)
		// Its origin is the bare peer, which it asks once for each body.
		nginx, err = startNginx(s.ctx, s.path("nginx"), bare.addr)
		switch {
		case errors.Is(err, errNoPeer):
			s.report.note("left out: %v", err)
		case err != nil:
			return err
		default:
			s.cleanup(nginx.end)
		}
	}
	for i, r := range readSizes {
		get := func(addr string) func() ([]task, error) {
			return func() ([]task, error) {
				var tasks []task
				for range readConnections {
					t, err := newReadTask(addr, server.key, stored[i].path, []byte(stored[i].Body))
					if err != nil {
						return tasks, err
					}
					tasks = append(tasks, t)
				}
				return tasks, nil
			}
		}
		systems := []system{driven("milepost", server.pid, get(server.addr))}
		if bare != nil {
			systems = append(systems, driven("bare fasthttp", bare.pid(), get(bare.addr)))
		}
		if nginx != nil {
			systems = append(systems,
				driven("nginx, tcp_nopush off", nginx.pid(), get(nginx.withoutPush)),
				driven("nginx, tcp_nopush on", nginx.pid(), get(nginx.withPush)))
		}
		all, err := s.interleave(fmt.Sprintf("GET %d KB, %d connections", r.size>>10, readConnections), systems)
		if err != nil {
			return err
		}
		s.report.compare(all, "milepost", "bare fasthttp", "requests per server CPU second", measurement.perCPUSecond, r.bare)
		s.report.compare(all, "milepost", betterNginx(all), "requests per server CPU second", measurement.perCPUSecond, r.nginxHit)
		s.report.compare(all, "milepost", betterNginx(all), "requests/s", measurement.perSecond, 0)
	}
	return nil
}

// betterNginx returns the name of the setting of tcp_nopush with which nginx
// answers more requests per CPU second; the stall costs it that too.
func betterNginx(all []series) string {
	name, best := "", 0.0
	for _, s := range all {
		rate := median(s.values(measurement.perCPUSecond))
		if strings.HasPrefix(s.System, "nginx") && rate > best {
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
