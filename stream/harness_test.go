package stream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"milepost/metrics"
)

const (
	testOrganization = "org"
	testJob          = "job"
	testHead         = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
	// patience is how long a client of a test waits for what has to come.
	patience = time.Minute
)

// tester is what the harness needs of a testing.T or a rapid.T.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// fakeLog is a history in memory: what the local copy is to the hub.
type fakeLog struct {
	mu         sync.Mutex
	jobs       map[jobKey][]Checkpoint
	generation map[string]int // of a job's ids; a deletion begins the next
	fail       error
	reads      int
	// onTail and onRead, if set, are called before the answer is found.
	onTail func()
	onRead func(from uint64)
}

func newFakeLog() *fakeLog {
	return &fakeLog{jobs: make(map[jobKey][]Checkpoint), generation: make(map[string]int)}
}

func (l *fakeLog) Tail(organization, job string) (Tail, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail, err := Tail{}, l.fail
	if all := l.jobs[jobKey{organization, job}]; err == nil && len(all) > 0 {
		last := all[len(all)-1]
		tail = Tail{Sequence: last.Sequence, ID: last.ID, Ended: last.Ended}
	}
	if f := l.onTail; f != nil {
		l.mu.Unlock()
		f()
		l.mu.Lock()
	}
	return tail, err
}

func (l *fakeLog) Read(job string, from uint64, visit func(Checkpoint) bool) error {
	l.mu.Lock()
	l.reads++
	f := l.onRead
	l.mu.Unlock()
	if f != nil {
		f(from)
	}
	l.mu.Lock()
	all, err := l.jobs[jobKey{testOrganization, job}], l.fail
	l.mu.Unlock()
	if err != nil {
		return err
	}
	for i := from - 1; i < uint64(len(all)) && visit(all[i]); i++ {
	}
	return nil
}

// all returns the log of a job.
func (l *fakeLog) all(job string) []Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs[jobKey{testOrganization, job}]
}

// put stores a checkpoint of size bytes of payload without publishing it.
func (l *fakeLog) put(job string, size int, ended string) Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := jobKey{testOrganization, job}
	n := uint64(len(l.jobs[key]) + 1)
	json := make([]byte, 0, size+100)
	json = fmt.Appendf(json, `{"sequence":%d,"job":%q,"generation":%d,"pad":"`, n, job, l.generation[job])
	json = append(json, bytes.Repeat([]byte{'x'}, size)...)
	json = append(json, `"}`...)
	c := Checkpoint{ID: fmt.Sprintf("c%03d%020d", l.generation[job], n), Sequence: n, Ended: ended, JSON: json}
	l.jobs[key] = append(l.jobs[key], c)
	return c
}

// remove deletes a job.
func (l *fakeLog) remove(job string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.jobs, jobKey{testOrganization, job})
	l.generation[job]++
}

// breakDown makes every read fail from now on.
func (l *fakeLog) breakDown(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail = err
}

func (l *fakeLog) readsSoFar() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

// fixture is a hub with a listener for its subscribers.
type fixture struct {
	t   tester
	log *fakeLog
	hub *Hub
	ln  net.Listener

	series *prometheus.Registry
}

// onEngines runs a test with each kind of engine.
func onEngines(t *testing.T, o Options, test func(t *testing.T, f *fixture)) {
	for _, portable := range []bool{false, true} {
		t.Run(fmt.Sprintf("portable=%v", portable), func(t *testing.T) {
			o := o
			o.Portable = portable
			test(t, newFixture(t, o))
		})
	}
}

func newFixture(t tester, o Options) *fixture {
	t.Helper()
	f := newHub(t, o)
	t.Cleanup(f.hub.Close)
	var err error
	if f.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.ln.Close() })
	return f
}

// newHub is a fixture without a listener. The hub has to be closed.
func newHub(t tester, o Options) *fixture {
	t.Helper()
	f := &fixture{t: t, log: newFakeLog()}
	if o.History == nil {
		o.History = f.log
	}
	f.series = prometheus.NewRegistry()
	o.Metrics = metrics.NewStream(f.series,
		prometheus.NewCounterVec(prometheus.CounterOpts{Name: "limit"}, []string{"limit"}))
	hub, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f.hub = hub
	return f
}

// gauge returns the value of a series, of a counter with a label the sum.
func (f *fixture) gauge(name string) (sum float64) {
	f.t.Helper()
	families, err := f.series.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "milepost_stream_"+name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		return sum
	}
	return 0
}

