package stream

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

var errDisk = errors.New("disk on fire")

func TestHistoryThatFailsEndsTheStream(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.log.put(testJob, 1, "")
		f.log.onTail = func() { f.log.breakDown(errDisk) }
		r := f.subscribe(Subscription{})
		r.expectEvent(t, "error", `"type":"storage"`)
		r.expectEnd(t)
	})
}

// A frame that was begun cannot be finished once it can no longer be read, and
// nothing else fits behind its first half: the connection is closed, and history
// is not asked for ever.
func TestHistoryThatFailsAmidAFrameClosesTheConnection(t *testing.T) {
	for _, composite := range []bool{false, true} {
		f := newFixture(t, Options{Shards: 1, Buffer: minShare, SendBuffer: 4 << 10})
		gone := make(chan struct{})
		client, server := f.dial()
		_ = client.(*net.TCPConn).SetReadBuffer(4 << 10)
		f.attach(Subscription{Composite: composite, OnClose: func() { close(gone) }}, server)
		r := newReader(client)
		if e, err := r.next(); err != nil || !e.comment {
			t.Fatal(e, err)
		}
		f.publish(testJob, 1<<20, "")
		f.publish(testJob, 1<<20, "") // takes the first one's place
		f.settle(func(s *Subscriber) bool { return s.off > 0 && s.special == nil && s.io.congested })
		f.log.breakDown(errDisk)
		before := f.log.readsSoFar()
		if e, err := r.message(); err == nil || err == io.EOF {
			t.Errorf("a stream cut in a frame went on as if it were whole: %.60v, %v", e, err)
		}
		<-gone
		if n := f.log.readsSoFar() - before; n > 2 {
			t.Errorf("history that fails was asked %d times", n)
		}
		if n := f.gauge("subscribers_behind"); n != 0 {
			t.Errorf("%v subscribers are behind after all have left", n)
		}
	}
}

// settle waits until every subscriber is as is says, which is called in turn
// with the writers.
func (f *fixture) settle(is func(*Subscriber) bool) {
	f.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var mu sync.Mutex
		all, seen := true, 0
		n := 0
		f.hub.mu.RLock()
		n = f.hub.subscribers
		f.hub.mu.RUnlock()
		looked := make(chan struct{}, n+64)
		f.hub.each(func(s *Subscriber) {
			ok := is(s)
			mu.Lock()
			all, seen = all && ok, seen+1
			mu.Unlock()
			looked <- struct{}{}
		})
		for range n {
			<-looked
		}
		if mu.Lock(); all && seen == n {
			mu.Unlock()
			return
		}
		mu.Unlock()
		if time.Now().After(deadline) {
			f.t.Fatal("the subscribers do not come to the state that is waited for")
		}
	}
}

func TestDeletedWhileCatchingUp(t *testing.T) {
	onEngines(t, Options{Buffer: minShare}, func(t *testing.T, f *fixture) {
		for range 500 {
			f.log.put(testJob, 30000, "")
		}
		r := f.subscribe(Subscription{})
		before := f.log.all(testJob)
		e, err := r.message()
		if err != nil || e.data != string(before[0].JSON) {
			t.Fatalf("%.60v, %v", e, err)
		}
		f.log.remove(testJob)
		f.hub.Deleted(testJob)
		// What was under way still comes whole and in order, then the error.
		n := 1
		for {
			if e, err = r.message(); err != nil || e.event != "message" {
				break
			}
			if e.data != string(before[n].JSON) {
				t.Fatalf("checkpoint %d came as %.60v", n+1, e)
			}
			n++
		}
		if e.event == "error" {
			r.expectEnd(t)
		} else if err == io.EOF {
			t.Error("the stream ended without an error event as if it were whole")
		}
		if n == len(before) {
			t.Error("the deletion did not come in the middle")
		}
		// What begins under the same id is another log.
		f.publish(testJob, 1, "completed")
		again := f.subscribe(Subscription{})
		again.expect(t, f.log, testJob, 1, 1)
		again.expectEvent(t, "complete", "completed")
	})
}

