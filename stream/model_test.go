package stream

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel holds random histories against the log itself: whatever happens,
// every subscriber gets every checkpoint from its position on once and in
// order, up to an end that is one.
func TestModel(t *testing.T) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprintf("portable=%v", portable), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				o := Options{
					Portable: portable, StallTimeout: patience, Shards: 2,
					Buffer:     rapid.SampledFrom([]int64{1, 100 << 10, 8 << 20}).Draw(t, "buffer"),
					SendBuffer: rapid.SampledFrom([]int{1, 64 << 10}).Draw(t, "sendBuffer"),
				}
				m := &model{fixture: newHub(t, o), t: t, stored: make(map[string]uint64)}
				t.Cleanup(m.hub.Close)
				actions := []struct {
					name string
					do   func()
				}{
					{"put", m.put}, {"put", m.put}, {"put", m.put}, {"publish", m.publishOne},
					{"publish", m.publishOne}, {"publish some", m.publishSome}, {"publish all", m.publishAll},
					{"join", m.join}, {"join", m.join}, {"join composite", m.joinComposite},
					{"leave", m.leave}, {"stall", m.stall}, {"read on", m.readOn}, {"resume", m.resume},
					{"end", m.end}, {"remove", m.remove},
				}
				for range rapid.IntRange(5, 60).Draw(t, "steps") {
					a := actions[rapid.IntRange(0, len(actions)-1).Draw(t, "action")]
					t.Log(a.name)
					a.do()
				}
				m.finish()
			})
		})
	}
}

var modelJobs = []string{"a", "b", "c"}

type model struct {
	*fixture
	t       *rapid.T
	clients []*modelClient
	// pending is what is stored and not published yet.
	pending []Checkpoint
	jobOf   []string
	// stored has the hash of each checkpoint's JSON there ever was, by job and id.
	stored  map[string]uint64
	deleted bool // a job was
}

func (m *model) job() string { return rapid.SampledFrom(modelJobs).Draw(m.t, "job") }

func (m *model) put() {
	job := m.job()
	size := rapid.SampledFrom([]int{0, 100, 3000, 9000, 40000, 150000}).Draw(m.t, "size")
	for range rapid.IntRange(1, 20).Draw(m.t, "n") {
		m.store(job, size, "")
	}
}

func (m *model) end() {
	job := m.job()
	status := rapid.SampledFrom([]string{"completed", "failed"}).Draw(m.t, "status")
	m.store(job, 10, status)
}

func (m *model) store(job string, size int, ended string) {
	c := m.log.put(job, size, ended)
	m.stored[job+c.ID] = maphash.Bytes(homeSeed, c.JSON)
	m.pending, m.jobOf = append(m.pending, c), append(m.jobOf, job)
}

func (m *model) take(i int) (string, Checkpoint) {
	job, c := m.jobOf[i], m.pending[i]
	m.pending, m.jobOf = slices.Delete(m.pending, i, i+1), slices.Delete(m.jobOf, i, i+1)
	return job, c
}

func (m *model) publishOne() {
	if len(m.pending) > 0 {
		job, c := m.take(rapid.IntRange(0, len(m.pending)-1).Draw(m.t, "which"))
		m.hub.Publish(testOrganization, job, c)
	}
}

// publishSome publishes several at once.
func (m *model) publishSome() {
	var publishers sync.WaitGroup
	for range min(rapid.IntRange(1, 10).Draw(m.t, "publishers"), len(m.pending)) {
		job, c := m.take(rapid.IntRange(0, len(m.pending)-1).Draw(m.t, "which"))
		publishers.Go(func() { m.hub.Publish(testOrganization, job, c) })
	}
	publishers.Wait()
}

func (m *model) publishAll() {
	order := rand.New(rand.NewPCG(0, rapid.Uint64().Draw(m.t, "order")))
	for len(m.pending) > 0 {
		job, c := m.take(order.IntN(len(m.pending)))
		m.hub.Publish(testOrganization, job, c)
	}
}

// remove deletes a job. What was stored of it is published first: a
// publication is not later than the deletion of the job it belongs to.
func (m *model) remove() {
	m.publishAll()
	job := m.job()
	m.deleted = true
	m.log.remove(job)
	m.hub.Deleted(job)
}

func (m *model) position(job string) Position {
	p := Position{Organization: testOrganization, Job: job}
	n := len(m.log.all(job))
	p.After = uint64(rapid.IntRange(0, n+2).Draw(m.t, "after"))
	p.Completed = rapid.Bool().Draw(m.t, "completed")
	return p
}

func (m *model) join() { m.start(false, m.position(m.job())) }

