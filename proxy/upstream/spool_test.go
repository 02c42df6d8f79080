package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// outbox holds letters, each the answers that the upstream gives to it: a status,
// or 0 for none. The last goes on for ever.
type outbox struct {
	mu      sync.Mutex
	letters map[string][][]int
	tries   []time.Time // of all requests
	done    []string    // "job:taken" or "job:refused", in order
	active  map[string]int
	most    int
	total   int
	failing int // so often Taken fails
}

func (o *outbox) Next(job string) ([]int, Request, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.letters[job]) == 0 {
		return nil, Request{}, false, nil
	}
	l := o.letters[job][0]
	return l, Request{Method: job, Header: http.Header{}}, true, nil
}

// Try implements trier: a request takes 10 ms.
func (o *outbox) Try(ctx context.Context, route string, r Request) (*Answer, error) {
	o.mu.Lock()
	l := o.letters[r.Method]
	status := l[0][0]
	if len(l[0]) > 1 {
		l[0] = l[0][1:]
	}
	o.tries = append(o.tries, time.Now())
	o.active[r.Method]++
	o.total++
	o.most = max(o.most, o.total)
	if o.active[r.Method] > 1 || route != "spool" {
		panic("two of one job at a time")
	}
	o.mu.Unlock()
	select {
	case <-time.After(10 * time.Millisecond):
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.active[r.Method]--
	o.total--
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case status == 0:
		return nil, &failure{kind: ErrRefused}
	}
	h := http.Header{}
	if status == 429 {
		h.Set("Retry-After", "2")
	}
	return &Answer{Status: status, Header: h}, nil
}

func (o *outbox) end(job, how string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing > 0 {
		o.failing--
		return errors.New("the answer is no checkpoint")
	}
	o.letters[job] = o.letters[job][1:]
	o.done = append(o.done, job+":"+how)
	return nil
}

func (o *outbox) Taken(job string, _ []int, _ *Answer) error { return o.end(job, "taken") }

func (o *outbox) Refused(job string, _ []int, a *Answer) error {
	return o.end(job, fmt.Sprint(a.Status))
}

func (o *outbox) ends() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.done)
}

// atOnce is the most requests that there were at a time.
func (o *outbox) atOnce() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.most
}

func (o *outbox) tried() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.tries)
}

// deliverAll runs deliveries of letters in a bubble, wakes all jobs, and calls f.
func deliverAll(t *testing.T, letters map[string][][]int, f func(*outbox, *Deliveries[[]int])) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		o := &outbox{letters: letters, active: make(map[string]int)}
		d := NewDeliveries(o, o, 5*time.Second, slog.New(slog.DiscardHandler))
		defer d.Close()
		for _, job := range slices.Collect(maps.Keys(letters)) {
			d.Wake(job)
		}
		f(o, d)
	})
}

// All letters of a job go in their order, and jobs beside each other within the
// bound.
func TestDeliveriesKeepTheOrderOfAJob(t *testing.T) {
	letters := make(map[string][][]int)
	for j := range 40 {
		for n := range 50 {
			letters[fmt.Sprint("job-", j)] = append(letters[fmt.Sprint("job-", j)], []int{200 + n%2})
		}
	}
	deliverAll(t, letters, func(o *outbox, _ *Deliveries[[]int]) {
		time.Sleep(40 * 50 * 10 * time.Millisecond / maxDelivering * 2)
		if got := o.ends(); len(got) != 40*50 || o.atOnce() != maxDelivering {
			t.Errorf("%d delivered, %d at a time", len(got), o.atOnce())
		}
	})
}

func TestDeliveriesByStatus(t *testing.T) {
	for _, c := range []struct {
		answers []int
		want    string
	}{
		{[]int{200}, "taken"}, {[]int{201}, "taken"},
		{[]int{400}, "400"}, {[]int{404}, "404"}, {[]int{413}, "413"}, {[]int{422}, "422"},
		{[]int{401, 403, 408, 409, 425, 429, 500, 302, 200}, "taken"},
		{[]int{502, 503, 504, 0, 422}, "422"},
		{[]int{409}, "409"},                                                            // for ever
		{append(slices.Repeat([]int{503, 500, 401}, maxConflicts), 409, 200), "taken"}, // that is the first conflict
	} {
		deliverAll(t, map[string][][]int{"job": {c.answers, {200}}}, func(o *outbox, _ *Deliveries[[]int]) {
			time.Sleep(10 * time.Minute)
			if got := o.ends(); fmt.Sprint(got) != "[job:"+c.want+" job:taken]" {
				t.Errorf("%v: %v", c.answers, got)
			}
		})
	}
}