// A deletion while the tail is being read must not leave a broadcaster that
// waits at the old log's end.
func TestDeletedWhileOpening(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		for range 5 {
			f.log.put(testJob, 1, "")
		}
		old := f.log.put(testJob, 1, "")
		var once sync.Once
		f.log.onTail = func() {
			once.Do(func() {
				f.hub.Publish(testOrganization, testJob, old)
				f.log.remove(testJob)
				f.publish(testJob, 2, "")
				f.hub.Deleted(testJob)
				f.publish(testJob, 3, "")
			})
		}
		r := f.subscribe(Subscription{})
		r.expect(t, f.log, testJob, 1, 2)
		for range 10 {
			f.publish(testJob, 4, "")
		}
		r.expect(t, f.log, testJob, 3, 12)
	})
}

func TestDeletionOfAnUnknownJobDoesNotEndThoseWhoWaitForIt(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		r := f.subscribe(Subscription{})
		f.hub.Deleted(testJob)
		f.publish(testJob, 1, "completed")
		r.expect(t, f.log, testJob, 1, 1)
		r.expectEvent(t, "complete", "completed")
	})
}

func TestOpeningThatFailsIsTriedAgainByTheNext(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.log.put(testJob, 1, "")
		f.log.breakDown(errDisk)
		f.log.onTail = func() { f.hub.Publish(testOrganization, testJob, Checkpoint{ID: "early", Sequence: 2}) }
		if _, err := f.hub.Admit(from(0, false)); !errors.Is(err, errDisk) {
			t.Fatalf("got %v", err)
		}
		f.hub.Publish(testOrganization, testJob, Checkpoint{ID: "late", Sequence: 2})
		if f.hub.Watched(testOrganization, testJob) {
			t.Error("a job that could not be opened is watched")
		}
		f.log.onTail = nil
		f.log.breakDown(nil)
		r := f.subscribe(Subscription{})
		r.expect(t, f.log, testJob, 1, 1)
		f.publish(testJob, 1, "")
		r.expect(t, f.log, testJob, 2, 2)
	})
}

// Those who came while the opening failed get its error too, and a publisher
// meets a broadcaster that never opened.
func TestOpeningThatFailsForMany(t *testing.T) {
	f := newFixture(t, Options{})
	f.log.breakDown(errDisk)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	f.log.onTail = func() { once.Do(func() { close(entered) }); <-release }
	var all sync.WaitGroup
	admit := func() {
		if _, err := f.hub.Admit(from(0, false)); !errors.Is(err, errDisk) {
			t.Errorf("got %v", err)
		}
	}
	for range 20 {
		all.Go(admit)
	}
	<-entered
	for n := range uint64(5) {
		f.hub.Publish(testOrganization, testJob, Checkpoint{ID: "x", Sequence: n + 1})
	}
	close(release)
	all.Wait()
	f.expectNobody(t)
}

// expectNobody fails unless the hub has forgotten all subscribers.
func (f *fixture) expectNobody(t *testing.T) {
	t.Helper()
	f.hub.mu.RLock()
	defer f.hub.mu.RUnlock()
	if f.hub.subscribers != 0 || len(f.hub.broadcasters) != 0 || len(f.hub.gates) != 0 || len(f.hub.owners) != 0 || f.hub.jobs.Load() != 0 {
		t.Errorf("%d subscribers, %d jobs (%d counted), %d open gates, %d owners are left",
			f.hub.subscribers, len(f.hub.broadcasters), f.hub.jobs.Load(), len(f.hub.gates), len(f.hub.owners))
	}
	y := f.hub.history
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.bytes != 0 || y.order.Len() != 0 {
		t.Errorf("%d blocks of %d bytes of history are left", y.order.Len(), y.bytes)
	}
	if s, j, b := f.gauge("subscribers"), f.gauge("jobs"), f.gauge("subscribers_behind"); s != 0 || j != 0 || b != 0 {
		t.Errorf("the gauges show %v subscribers, %v jobs, %v behind", s, j, b)
	}
}

