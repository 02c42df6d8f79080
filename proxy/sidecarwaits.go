package proxy

import (
	"container/heap"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"milepost/stream"
)

// With stream.unknown_job "wait" a stream of a job that the upstream does not know,
// or does not show to this credential, which looks the same, stands at a gate
// (stream.Position) until the upstream lets the credential read the job. Nothing
// of the job passes before, whoever else is sent it.

const (
	// firstAsk is the pause before the upstream is asked again for the first time.
	firstAsk = 250 * time.Millisecond
	// askRate bounds those questions, in requests a second, however many wait.
	askRate = 50
)

// anyGate marks the position of a stream that has to wait until attend names its
// gate.
const anyGate = "wait"

// waiting is a credential that waits for a job, with all its streams.
type waiting struct {
	key           watchKey
	owner         stream.Owner
	authorization string
	gate          string

	// The rest is guarded by waits.mu.

	streams int
	pause   time.Duration
	due     time.Time
	place   int       // in the queue, -1 if it is not there
	failing time.Time // since when the upstream has given no answer
	woken   bool      // the job was written to while the upstream was being asked
	// opened says that the gate was opened; why that its streams were ended.
	opened  bool
	why     stream.Reason
	message string
	unwatch func()
}

// waits asks the upstream again and again for those who wait.
type waits struct {
	sidecar    *sidecar
	max        time.Duration // between two questions for one credential and job
	giveUp     time.Duration
	rate       *rate.Limiter
	slots      chan struct{}
	count      atomic.Int64 // len(all)
	nudge      chan struct{}
	stop       chan struct{}
	loop, asks sync.WaitGroup

	mu    sync.Mutex
	all   map[watchKey]*waiting
	of    map[string]map[*waiting]struct{} // by job
	queue waitQueue
	gates uint64 // so many were named
}

func newWaits(a *sidecar, maxPause, giveUp time.Duration) *waits {
	w := &waits{
		sidecar: a, max: max(maxPause, firstAsk), giveUp: giveUp, rate: rate.NewLimiter(askRate, askRate),
		slots: make(chan struct{}, maxVerifying), nudge: make(chan struct{}, 1), stop: make(chan struct{}),
		all: make(map[watchKey]*waiting), of: make(map[string]map[*waiting]struct{}),
	}
	w.loop.Go(w.run)
	return w
}

func (w *waits) close() {
	close(w.stop)
	w.loop.Wait()
	w.asks.Wait()
}

// waitable reports whether what refused a stream is a reason to wait.
func (a *sidecar) waitable(err error) bool {
	r, ok := err.(*refused)
	return ok && a.waitForJobs && r.answer.Status == http.StatusNotFound
}

// add counts a stream of a credential that waits for a job. leave undoes that and
// may be called more than once.
func (w *waits) add(of watch, job string) (e *waiting, leave func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := watchKey{of.credential, job}
	if e = w.all[key]; e == nil {
		w.gates++
		e = &waiting{
			key: key, owner: of.owner, authorization: of.authorization, gate: strconv.FormatUint(w.gates, 10),
			pause: firstAsk, due: time.Now().Add(firstAsk), place: -1,
		}
		w.all[key] = e
		if w.of[job] == nil {
			w.of[job] = make(map[*waiting]struct{})
		}
		w.of[job][e] = struct{}{}
		w.count.Store(int64(len(w.all)))
		heap.Push(&w.queue, e)
		w.hurry()
	}
	e.streams++
	return e, sync.OnceFunc(func() { w.leave(e) })
}

func (w *waits) leave(e *waiting) {
	w.mu.Lock()
	e.streams--
	var unwatch func()
	if e.streams == 0 {
		w.forget(e)
		unwatch = e.unwatch
	}
	w.mu.Unlock()
	if unwatch != nil {
		unwatch()
	}
}

// forget asks for it no more, and lets nobody join it. mu is held.
func (w *waits) forget(e *waiting) {
	if w.all[e.key] != e {
		return
	}
	delete(w.all, e.key)
	if delete(w.of[e.key.job], e); len(w.of[e.key.job]) == 0 {
		delete(w.of, e.key.job)
	}
	w.count.Store(int64(len(w.all)))
	if e.place >= 0 {
		heap.Remove(&w.queue, e.place)
	}
}