// closed returns how many streams ended for a reason.
func (f *fixture) closed(why Reason) float64 {
	f.t.Helper()
	families, err := f.series.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "milepost_stream_closed_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			if m.GetLabel()[0].GetValue() == why.String() {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// publish stores a checkpoint and publishes it.
func (f *fixture) publish(job string, size int, ended string) Checkpoint {
	c := f.log.put(job, size, ended)
	f.hub.Publish(testOrganization, job, c)
	return c
}

// dial connects a socket whose other end the hub may have.
func (f *fixture) dial() (client, server net.Conn) {
	f.t.Helper()
	return f.dialWith(net.Dialer{})
}

func (f *fixture) dialWith(d net.Dialer) (client, server net.Conn) {
	f.t.Helper()
	client, err := d.Dial("tcp", f.ln.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = client.Close() })
	server, err = f.ln.Accept()
	if err != nil {
		f.t.Fatal(err)
	}
	_ = client.SetDeadline(time.Now().Add(patience))
	return client, server
}

// socketPair is two ends of a socket whose buffers may be as small as a test
// wants, without the waits of TCP when its windows are small.
func socketPair(t tester) (client, server net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		ends[i], err = net.FileConn(file)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = ends[0].Close() })
	_ = ends[0].SetDeadline(time.Now().Add(patience))
	return ends[0], ends[1]
}

// subscribe attaches a subscriber and returns its client.
func (f *fixture) subscribe(o Subscription) *reader {
	f.t.Helper()
	client, server := f.dial()
	f.attach(o, server)
	return newReader(client)
}

// attach gives the hub a subscriber on a connection.
func (f *fixture) attach(o Subscription, server net.Conn) {
	f.t.Helper()
	if o.Jobs == nil {
		o.Jobs = []Position{{Organization: testOrganization, Job: testJob}}
	}
	o.Head = []byte(testHead)
	s, err := f.hub.Admit(o)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := s.Attach(server); err != nil {
		f.t.Fatal(err)
	}
}

// from is a subscription after a sequence of the test's job.
func from(n uint64, completed bool) Subscription {
	return Subscription{Jobs: []Position{{Organization: testOrganization, Job: testJob, After: n, Completed: completed}}}
}

// event is one server-sent event.
type event struct {
	id, event, data string
	comment, retry  bool
}

// reader reads events off a client's connection.
type reader struct {
	conn net.Conn
	body *bufio.Reader
}

func newReader(c net.Conn) *reader { return &reader{conn: c} }

// next returns the next event or comment; err io.EOF is a clean end.
func (r *reader) next() (event, error) {
	if r.body == nil {
		response, err := http.ReadResponse(bufio.NewReader(r.conn), nil)
		if err != nil {
			return event{}, err
		}
		r.body = bufio.NewReader(response.Body)
	}
	var e event
	for {
		line, err := r.body.ReadString('\n')
		if err != nil {
			if err == io.EOF && (line != "" || e != event{}) {
				err = io.ErrUnexpectedEOF
			}
			return event{}, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ":"); {
		case line == "":
			return e, nil
		case name == "":
			e.comment = true
		case name == "id":
			e.id = strings.TrimPrefix(value, " ")
		case name == "event":
			e.event = strings.TrimPrefix(value, " ")
		case name == "data":
			e.data = strings.TrimPrefix(value, " ")
		case name == "retry":
			e.retry, e.data = true, strings.TrimPrefix(value, " ")
		default:
			return e, fmt.Errorf("line %q", line)
		}
	}
}

// message returns the next event that is not a comment.
func (r *reader) message() (event, error) {
	for {
		if e, err := r.next(); err != nil || !e.comment {
			return e, err
		}
	}
}

// expect fails unless the next messages are those of the sequences.
func (r *reader) expect(t *testing.T, l *fakeLog, job string, first, last uint64) {
	t.Helper()
	for n := first; n <= last; n++ {
		e, err := r.message()
		if err != nil {
			t.Fatalf("checkpoint %d: %v", n, err)
		}
		l.mu.Lock()
		want := l.jobs[jobKey{testOrganization, job}][n-1]
		l.mu.Unlock()
		if e.event != "message" || !strings.HasSuffix(e.id, want.ID) || e.data != string(want.JSON) {
			t.Fatalf("checkpoint %d came as %.80v", n, e)
		}
	}
}

func (r *reader) expectEvent(t *testing.T, name, data string) {
	t.Helper()
	e, err := r.message()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if e.event != name || !strings.Contains(e.data, data) {
		t.Fatalf("got %v, want %s with %s", e, name, data)
	}
}

func (r *reader) expectEnd(t *testing.T) {
	t.Helper()
	if e, err := r.message(); err != io.EOF {
		t.Fatalf("got %v, %v instead of a clean end", e, err)
	}
}
