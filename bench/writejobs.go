package main

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
)

// recordedConnections post recorded jobs at once.
const recordedConnections = 16

// jobsTask posts recorded jobs one after another, each from its first body to
// its last: their messages grow, as a runtime's do.
type jobsTask struct {
	traces []*trace
	// begin starts a job with that id, post posts its next body.
	begin func(job string)
	post  func(r request) (answer, error)
	end   func()
	ids   *rand.Rand
	n     int
	next  func() (request, bool)
	stop  func()
	last  answer
}

// newJobsTask returns a task that begins with the trace with the index first.
func newJobsTask(first int, seed uint64) (*jobsTask, error) {
	t := &jobsTask{n: first, ids: newRand(seed, uint64(first)), begin: func(string) {}}
	for _, name := range bundledTraces {
		x, err := bundledTrace(name)
		if err != nil {
			return nil, err
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

// close implements task.
func (t *jobsTask) close() {
	if t.stop != nil {
		t.stop()
	}
	t.end()
}

// do implements task.
func (t *jobsTask) do() error {
	for range 2 {
		if t.next != nil {
			if r, ok := t.next(); ok {
				a, err := t.post(r)
				t.last = a
				return err
			}
			t.stop()
		}
		t.next, t.stop = iter.Pull(t.bodies(t.traces[t.n%len(t.traces)]))
		t.begin(newID(t.ids))
		t.n++
	}
	return fmt.Errorf("a recorded job has no bodies")
}

// newMilepostJobs returns a task that posts recorded jobs to a server and checks
// every answer whole.
func newMilepostJobs(server subject, first int, seed uint64) (task, error) {
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
	t.begin, t.end = func(job string) { check = newChecker(job, true) }, conn.close
	t.post = func(r request) (answer, error) {
		message = append(append(message[:0], postHead(server.addr, server.key, check.job, len(r.body))...), r.body...)
		status, body, err := conn.roundTrip(message)
		if err != nil {
			return answer{}, err
		}
		return check.check(r, status, body)
	}
	return t, nil
}

// newPostgresJobs returns a task that inserts recorded jobs.
func newPostgresJobs(addr string, first int, seed uint64) (task, error) {
	t, err := newJobsTask(first, seed)
	if err != nil {
		return nil, err
	}
	conn, err := dialPostgres(addr)
	if err != nil {
		return nil, err
	}
	if err := conn.prepare(pgInsert); err != nil {
		conn.close()
		return nil, err
	}
	var job []byte
	sequence := int64(0)
	t.begin, t.end = func(id string) { job, sequence = []byte(id), 0 }, conn.close
	t.post = func(r request) (answer, error) {
		sequence++
		// A table gives no ids; any will do where a body names one.
		return answer{id: string(job), sequence: sequence}, conn.insert(job, strconv.AppendInt(nil, sequence, 10), r.body)
	}
	return t, nil
}

// measureRecordedJobs posts whole recorded jobs.
func measureRecordedJobs(s *scenario, server subject, peers writePeers) error {
	seed, n := randomSeed(), 0
	systems := []system{driven("milepost", server.pid, openers(recordedConnections, func() (task, error) {
		n++
		return newMilepostJobs(server, n, seed)
	}))}
	if peers.postgres != nil {
		systems = append(systems, driven("postgres", peers.postgres.pid(), openers(recordedConnections, func() (task, error) {
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
