package upstream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxDelivering bounds the requests of deliveries at a time: enough to empty a
	// spool of many jobs at the speed of the line, and no burst for an upstream
	// that has just come back.
	maxDelivering = 16
	// turnLength is how many letters of a job are delivered before others have
	// their turn.
	turnLength = 32
	// maxConflicts is how often a letter may find that its Idempotency-Key is in
	// use: the request that has it ends some time.
	maxConflicts = 20
	// newsInterval is how often the log says that a job is held up.
	newsInterval = 10 * time.Second
)

// Outbox is what Deliveries deliver. The calls for one job come one after the
// other, those for different jobs together.
type Outbox[L any] interface {
	// Next returns the letter of a job that comes next and its request, false if
	// there is none.
	Next(job string) (letter L, r Request, ok bool, err error)
	// Taken says that the upstream has answered 2xx. After an error the letter is
	// delivered again.
	Taken(job string, letter L, a *Answer) error
	// Refused says that the upstream has refused the letter for good.
	Refused(job string, letter L, a *Answer) error
}

// trier is what Deliveries need of a Client.
type trier interface {
	Try(ctx context.Context, route string, r Request) (*Answer, error)
}

// Deliveries bring the letters of an Outbox to the upstream: those of a job in
// their order, each until it is taken or refused, and the jobs independently of
// each other. While the upstream cannot be reached one of them tries, after a
// jittered back-off or when Recovered is called.
type Deliveries[L any] struct {
	api    trier
	outbox Outbox[L]
	log    *slog.Logger
	max    time.Duration // of the back-off

	ctx     context.Context
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu      sync.Mutex
	jobs    map[string]*delivery
	ready   []string // whose turn is to come
	running int
	// down says that the upstream cannot be reached, and probe that one may try
	// all the same. timer makes it so.
	down, probe bool
	ups         uint64 // how often it was found to answer again
	backoff     backoff
	timer       *time.Timer

	news rate.Sometimes // of jobs that are held up
}

// delivery is a job that has, or may have, something to deliver.
type delivery struct {
	again   bool // it was woken during its turn
	backoff backoff
	timer   *time.Timer // until its next turn, nil if there is nothing to wait for
	// conflicts is how often the letter at hand has found its key in use.
	conflicts int
	missed    uint64 // Deliveries.ups, plus one, when it was not answered last
}

// NewDeliveries returns deliveries that have nothing to do yet. maxBackoff bounds
// each pause. Close must be called.
func NewDeliveries[L any](api trier, o Outbox[L], maxBackoff time.Duration, log *slog.Logger) *Deliveries[L] {
	ctx, cancel := context.WithCancel(context.Background())
	return &Deliveries[L]{
		api: api, outbox: o, log: log, max: maxBackoff, ctx: ctx, cancel: cancel,
		jobs: make(map[string]*delivery), backoff: backoff{max: maxBackoff},
		news: rate.Sometimes{First: 3, Interval: newsInterval},
	}
}

// Wake says that a job has something to deliver. It does not wait.
func (d *Deliveries[L]) Wake(job string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j := d.jobs[job]; j != nil {
		j.again = true
		return
	}
	d.jobs[job] = &delivery{backoff: backoff{max: d.max}}
	d.ready = append(d.ready, job)
	d.schedule()
}

// Missed says that the upstream could not be reached by another request, so that
// the deliveries need not find out by themselves.
func (d *Deliveries[L]) Missed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.down {
		d.away(0, err)
	}
}

// Recovered says that the upstream has answered somebody: what waits for it is
// tried at once.
func (d *Deliveries[L]) Recovered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down && !d.probe && d.timer.Stop() {
		d.probe = true
		d.schedule()
	}
}

// Close ends the deliveries and waits for those under way.
func (d *Deliveries[L]) Close() {
	d.mu.Lock()
	d.cancel()
	if d.timer != nil {
		d.timer.Stop()
	}
	for _, j := range d.jobs {
		if j.timer != nil {
			j.timer.Stop()
		}
	}
	d.mu.Unlock()
	d.working.Wait()
}

// schedule begins the turns for which there is room. The lock must be held.
func (d *Deliveries[L]) schedule() {
	for len(d.ready) > 0 && d.running < maxDelivering && d.ctx.Err() == nil {
		probing := false
		if d.down {
			if !d.probe || d.running > 0 {
				return
			}
			d.probe, probing = false, true
		}
		job := d.ready[0]
		d.ready[0] = ""
		d.ready = d.ready[1:]
		d.running++
		d.working.Go(func() { d.turn(job, probing) })
	}
}

