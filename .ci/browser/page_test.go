package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// The states of an EventSource (HTML standard, "Server-sent events").
const (
	connecting = 0
	closed     = 2
)

// waitTime bounds each wait for a page.
const waitTime = 40 * time.Second

// event is what the page tells, or the browser of the page's requests.
type event struct {
	Source, What, ID, Data string
	State                  int
	url                    string
	status                 int
}

// page is a tab of a profile of its own. All but the queue belongs to the test.
type page struct {
	t       *testing.T
	ctx     context.Context
	sources map[string]*source

	mu    sync.Mutex
	queue []event
	more  chan struct{} // holds a token when queue may have something
}

// source is what a page has seen of a stream.
type source struct {
	page      *page
	name, url string

	messages []event
	complete []event
	errors   []event // of the server
	opened   int
	cuts     []int // the state that each break left the EventSource in
	ended    bool  // a stream read by fetch
	broken   string

	attempts int   // requests, also those that found no server
	statuses []int // of the answers
}

// openPage opens a page, the tests' own or a copy of it, in a new tab.
func openPage(t *testing.T, url string) *page {
	t.Helper()
	p := &page{t: t, sources: make(map[string]*source), more: make(chan struct{}, 1)}
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.listen))
	t.Cleanup(cancel)
	p.ctx = ctx
	if err := chromedp.Do(ctx,
		chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := cdp.Call(ctx, t, runtime.AddBinding, runtime.AddBindingParams{Name: "report"})
			return err
		}),
		chromedp.Navigate(url),
	); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen runs on the goroutine that reads the tab's messages.
func (p *page) listen(ev any) {
	var e event
	switch ev := ev.(type) {
	case *runtime.EventBindingCalled:
		if err := json.Unmarshal([]byte(ev.Payload), &e); err != nil {
			e = event{What: "nonsense: " + ev.Payload}
		}
	case *network.EventRequestWillBeSent:
		e = event{What: "request", url: ev.Request.URL}
	case *network.EventResponseReceived:
		e = event{What: "response", url: ev.Response.URL, status: int(ev.Response.Status)}
	default:
		return
	}
	p.mu.Lock()
	p.queue = append(p.queue, e)
	p.mu.Unlock()
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// await takes in what the page tells until done.
func (p *page) await(what string, done func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitTime)
	defer cancel()
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, e := range queue {
			p.take(e)
		}
		if done() {
			return
		}
		select {
		case <-p.more:
		case <-ctx.Done():
			p.t.Fatalf("no %s in time: %s", what, p.story())
		}
	}
}

func (p *page) take(e event) {
	p.t.Helper()
	if e.What == "request" || e.What == "response" {
		for _, s := range p.sources {
			switch {
			case s.url != e.url:
			case e.What == "request":
				s.attempts++
			default:
				s.statuses = append(s.statuses, e.status)
			}
		}
		return
	}
	s := p.sources[e.Source]
	if s == nil {
		p.t.Fatalf("the page tells of %+v", e)
	}
	switch e.What {
	case "open":
		s.opened++
	case "message":
		s.messages = append(s.messages, e)
	case "complete":
		s.complete = append(s.complete, e)
	case "error":
		s.errors = append(s.errors, e)
	case "cut":
		s.cuts = append(s.cuts, e.State)
	case "end":
		s.ended = true
	case "broken":
		s.broken = e.Data
	default:
		p.t.Fatalf("the page tells of %+v", e)
	}
}

// story tells what has happened so far.
func (p *page) story() string {
	var b strings.Builder
	for name, s := range p.sources {
		fmt.Fprintf(&b, "\n%s: %d messages, complete %v, errors %v, opened %d, cuts %v, requests %d, statuses %v, ended %v %s",
			name, len(s.messages), s.complete, s.errors, s.opened, s.cuts, s.attempts, s.statuses, s.ended, s.broken)
	}
	return b.String()
}

// js is a value as the page's script writes it.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// eval runs an expression in a page and waits for the promise that it may be.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, waitTime)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// answer is what a page learns of the answer to a fetch.
type answer struct {
	Type, Body, ETag, Error string
	Status                  int
}

func (p *page) fetch(url string, options map[string]any) answer {
	p.t.Helper()
	return eval[answer](p, fmt.Sprintf("attempt(%s, %s)", js(url), js(options)))
}

// ticketRequest are the options of a fetch for a ticket.
func ticketRequest(jobs ...string) map[string]any {
	return map[string]any{
		"method":  "POST",
		"headers": map[string]string{"Authorization": "Bearer " + dashboardKey, "Content-Type": "application/json"},
		"body":    js(map[string]any{"jobs": jobs}),
	}
}

func ticketURL(s *server) string { return "http://" + s.api + "/api/milepost/v1/stream/tickets" }

// ticket lets the page ask for a ticket.
func (p *page) ticket(s *server, jobs ...string) string {
	p.t.Helper()
	a := p.fetch(ticketURL(s), ticketRequest(jobs...))
	var v struct {
		Data struct{ Ticket, ExpiresAt string }
	}
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil || a.Status != 200 || v.Data.Ticket == "" || v.Data.ExpiresAt == "" {
		p.t.Fatalf("no ticket: %+v", a)
	}
	return v.Data.Ticket
}

// watch opens an EventSource.
func (p *page) watch(name, url string) *source {
	p.t.Helper()
	s := p.add(name, url)
	eval[chromedp.Void](p, fmt.Sprintf("watch(%s, %s)", js(name), js(url)))
	return s
}

// read follows a stream by fetch, as the reference client does.
func (p *page) read(name, url string, headers map[string]string) *source {
	p.t.Helper()
	s := p.add(name, url)
	eval[chromedp.Void](p, fmt.Sprintf("void read(%s, %s, %s)", js(name), js(url), js(headers)))
	return s
}

func (p *page) add(name, url string) *source {
	s := &source{page: p, name: name, url: url}
	p.sources[name] = s
	return s
}

// awaitMessages waits until the source has n messages.
func (s *source) awaitMessages(n int) {
	s.page.t.Helper()
	s.page.await(fmt.Sprintf("message %d of %s", n, s.name), func() bool { return len(s.messages) >= n || s.closed() })
	if len(s.messages) < n {
		s.page.t.Fatalf("%s is closed before message %d: %s", s.name, n, s.page.story())
	}
}

// closed reports whether the EventSource said that it will not try again.
func (s *source) closed() bool { return len(s.cuts) > 0 && s.cuts[len(s.cuts)-1] == closed }

// awaitClosed waits until the EventSource is closed for good.
func (s *source) awaitClosed() {
	s.page.t.Helper()
	s.page.await("end of "+s.name, s.closed)
	if state := eval[int](s.page, fmt.Sprintf("sources[%s].readyState", js(s.name))); state != closed {
		s.page.t.Errorf("%s: readyState is %d after its end", s.name, state)
	}
}