func TestAfterClose(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		canceled, err := f.hub.Admit(from(0, false))
		if err != nil {
			t.Fatal(err)
		}
		gone := 0
		o := from(0, false)
		o.OnClose = func() { gone++ }
		attached, err := f.hub.Admit(o)
		if err != nil {
			t.Fatal(err)
		}
		live := f.subscribe(Subscription{})
		f.hub.Close()
		if _, err := live.message(); err == nil {
			t.Error("a live stream went on after Close")
		}
		if _, err := f.hub.Admit(from(0, false)); !errors.Is(err, ErrDraining) {
			t.Errorf("Admit: %v", err)
		}
		canceled.Cancel()
		canceled.Cancel()
		client, server := f.dial()
		if err := attached.Attach(server); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Attach: %v", err)
		}
		if gone != 1 {
			t.Errorf("OnClose was called %d times", gone)
		}
		if _, err := client.Read(make([]byte, 1)); err == nil {
			t.Error("the connection stays open")
		}
		// None of these may wake an engine that is gone.
		f.publish(testJob, 1, "")
		f.hub.Deleted(testJob)
		f.hub.Revoke(func(Owner) bool { return false })
		f.hub.Close()
		f.expectNobody(t)
	})
}

// Loaders and publishers that are late when the engines stop must not ring a
// bell whose descriptor may be somebody else's by then.
func TestCloseAmongPublishersAndLoaders(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		for range 200 {
			f.log.put(testJob, 1000, "")
		}
		late := make(chan struct{})
		entered := make(chan struct{}, 16)
		f.log.onRead = func(uint64) { entered <- struct{}{}; <-late }
		for range 20 {
			f.subscribe(Subscription{})
		}
		<-entered
		var publishers sync.WaitGroup
		for range 4 {
			publishers.Go(func() {
				for range 200 {
					f.publish(testJob, 10, "")
				}
			})
		}
		closed := make(chan struct{})
		go func() { f.hub.Close(); close(closed) }()
		for _, e := range f.hub.engines {
			e.stop() // returns when it has stopped
		}
		probe := f.bystanders(t)
		close(late)
		publishers.Wait()
		<-closed
		probe()
	})
}

// bystanders takes the descriptors that are free; the check fails if somebody
// wrote to one.
func (f *fixture) bystanders(t *testing.T) (check func()) {
	var sides []net.Conn
	for range 8 {
		client, server := f.dial()
		sides = append(sides, client, server)
	}
	return func() {
		for _, c := range sides {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if n, err := c.Read(make([]byte, 8)); n > 0 || err == io.EOF {
				t.Errorf("a descriptor of somebody else was written to: %d bytes, %v", n, err)
			}
		}
		for _, c := range sides {
			_ = c.Close()
		}
	}
}

func TestRevokedAtOnceStillGetsItsHead(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		for range 50 {
			r := f.subscribe(Subscription{Owner: Owner{1}})
			f.hub.Revoke(func(Owner) bool { return false })
			r.expectEvent(t, "error", `"type":"revoked"`)
			r.expectEnd(t)
			f.hub.Revoke(func(Owner) bool { return true })
		}
	})
}

// Whoever reads the local copy may know of a checkpoint before it is published.
func TestPositionAheadOfWhatIsPublished(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.publish(testJob, 1, "failed")
		first := f.subscribe(Subscription{})
		first.expect(t, f.log, testJob, 1, 1)
		var late []Checkpoint
		keep, err := f.hub.Admit(from(0, false)) // keeps the broadcaster
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			late = append(late, f.log.put(testJob, 1, ""))
		}
		r := f.subscribe(from(3, false))
		composite := from(3, false)
		composite.Composite = true
		c := f.subscribe(composite)
		for _, l := range late {
			f.hub.Publish(testOrganization, testJob, l)
		}
		r.expect(t, f.log, testJob, 4, 4)
		if e, err := c.message(); err != nil || e.data != string(late[2].JSON) {
			t.Fatalf("got %.60v, %v", e, err)
		}
		keep.Cancel()
	})
}

// A stream that is to end is still stalled if its peer takes nothing.
func TestStalledSubscriberOfADeletedJobIsClosed(t *testing.T) {
	onEngines(t, Options{StallTimeout: 300 * time.Millisecond, SendBuffer: 4 << 10}, func(t *testing.T, f *fixture) {
		gone := make(chan struct{})
		f.subscribe(Subscription{OnClose: func() { close(gone) }})
		for range 300 {
			f.publish(testJob, 50000, "")
		}
		f.log.remove(testJob)
		f.hub.Deleted(testJob)
		<-gone
		f.expectNobody(t)
	})
}