// arrived makes up for what happened before a stream stood at its gate.
func (w *waits) arrived(e *waiting) {
	w.mu.Lock()
	opened, why, message := e.opened, e.why, e.message
	w.mu.Unlock()
	switch {
	case opened:
		w.sidecar.hub.OpenGate("", e.key.job, e.gate)
		// Others may have been told of the job's end before the gate was open.
		w.sidecar.source.again(e.key.job)
	case why != 0:
		w.sidecar.hub.EndGate("", e.key.job, e.gate, why, message)
	}
}

// wake asks at once for those who wait for a job, because its first checkpoint has
// come. One that comes without a sequence may be any, so it only shortens the
// wait.
func (w *waits) wake(job string, sequence uint64) {
	if sequence > 1 || w.count.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for e := range w.of[job] {
		e.pause = firstAsk
		switch due := time.Now().Add(firstAsk); {
		case e.place < 0:
			e.woken = true
		case sequence == 1:
			e.due = time.Time{}
			heap.Fix(&w.queue, e.place)
		case due.Before(e.due):
			e.due = due
			heap.Fix(&w.queue, e.place)
		}
	}
	w.hurry()
}

// hurry makes the loop look at the queue.
func (w *waits) hurry() {
	select {
	case w.nudge <- struct{}{}:
	default:
	}
}

func (w *waits) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.nudge:
		case <-timer.C:
		}
		timer.Reset(w.step())
	}
}

// step asks what is due, within the bounds, and returns when to look again.
func (w *waits) step() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		e := w.queue[0]
		if wait := time.Until(e.due); wait > 0 {
			return wait
		}
		select {
		case w.slots <- struct{}{}:
		default:
			return time.Hour // whoever gives one back nudges
		}
		if !w.rate.Allow() {
			<-w.slots
			return time.Second / askRate
		}
		heap.Pop(&w.queue)
		w.asks.Go(func() {
			err := w.sidecar.mayRead(e)
			<-w.slots
			w.answered(e, err)
		})
	}
	return time.Hour
}

// mayRead asks whether a credential that waits may have its job by now.
func (a *sidecar) mayRead(e *waiting) error {
	job := e.key.job
	if a.spool.pending(job) {
		return nil // as in entitled
	}
	return a.verify(question{
		job: job, of: e.key.credential, authorization: e.authorization,
		learn: func(answer *told) error { return a.learnList(job, answer.Body) },
	})
}

// answered takes the answer: the gate opens, or its streams end, or it is asked
// again later.
func (w *waits) answered(e *waiting, err error) {
	a := w.sidecar
	w.mu.Lock()
	switch e.why, e.message = w.verdict(e, err); {
	case w.all[e.key] != e || a.life.Err() != nil:
		// They have all left.
	case err == nil:
		w.forget(e)
		e.opened = true
		e.unwatch = a.watches.add(watch{
			owner: e.owner, credential: e.key.credential, authorization: e.authorization, jobs: []string{e.key.job},
		})
	case e.why != 0:
		w.forget(e)
	default:
		e.due = time.Now().Add(e.pause/2 + rand.N(e.pause/2))
		if e.woken {
			e.due = time.Time{}
		}
		e.woken = false
		e.pause = min(2*e.pause, w.max)
		heap.Push(&w.queue, e)
	}
	w.hurry()
	w.mu.Unlock()
	w.arrived(e)
}

// verdict says why an answer ends the streams of those who wait, if it does. mu is
// held.
func (w *waits) verdict(e *waiting, err error) (why stream.Reason, message string) {
	r, ok := err.(*refused)
	switch {
	case err == nil:
	case ok && (r.answer.Status == http.StatusUnauthorized || r.answer.Status == http.StatusForbidden):
		return stream.ReasonRevoked, "The upstream refuses the credential"
	case ok && r.answer.Status < http.StatusInternalServerError:
		e.failing = time.Time{}
	case e.failing.IsZero():
		e.failing = time.Now()
	case time.Since(e.failing) >= w.giveUp:
		return stream.ReasonUpstream, "The upstream cannot be reached"
	}
	return 0, ""
}

// waitQueue has those who are to be asked for, in the order in which they are due.
type waitQueue []*waiting

// Len implements heap.Interface.
func (q waitQueue) Len() int { return len(q) }

// Less implements heap.Interface.
func (q waitQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

// Swap implements heap.Interface.
func (q waitQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push implements heap.Interface.
func (q *waitQueue) Push(x any) {
	e := x.(*waiting)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop implements heap.Interface.
func (q *waitQueue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	e.place = -1
	return e
}