func (m *model) joinComposite() {
	var all []Position
	for _, job := range modelJobs[:rapid.IntRange(1, len(modelJobs)).Draw(m.t, "jobs")] {
		all = append(all, m.position(job))
	}
	m.start(true, all...)
}

// start begins a client, unless there is nothing to come for it.
func (m *model) start(composite bool, jobs ...Position) {
	c := &modelClient{composite: composite, plain: rapid.Bool().Draw(m.t, "plain"), gate: make(chan struct{}, 1), done: make(chan struct{})}
	c.gate <- struct{}{}
	over := true
	for _, p := range jobs {
		l := &modelLeg{job: p.Job, log: m.log.all(p.Job), next: p.After + 1}
		if l.next > uint64(len(l.log))+1 {
			l.next, p.Completed = 1, false
		}
		// Whether it still ends there depends on what is published already.
		l.perhapsOver = p.Completed && l.next > 1 && l.log[l.next-2].Ended != ""
		over = over && l.perhapsOver
		c.legs = append(c.legs, l)
	}
	s, err := m.hub.Admit(Subscription{Jobs: jobs, Composite: composite, Plain: c.plain, Head: []byte(c.head())})
	if errors.Is(err, ErrCompleted) {
		if !over {
			m.t.Fatalf("nothing to come, for %+v", jobs)
		}
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	client, server := socketPair(m.t)
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	if err := s.Attach(server); err != nil {
		m.t.Fatal(err)
	}
	c.reader = newReader(client)
	m.clients = append(m.clients, c)
	go c.run()
}

func (m *model) some() *modelClient {
	if len(m.clients) == 0 {
		return nil
	}
	return m.clients[rapid.IntRange(0, len(m.clients)-1).Draw(m.t, "client")]
}

func (m *model) stall() {
	if c := m.some(); c != nil {
		select {
		case <-c.gate:
		default:
		}
	}
}

func (m *model) readOn() {
	if c := m.some(); c != nil {
		c.open()
	}
}

// quit ends a client and judges what it got.
func (m *model) quit(c *modelClient) {
	_ = c.reader.conn.Close()
	c.open()
	<-c.done
	m.judge(c)
	m.clients = slices.DeleteFunc(m.clients, func(other *modelClient) bool { return other == c })
}

func (m *model) leave() {
	if c := m.some(); c != nil {
		m.quit(c)
	}
}

// resume ends a client and comes back with its last id.
func (m *model) resume() {
	c := m.some()
	if c == nil {
		return
	}
	m.quit(c)
	m.start(c.composite, m.positions(c)...)
}

// positions are what a server makes of a client's last id.
func (m *model) positions(c *modelClient) []Position {
	jobs := make([]Position, 0, len(c.legs))
	for _, l := range c.legs {
		jobs = append(jobs, Position{Organization: testOrganization, Job: l.job})
	}
	if c.composite {
		if c.lastID != "" && !ParseComposite(c.lastID, jobs) {
			m.t.Fatalf("the id %q of a stream is none", c.lastID)
		}
		return jobs
	}
	id, completed := CompletedAfter(c.lastID)
	if !completed {
		id = c.lastID
	}
	for _, k := range m.log.all(jobs[0].Job) {
		if k.ID == id {
			jobs[0].After, jobs[0].Completed = k.Sequence, completed
		}
	}
	return jobs
}

// finish ends all jobs and waits until every client has all.
func (m *model) finish() {
	for _, job := range modelJobs {
		m.store(job, 1, "completed")
	}
	m.publishAll()
	for len(m.clients) > 0 {
		c := m.clients[0]
		c.open()
		<-c.done
		m.judge(c)
		m.clients = m.clients[1:]
		if c.err != io.EOF || c.error != "" {
			continue // of a job that was deleted
		}
		whole := true
		for _, l := range c.legs {
			whole = whole && l.next == uint64(len(m.log.all(l.job)))+1
		}
		if !whole {
			// It saw an end that was continued later: it comes back.
			m.start(c.composite, m.positions(c)...)
		}
	}
}

// judge fails unless a client's stream ended as it may.
func (m *model) judge(c *modelClient) {
	if c.fault != "" {
		m.t.Fatal(c.fault)
	}
	for _, l := range c.legs {
		for _, got := range l.got {
			if stored, ok := m.stored[l.job+got.id]; !ok || stored != got.json {
				m.t.Fatalf("job %s: checkpoint %s is not what was stored", l.job, got.id)
			}
		}
	}
	switch {
	case errors.Is(c.err, os.ErrDeadlineExceeded):
		m.t.Fatalf("nothing came any more for a client %s", c.where())
	case errors.Is(c.err, net.ErrClosed): // it left
	case c.error != "":
		if !strings.Contains(c.error, `"type":"storage"`) {
			m.t.Fatalf("a stream ended with %s", c.error)
		}
	case c.err == io.EOF:
		for _, l := range c.legs {
			if !l.over && !l.perhapsOver && !c.plain {
				m.t.Fatalf("job %s: the stream ended before complete", l.job)
			}
		}
	case !m.deleted:
		m.t.Fatalf("a stream broke: %v", c.err)
	}
}

// modelClient reads a stream and holds each event against its predecessor.
type modelClient struct {
	composite, plain bool
	reader           *reader
	gate             chan struct{} // holds a token while the client reads
	done             chan struct{}

	// Of its goroutine until done is closed.
	legs   []*modelLeg
	lastID string
	error  string // data of the error event
	err    error
	fault  string
}

type modelLeg struct {
	job  string
	log  []Checkpoint // as of the client's start
	next uint64
	over bool
	// perhapsOver says that the job may have ended for the stream from its start.
	perhapsOver bool
	got         []modelGot
}

type modelGot struct {
	id   string
	json uint64 // hash
}

func (c *modelClient) head() string {
	if c.plain {
		return "HTTP/1.0 200 OK\r\n\r\n"
	}
	return testHead
}

func (c *modelClient) where() string {
	s := fmt.Sprintf("(composite: %v)", c.composite)
	for _, l := range c.legs {
		s += fmt.Sprintf(" at %d of job %s, over: %v", l.next, l.job, l.over)
	}
	return s
}

func (c *modelClient) open() {
	select {
	case c.gate <- struct{}{}:
	default:
	}
}

func (c *modelClient) run() {
	defer close(c.done)
	for {
		<-c.gate
		c.open()
		e, err := c.reader.message()
		if err != nil {
			c.err = err
			return
		}
		if c.error != "" {
			c.fault = fmt.Sprintf("after an error came %.80v", e)
			return
		}
		if c.fault = c.take(e); c.fault != "" {
			return
		}
	}
}

func (c *modelClient) take(e event) (fault string) {
	if e.event == "error" {
		c.error = e.data
		return ""
	}
	if e.id == "" {
		return fmt.Sprintf("%.80v has no id", e)
	}
	c.lastID = e.id
	if e.event == "complete" {
		for _, l := range c.legs {
			if strings.Contains(e.data, fmt.Sprintf(`"expertJobId":%q`, l.job)) {
				if l.over {
					return "complete came twice for " + l.job
				}
				l.over = true
				return ""
			}
		}
		return "complete of another job: " + e.data
	}
	var sequence uint64
	var generation int
	var job string
	if _, err := fmt.Sscanf(strings.NewReplacer(",", " ", "}", " ").Replace(e.data[:min(len(e.data), 80)]),
		`{"sequence":%d "job":%q "generation":%d`, &sequence, &job, &generation); err != nil {
		return fmt.Sprintf("%.80s: %v", e.data, err)
	}
	i := slices.IndexFunc(c.legs, func(l *modelLeg) bool { return l.job == job })
	if i < 0 {
		return "a checkpoint of another job: " + job
	}
	l := c.legs[i]
	id := fmt.Sprintf("c%03d%020d", generation, sequence)
	switch {
	case l.over:
		return "a checkpoint after complete of " + job
	case sequence != l.next:
		return fmt.Sprintf("job %s: checkpoint %d came instead of %d", job, sequence, l.next)
	case len(l.got) > 0 && l.got[0].id[:4] != id[:4]:
		return fmt.Sprintf("job %s: a stream of two logs, %s and %s", job, l.got[0].id, id)
	case !c.composite && e.id != id:
		return fmt.Sprintf("job %s: checkpoint %d has id %s instead of %s", job, sequence, e.id, id)
	}
	l.next++
	l.perhapsOver = false
	l.got = append(l.got, modelGot{id, maphash.String(homeSeed, e.data)})
	if !c.composite {
		return ""
	}
	at := make([]Position, len(c.legs))
	for i, l := range c.legs {
		at[i] = Position{Job: l.job}
	}
	if !ParseComposite(e.id, at) {
		return fmt.Sprintf("the id %q is none", e.id)
	}
	for i, l := range c.legs {
		if l.perhapsOver {
			l.over = l.over || at[i].Completed
		}
		if at[i].After != l.next-1 || at[i].Completed != l.over {
			return fmt.Sprintf("the id says %+v, job %s is at %d", at[i], l.job, l.next-1)
		}
	}
	return ""
}
