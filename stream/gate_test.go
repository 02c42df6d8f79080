package stream

import (
	"errors"
	"sync"
	"testing"
	"time"
)

// wanting is a Source that counts, and checks that no job is left more often than
// it was wanted by the end.
type wanting struct {
	mu    sync.Mutex
	count map[string]int
}

func (w *wanting) add(job string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count == nil {
		w.count = make(map[string]int)
	}
	w.count[job] += n
}

func (w *wanting) Want(_, job string)  { w.add(job, 1) }
func (w *wanting) Leave(_, job string) { w.add(job, -1) }

func (w *wanting) of(job string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[job]
}

func standing(gate string) Subscription {
	return Subscription{Jobs: []Position{{Organization: testOrganization, Job: testJob, Gate: gate}}}
}

// silent fails unless nothing but comments comes.
func (r *reader) silent(t *testing.T) {
	t.Helper()
	for range 3 {
		if e, err := r.next(); err != nil || !e.comment {
			t.Fatalf("at a shut gate came %v, %v", e, err)
		}
	}
}

// Whoever stands at a gate gets nothing of the job, whatever happens to it, and
// after the gate was opened all of it.
func TestGateHoldsBackUntilItIsOpened(t *testing.T) {
	source := new(wanting)
	onEngines(t, Options{Heartbeat: 100 * time.Millisecond, Source: source}, func(t *testing.T, f *fixture) {
		early := f.subscribe(standing("a"))
		for range 70 {
			f.publish(testJob, 1, "")
		}
		watcher := f.subscribe(Subscription{})
		late, other := f.subscribe(standing("a")), f.subscribe(standing("b"))
		both := f.subscribe(Subscription{Composite: true, Jobs: []Position{
			{Organization: testOrganization, Job: "open"}, {Organization: testOrganization, Job: testJob, Gate: "a", After: 7, Sure: true, Completed: true},
		}})
		f.publish(testJob, 1, "completed")
		watcher.expect(t, f.log, testJob, 1, 71)
		watcher.expectEvent(t, "complete", "completed")
		f.publish("open", 1, "")
		both.expectEvent(t, "message", `"job":"open"`)
		f.hub.Complete(testOrganization, testJob, "failed")
		f.hub.End(func(Owner, string, string) bool { return true }, ReasonUpstream, "")
		both.expectEvent(t, "error", "upstream_unavailable") // of the job that is open to it
		for _, r := range []*reader{early, late, other} {
			r.silent(t)
		}

		f.hub.OpenGate(testOrganization, testJob, "a")
		f.hub.OpenGate(testOrganization, testJob, "a")
		f.hub.OpenGate(testOrganization, testJob, "nobody")
		for _, r := range []*reader{early, late} {
			r.expect(t, f.log, testJob, 1, 71)
			r.expectEvent(t, "complete", "completed")
			r.expectEnd(t)
		}
		other.silent(t)
		f.hub.EndGate(testOrganization, testJob, "nobody", ReasonRevoked, "")
		f.hub.EndGate(testOrganization, testJob, "b", ReasonRevoked, "refused")
		other.expectEvent(t, "error", `"type":"revoked"`)
		other.expectEnd(t)
	})
	for _, job := range []string{testJob, "open"} {
		if n := source.of(job); n != 0 {
			t.Errorf("the job %s is wanted %d times at the end", job, n)
		}
	}
}

// After a gate was opened its subscribers are like all others: what is published,
// the end, and the deletion of the job reach them.
func TestOpenGateIsLikeNone(t *testing.T) {
	source := new(wanting)
	onEngines(t, Options{Heartbeat: 100 * time.Millisecond, Source: source}, func(t *testing.T, f *fixture) {
		watcher, waiter := f.subscribe(Subscription{}), f.subscribe(standing("a"))
		waiter.silent(t)
		if n := source.of(testJob); n != 1 {
			t.Errorf("the job is wanted %d times at a shut gate", n)
		}
		f.hub.OpenGate(testOrganization, testJob, "a")
		if n := source.of(testJob); n != 2 {
			t.Errorf("the job is wanted %d times at an open gate", n)
		}
		joined := f.subscribe(standing("a"))
		if n := source.of(testJob); n != 3 {
			t.Errorf("the job is wanted %d times when one more came", n)
		}
		for range 5 {
			f.publish(testJob, 1, "")
		}
		for _, r := range []*reader{watcher, waiter, joined} {
			r.expect(t, f.log, testJob, 1, 5)
		}
		f.log.remove(testJob)
		f.hub.Deleted(testJob)
		for _, r := range []*reader{watcher, waiter, joined} {
			r.expectEvent(t, "error", `"type":"storage"`)
			r.expectEnd(t)
		}
		if f.hub.Watched(testOrganization, testJob) {
			t.Error("the deleted job is watched")
		}
	})
}

// A gate whose streams are ended between Admit and Attach ends those, too.
func TestGateEndsWhoStillComes(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		o := standing("a")
		o.Head = []byte(testHead)
		s, err := f.hub.Admit(o)
		if err != nil {
			t.Fatal(err)
		}
		f.hub.EndGate(testOrganization, testJob, "a", ReasonRevoked, "refused")
		client, server := f.dial()
		if err := s.Attach(server); err != nil {
			t.Fatal(err)
		}
		r := newReader(client)
		r.expectEvent(t, "error", `"type":"revoked"`)
		r.expectEnd(t)
	})
}

// Streams whose history cannot be read when their gate opens end.
func TestGateOverDamage(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		r := f.subscribe(standing("a"))
		f.log.breakDown(errors.New("damaged"))
		f.hub.OpenGate(testOrganization, testJob, "a")
		r.expectEvent(t, "error", `"type":"storage"`)
		r.expectEnd(t)
	})
}

// However publishing, coming and opening fall together, each checkpoint comes once.
func TestGateOpensWhileCheckpointsCome(t *testing.T) {
	onEngines(t, Options{Source: new(wanting)}, func(t *testing.T, f *fixture) {
		for round := range 20 {
			job := string(rune('A' + round))
			var all sync.WaitGroup
			all.Go(func() {
				for n := range 50 {
					f.publish(job, 1, map[bool]string{true: "completed"}[n == 49])
				}
			})
			all.Go(func() { f.hub.OpenGate(testOrganization, job, "a") })
			var readers []*reader
			for range 4 {
				client, server := f.dial()
				readers = append(readers, newReader(client))
				all.Go(func() {
					f.attach(Subscription{Jobs: []Position{{Organization: testOrganization, Job: job, Gate: "a"}}}, server)
					f.hub.OpenGate(testOrganization, job, "a")
				})
			}
			all.Wait()
			for _, r := range readers {
				r.expect(t, f.log, job, 1, 50)
				r.expectEvent(t, "complete", "completed")
				r.expectEnd(t)
			}
		}
		f.hub.Close()
		f.expectNobody(t)
	})
}