// outcome of one letter.
type result byte

const (
	delivered result = iota // or refused for good
	empty                   // there was none
	missed                  // the upstream is away
	held                    // it is to be tried again, which concerns its job alone
)

// turn delivers some letters of a job. probing says that it is the only turn while
// the upstream is away.
func (d *Deliveries[L]) turn(job string, probing bool) {
	d.mu.Lock()
	j := d.jobs[job]
	j.again = false
	d.mu.Unlock()
	var (
		what  result
		after time.Duration
		err   error
	)
	for range turnLength {
		what, after, err = d.deliver(job, j)
		if what != delivered {
			break
		}
		if probing {
			probing = false
			d.back()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.ctx.Err() != nil {
		return
	}
	switch {
	case what == empty:
		d.probe = d.probe || probing // somebody else may try
		if delete(d.jobs, job); j.again {
			d.jobs[job] = j
			d.ready = append(d.ready, job)
		}
	case what == missed:
		// If others were answered since it was not answered before, it may be the
		// letter that the upstream cannot answer: that concerns its job alone.
		alone := j.missed != 0 && d.ups >= j.missed
		j.missed = d.ups + 1
		if probing || !d.down && !alone {
			d.away(after, err)
		}
		if alone {
			d.hold(job, j, after, err)
		} else {
			d.ready = append(d.ready, job) // another one may try first
		}
	case what == held:
		if probing {
			d.up() // it has answered
		}
		d.hold(job, j, after, err)
	default:
		d.ready = append(d.ready, job)
	}
	d.schedule()
}

// back says that the upstream answers.
func (d *Deliveries[L]) back() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.up()
	d.schedule()
}

// up is back under the lock.
func (d *Deliveries[L]) up() {
	if d.down {
		d.log.Info("the upstream takes what was spooled")
		d.ups++
	}
	d.down, d.probe = false, false
	d.backoff.reset()
	d.backoff.asked = 0
}

// away puts off the next try. The lock must be held.
func (d *Deliveries[L]) away(asked time.Duration, err error) {
	if !d.down {
		d.log.Warn("what is spooled waits for the upstream", "error", err)
	}
	d.down = true
	d.backoff.asked = asked
	d.timer = time.AfterFunc(d.backoff.next(), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.probe = true
		d.schedule()
	})
}

// hold puts off the next turn of a job. The lock must be held.
func (d *Deliveries[L]) hold(job string, j *delivery, asked time.Duration, err error) {
	if j.backoff.attempts == 0 {
		d.news.Do(func() {
			d.log.Warn("a spooled checkpoint is not delivered yet; it holds up its job", "job", job, "error", err)
		})
	}
	j.backoff.asked = asked
	j.timer = time.AfterFunc(j.backoff.next(), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		j.timer = nil
		d.ready = append(d.ready, job)
		d.schedule()
	})
}

// deliver delivers the next letter of a job. asked is how long the upstream wants
// to be left alone.
func (d *Deliveries[L]) deliver(job string, j *delivery) (what result, asked time.Duration, err error) {
	letter, request, ok, err := d.outbox.Next(job)
	switch {
	case err != nil:
		return held, 0, err
	case !ok:
		return empty, 0, nil
	case d.ctx.Err() != nil:
		return held, 0, d.ctx.Err()
	}
	a, err := d.api.Try(d.ctx, "spool", request)
	if err != nil && !Away(nil, err) {
		return held, 0, err // too large an answer, or the end
	}
	if err != nil {
		return missed, 0, err
	}
	kind := kindOfAnswer(a.Status)
	if kind == answerConflict {
		j.conflicts++
	}
	switch {
	case kind == answerAway:
		return missed, retryAfter(a), &statusError{code: a.Status}
	case kind == answerLater, kind == answerConflict && j.conflicts < maxConflicts:
		return held, retryAfter(a), &statusError{code: a.Status}
	case kind == answerTaken:
		err = d.outbox.Taken(job, letter, a)
	default:
		err = d.outbox.Refused(job, letter, a)
	}
	if err != nil {
		return held, 0, err
	}
	j.conflicts, j.missed = 0, 0
	j.backoff.reset()
	return delivered, 0, nil
}
