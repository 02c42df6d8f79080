package proxy

import (
	"net/http"
	"sync"
	"time"

	"milepost/proxy/upstream"
	"milepost/stream"
)

// maxVerifying bounds the requests that verify open streams at a time.
const maxVerifying = 16

// expireEvery is the pause between two looks for verdicts that are too old to be
// of use.
const expireEvery = time.Hour

// watch is a stream that is open and whose it is.
type watch struct {
	owner         stream.Owner
	credential    upstream.Credential
	authorization string
	jobs          []string
}

// watchKey is what is verified once for all its streams.
type watchKey struct {
	credential upstream.Credential
	job        string
}

type watched struct {
	owner         stream.Owner
	authorization string
	streams       int
	due           time.Time
}

// watches verifies the credentials of open streams again and again.
type watches struct {
	sidecar *sidecar
	ttl     time.Duration

	mu   sync.Mutex
	open map[watchKey]*watched
	stop chan struct{}
	done sync.WaitGroup
}

func newWatches(a *sidecar, ttl time.Duration) *watches {
	w := &watches{sidecar: a, ttl: ttl, open: make(map[watchKey]*watched), stop: make(chan struct{})}
	w.done.Go(w.run)
	return w
}

func (w *watches) close() {
	close(w.stop)
	w.done.Wait()
}

// add counts a stream; what it returns undoes that, once.
func (w *watches) add(s watch) func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, job := range s.jobs {
		key := watchKey{s.credential, job}
		if w.open[key] == nil {
			w.open[key] = &watched{owner: s.owner, authorization: s.authorization, due: time.Now().Add(w.ttl)}
		}
		w.open[key].streams++
	}
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, job := range s.jobs {
			key := watchKey{s.credential, job}
			if w.open[key].streams--; w.open[key].streams == 0 {
				delete(w.open, key)
			}
		}
	})
}

// credential returns what the upstream accepts for a job, rather what it has
// accepted lately.
func (w *watches) credential(job string) (authorization string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	best := upstream.None
	for key, o := range w.open {
		if key.job != job {
			continue
		}
		if v := w.sidecar.verdicts.Check(key.credential, job); v > best {
			best, authorization = v, o.authorization
		}
	}
	return authorization, best != upstream.None
}

// refuse ends the streams of a credential on a job.
func (w *watches) refuse(c upstream.Credential, job string) {
	w.end(c, job, stream.ReasonRevoked, "The upstream refuses the credential")
}

func (w *watches) end(c upstream.Credential, job string, why stream.Reason, message string) {
	w.mu.Lock()
	o := w.open[watchKey{c, job}]
	w.mu.Unlock()
	if o == nil {
		return
	}
	// With auth "local" there is one credential, of many owners.
	all := !w.sidecar.forward
	w.sidecar.hub.End(func(of stream.Owner, _, j string) bool { return j == job && (all || of == o.owner) }, why, message)
}

// run verifies what is due.
func (w *watches) run() {
	tick := time.NewTicker(min(time.Second, w.ttl/4))
	defer tick.Stop()
	expire := time.NewTicker(expireEvery)
	defer expire.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-expire.C:
			if _, err := w.sidecar.verdicts.Expire(); err != nil {
				w.sidecar.log.Error("old verdicts could not be removed; it will be tried again", "error", err)
			}
		case now := <-tick.C:
			if w.sidecar.forward {
				w.verify(now)
			}
		}
	}
}

// verify asks the upstream about each credential and job that is due, a few at
// a time.
func (w *watches) verify(now time.Time) {
	var due []question
	w.mu.Lock()
	for key, o := range w.open {
		if !now.Before(o.due) {
			due = append(due, question{job: key.job, of: key.credential, authorization: o.authorization,
				learn: func(answer *told) error { return w.sidecar.learnList(key.job, answer.Body) }})
			o.due = now.Add(w.ttl)
		}
	}
	w.mu.Unlock()
	slots := make(chan struct{}, maxVerifying)
	var all sync.WaitGroup
	for _, q := range due {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			w.check(q)
		})
	}
	all.Wait()
}

// check ends the streams of a credential on a job if the upstream refuses it, or
// has been away for too long.
func (w *watches) check(q question) {
	err := w.sidecar.verify(q)
	if err == nil || w.sidecar.life.Err() != nil || w.sidecar.verdicts.Check(q.of, q.job) != upstream.None {
		return
	}
	if r, ok := err.(*refused); ok && r.answer.Status < http.StatusInternalServerError {
		w.refuse(q.of, q.job)
		return
	}
	w.end(q.of, q.job, stream.ReasonUpstream, "The upstream cannot be reached")
}
