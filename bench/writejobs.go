package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
)

// recordedConnections post recorded jobs at once.
const recordedConnections = 16

// jobsTask posts recorded jobs one after another, each from its first body to
// its last: their messages grow, as a runtime's do.
type jobsTask struct {
	traces []*trace
	ids    *rand.Rand
	n      int
	// begin starts a job with that id, encode makes the request for its next
	// body, and decode takes the answer to that.
	begin  func(job string)
	encode func(r request) []byte
	decode func(r request, b []byte) (a answer, used int, err error)
	// body returns the next body of the job that is being posted, stop ends it.
	body   func() (request, bool)
	stop   func()
	posted request
	last   answer
}

// newJobsTask returns a task that begins with the trace with the index first.
func newJobsTask(first int, seed uint64) (*jobsTask, error) {
	t := &jobsTask{n: first, ids: newRand(seed, uint64(first))}
	for _, name := range bundledTraces {
		x, err := bundledTrace(name)
		if err != nil {
			return nil, err
		}
		if _, err := traceRequest(x.lines[0]); err != nil {
			return nil, fmt.Errorf("the recorded job %s has no first body: %w", name, err)
		}
		t.traces = append(t.traces, x)
	}
	return t, nil
}

// bodies plays a job as a sequence of bodies, each made when the answer to the
// one before is there.
func (t *jobsTask) bodies(job source) iter.Seq[request] {
	return func(yield func(request) bool) {
		// A body that depends on an answer that did not come ends the job, whose
		// fault has been counted.
		_ = job.play(func(r request) (answer, error) {
			if !yield(r) {
				return answer{}, errReported
			}
			return t.last, nil
		})
	}
}

// end ends the job that is being posted.
func (t *jobsTask) end() {
	if t.stop != nil {
		t.stop()
	}
}

// next implements exchange.
func (t *jobsTask) next() []byte {
	for {
		if t.body != nil {
			if r, ok := t.body(); ok {
				t.posted = r
				return t.encode(r)
			}
			t.stop()
		}
		t.body, t.stop = iter.Pull(t.bodies(t.traces[t.n%len(t.traces)]))
		t.begin(newID(t.ids))
		t.n++
	}
}

// answer implements answerer.
func (t *jobsTask) answer(b []byte) (used int, err error) {
	a, used, err := t.decode(t.posted, b)
	if used > 0 {
		t.last = a
	}
	return used, err
}

// newMilepostJobs connects to a server, to post recorded jobs and check every
// answer whole.
func newMilepostJobs(server subject, first int, seed uint64) (*link, error) {
	t, err := newJobsTask(first, seed)
	if err != nil {
		return nil, err
	}
	conn, err := dialRaw(server.addr)
	if err != nil {
		return nil, err
	}
	var check *checker
	var message []byte
	var http httpAnswer
	t.begin = func(job string) { check = newChecker(job, true) }
	t.encode = func(r request) []byte {
		message = append(append(message[:0], postHead(server.addr, server.key, check.job, len(r.body))...), r.body...)
		return message
	}
	t.decode = func(r request, b []byte) (answer, int, error) {
		used, err := http.answer(b)
		if used == 0 {
			return answer{}, 0, err
		}
		a, err := check.check(r, http.status, http.body)
		return a, used, err
	}
	return &link{conn: conn, exchange: t, end: t.end}, nil
}

// newPostgresJobs connects to PostgreSQL, to insert recorded jobs.
func newPostgresJobs(addr string, first int, seed uint64) (*link, error) {
	t, err := newJobsTask(first, seed)
	if err != nil {
		return nil, err
	}
	conn, err := dialPostgresInsert(addr)
	if err != nil {
		return nil, err
	}
	var rows pgRows
	t.begin = rows.begin
	t.encode = func(r request) []byte { return rows.insert(r.body) }
	t.decode = func(_ request, b []byte) (answer, int, error) {
		used, err := rows.answer(b)
		// A table gives no ids; any will do where a body names one.
		return answer{id: string(rows.job), sequence: rows.sequence}, used, err
	}
	return &link{conn: conn, exchange: t, end: t.end}, nil
}

// measureRecordedJobs posts whole recorded jobs.
func measureRecordedJobs(s *scenario, server subject, peers writePeers) error {
	seed, n := randomSeed(), 0
	systems := []system{driven("milepost", server.pid, openers(recordedConnections, func() (*link, error) {
		n++
		return newMilepostJobs(server, n, seed)
	}))}
	if peers.postgres != nil {
		systems = append(systems, driven("postgres", peers.postgres.pid(), openers(recordedConnections, func() (*link, error) {
			n++
			return newPostgresJobs(peers.postgres.addr, n, seed)
		})))
	}
	all, err := s.interleave(fmt.Sprintf("POST recorded jobs, %d connections", recordedConnections), systems)
	if err != nil {
		return err
	}
	s.report.compare(all, "milepost", "postgres", "requests/s", measurement.perSecond, 0)
	s.report.compare(all, "milepost", "postgres", "requests per server CPU second", measurement.perCPUSecond, 0)
	return nil
}