// While the upstream is away one request tries at a time, with pauses of at most
// the bound, and one that is refused does not hold up the others.
func TestDeliveriesWhileAway(t *testing.T) {
	letters := make(map[string][][]int)
	for j := range 30 {
		letters[fmt.Sprint("job-", j)] = [][]int{{0}}
	}
	deliverAll(t, letters, func(o *outbox, d *Deliveries[[]int]) {
		time.Sleep(10 * time.Minute)
		o.mu.Lock()
		n, last := len(o.tries), o.tries[len(o.tries)-1]
		if n < 120+maxDelivering || n > 1000 {
			t.Errorf("%d tries in ten minutes", n)
		}
		if since := time.Since(last); since > 5*time.Second {
			t.Errorf("the last try was %v ago", since)
		}
		for job := range o.letters {
			o.letters[job] = [][]int{{200}, {200}}
		}
		o.mu.Unlock()
		began := time.Now()
		d.Recovered()
		for len(o.ends()) < 60 {
			time.Sleep(5 * time.Millisecond)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it took %v after the upstream was back", took)
		}
	})
}

// Another request has found that the upstream is away: nothing is tried before a
// pause.
func TestDeliveriesMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &outbox{letters: map[string][][]int{"job": {{200}}}, active: make(map[string]int)}
		d := NewDeliveries(o, o, 5*time.Second, slog.New(slog.DiscardHandler))
		defer d.Close()
		d.Missed(ErrRefused)
		d.Wake("job")
		synctest.Wait()
		if o.tried() != 0 {
			t.Error("tried at once")
		}
		time.Sleep(time.Second)
		if got := o.ends(); len(got) != 1 {
			t.Errorf("after the pause: %v", got)
		}
		// A job that is woken again has its turn again.
		o.mu.Lock()
		o.letters["job"] = [][]int{{200}}
		o.mu.Unlock()
		d.Wake("job")
		time.Sleep(time.Second)
		if got := o.ends(); len(got) != 2 {
			t.Errorf("woken again: %v", got)
		}
	})
}

// One job that waits for its Retry-After, or whose answers cannot be used, holds up
// no other.
func TestDeliveriesAreIndependent(t *testing.T) {
	deliverAll(t, map[string][][]int{"slow": {{429, 200}}, "quick": {{200}, {200}}}, func(o *outbox, _ *Deliveries[[]int]) {
		time.Sleep(time.Second)
		if got := o.ends(); fmt.Sprint(got) != "[quick:taken quick:taken]" {
			t.Errorf("at first: %v", got)
		}
		time.Sleep(2 * time.Second)
		if got := o.ends(); len(got) != 3 {
			t.Errorf("later: %v", got)
		}
	})
	deliverAll(t, map[string][][]int{"job": {{200}}}, func(o *outbox, _ *Deliveries[[]int]) {
		o.mu.Lock()
		o.failing = 5
		o.mu.Unlock()
		time.Sleep(time.Minute)
		if got := o.ends(); len(got) != 1 || o.tried() != 6 {
			t.Errorf("%v after %d tries", got, o.tried())
		}
	})
}

// A letter to which the upstream gives no answer, though it answers others, holds
// up no other job.
func TestDeliveryThatIsNeverAnswered(t *testing.T) {
	letters := map[string][][]int{"poison": {{0}}}
	for j := range 3 {
		for range 200 {
			letters[fmt.Sprint("job-", j)] = append(letters[fmt.Sprint("job-", j)], []int{200})
		}
	}
	deliverAll(t, letters, func(o *outbox, d *Deliveries[[]int]) {
		time.Sleep(200*10*time.Millisecond + 2*time.Second)
		if got := o.ends(); len(got) != 600 {
			t.Errorf("%d delivered", len(got))
		}
		// It is tried again and again, and goes when it can.
		time.Sleep(time.Minute)
		o.mu.Lock()
		o.letters["poison"] = [][]int{{200}}
		o.letters["job-0"] = [][]int{{200}}
		o.mu.Unlock()
		d.Wake("job-0")
		time.Sleep(11 * time.Second)
		if got := o.ends(); len(got) != 602 {
			t.Errorf("%d delivered in the end", len(got))
		}
	})
}
