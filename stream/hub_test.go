package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestHistoryThenLive(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		for range 200 {
			f.log.put(testJob, 10000, "")
		}
		r := f.subscribe(Subscription{})
		first, err := r.next()
		if err != nil || !first.comment {
			t.Fatalf("the first is %v, %v instead of a comment", first, err)
		}
		r.expect(t, f.log, testJob, 1, 100)
		for range 100 {
			f.publish(testJob, 100, "")
		}
		r.expect(t, f.log, testJob, 101, 300)
		f.publish(testJob, 100, "completed")
		r.expect(t, f.log, testJob, 301, 301)
		r.expectEvent(t, "complete", `{"status":"completed","expertJobId":"job"}`)
		r.expectEnd(t)
	})
}

func TestResume(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		for range 20 {
			f.log.put(testJob, 10, "")
		}
		f.subscribe(from(15, false)).expect(t, f.log, testJob, 16, 20)
		// A position that the job never had is the beginning.
		f.subscribe(from(21, false)).expect(t, f.log, testJob, 1, 20)
		f.publish(testJob, 10, "failed")
		r := f.subscribe(from(21, false))
		r.expectEvent(t, "complete", "failed")
		r.expectEnd(t)
		if _, err := f.hub.Admit(from(21, true)); !errors.Is(err, ErrCompleted) {
			t.Fatalf("a subscriber that has everything got %v", err)
		}
		// Continued since.
		f.publish(testJob, 10, "")
		f.subscribe(from(21, true)).expect(t, f.log, testJob, 22, 22)
	})
}

func TestPublishersMayComeInAnyOrder(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.log.put(testJob, 1, "")
		r := f.subscribe(Subscription{})
		r.expect(t, f.log, testJob, 1, 1)
		var all []Checkpoint
		for range 50 {
			all = append(all, f.log.put(testJob, 1, ""))
		}
		for i := range all {
			f.hub.Publish(testOrganization, testJob, all[(i*7+3)%len(all)])
		}
		r.expect(t, f.log, testJob, 2, 51)
	})
}

func TestAnotherOrganizationHearsNothing(t *testing.T) {
	onEngines(t, Options{Heartbeat: 200 * time.Millisecond}, func(t *testing.T, f *fixture) {
		stranger := f.subscribe(Subscription{Jobs: []Position{{Organization: "stranger", Job: testJob}}})
		owner := f.subscribe(Subscription{})
		f.publish(testJob, 1, "completed")
		owner.expect(t, f.log, testJob, 1, 1)
		owner.expectEvent(t, "complete", "completed")
		for range 3 {
			if e, err := stranger.next(); err != nil || !e.comment {
				t.Fatalf("a stranger got %v, %v", e, err)
			}
		}
	})
}

func TestStalledSubscriberLosesNothingAndHoldsUpNobody(t *testing.T) {
	onEngines(t, Options{StallTimeout: time.Minute}, func(t *testing.T, f *fixture) {
		const n = 300
		stalled, quick := f.subscribe(Subscription{}), f.subscribe(Subscription{})
		for range n {
			f.publish(testJob, 50000, "")
		}
		f.publish(testJob, 1, "completed")
		quick.expect(t, f.log, testJob, 1, n+1)
		quick.expectEvent(t, "complete", "completed")
		stalled.expect(t, f.log, testJob, 1, n+1)
		stalled.expectEvent(t, "complete", "completed")
		stalled.expectEnd(t)
	})
}

func TestStalledSubscriberIsClosed(t *testing.T) {
	onEngines(t, Options{StallTimeout: 300 * time.Millisecond}, func(t *testing.T, f *fixture) {
		closed := make(chan struct{})
		r := f.subscribe(Subscription{OnClose: func() { close(closed) }})
		for range 300 {
			f.publish(testJob, 50000, "")
		}
		<-closed
		_, err := io.Copy(io.Discard, r.conn)
		if err == nil && !f.hub.opts.Portable {
			t.Error("a stalled stream ended as if it were whole")
		}
	})
}

func TestGoneSubscriberIsForgottenAtOnce(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		closed := make(chan struct{})
		r := f.subscribe(Subscription{OnClose: func() { close(closed) }})
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		_ = r.conn.Close()
		<-closed
		if f.hub.Watched(testOrganization, testJob) {
			t.Error("the job is still watched")
		}
	})
}

func TestRevokeDeleteDrain(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.log.put(testJob, 1, "")
		one := f.subscribe(Subscription{Owner: Owner{1}})
		two := f.subscribe(Subscription{Owner: Owner{2}})
		three := f.subscribe(Subscription{Owner: Owner{2}, Jobs: []Position{{Organization: testOrganization, Job: "other"}}})
		one.expect(t, f.log, testJob, 1, 1)
		f.hub.Revoke(func(o Owner) bool { return o != Owner{1} })
		one.expectEvent(t, "error", `"type":"revoked"`)
		one.expectEnd(t)
		two.expect(t, f.log, testJob, 1, 1)
		f.hub.Deleted(testJob)
		two.expectEvent(t, "error", `"type":"storage"`)
		two.expectEnd(t)
		f.hub.Drain(t.Context(), 100*time.Millisecond)
		if e, err := three.message(); err != nil || !e.retry {
			t.Fatalf("got %v, %v instead of a retry field", e, err)
		}
		three.expectEvent(t, "error", `"type":"shutting_down"`)
		three.expectEnd(t)
		if _, err := f.hub.Admit(Subscription{Jobs: []Position{{}}}); !errors.Is(err, ErrDraining) {
			t.Errorf("a subscriber during the drain got %v", err)
		}
	})
}

func TestLimits(t *testing.T) {
	f := newFixture(t, Options{Limits: Limits{Subscribers: 3, PerKey: 2, PerJob: 2}})
	admit := func(owner byte, job string) error {
		_, err := f.hub.Admit(Subscription{Owner: Owner{owner}, Jobs: []Position{{Organization: testOrganization, Job: job}}})
		return err
	}
	for i, test := range []struct {
		owner byte
		job   string
		want  error
	}{
		{1, "a", nil}, {1, "b", nil}, {1, "c", ErrTooManyOfKey},
		{2, "a", nil}, {2, "d", ErrTooMany},
	} {
		if err := admit(test.owner, test.job); !errors.Is(err, test.want) {
			t.Errorf("subscriber %d: %v, want %v", i, err, test.want)
		}
	}
	f.hub.SetLimits(Limits{PerJob: 2})
	if err := admit(3, "a"); !errors.Is(err, ErrTooManyOfJob) {
		t.Errorf("the third of a job got %v", err)
	}
}

func TestComposite(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		jobs := func() []Position {
			return []Position{{Organization: testOrganization, Job: "a"}, {Organization: testOrganization, Job: "b"}}
		}
		for range 100 {
			f.log.put("a", 3000, "")
			f.log.put("b", 3000, "")
		}
		r := f.subscribe(Subscription{Jobs: jobs(), Composite: true})
		f.publish("a", 1, "completed")
		next := map[string]uint64{"a": 1, "b": 1}
		id, completed := "", 0
		for range 202 {
			e, err := r.message()
			if err != nil {
				t.Fatal(err)
			}
			id = e.id
			if e.event == "complete" {
				completed++
				continue
			}
			job := "a"
			if strings.Contains(e.data, `"job":"b"`) {
				job = "b"
			}
			if want := fmt.Sprintf(`{"sequence":%d,`, next[job]); !strings.HasPrefix(e.data, want) {
				t.Fatalf("job %s: %.40s instead of %s", job, e.data, want)
			}
			next[job]++
		}
		if completed != 1 || next["a"] != 102 || next["b"] != 101 {
			t.Fatalf("%d completed, next %v", completed, next)
		}
		positions := jobs()
		if !ParseComposite(id, positions) || positions[0].After != 101 || !positions[0].Completed || positions[1].After != 100 {
			t.Fatalf("id %q is %+v", id, positions)
		}
		again := f.subscribe(Subscription{Jobs: positions, Composite: true})
		f.publish("b", 1, "failed")
		for _, s := range []*reader{r, again} {
			e, err := s.message()
			if err != nil || !bytes.HasPrefix([]byte(e.data), []byte(`{"sequence":101,"job":"b"`)) {
				t.Fatalf("got %.60v, %v", e, err)
			}
			s.expectEvent(t, "complete", `{"status":"failed","expertJobId":"b"}`)
			s.expectEnd(t)
		}
	})
}

func TestAPublicationThatNeverComesHoldsNobodyUpForEver(t *testing.T) {
	onEngines(t, Options{}, func(t *testing.T, f *fixture) {
		f.publish(testJob, 1, "")
		r := f.subscribe(Subscription{})
		r.expect(t, f.log, testJob, 1, 1)
		f.log.put(testJob, 1, "") // stored, and its publisher is lost
		for range maxFrames + 10 {
			f.publish(testJob, 1, "")
		}
		r.expect(t, f.log, testJob, 2, maxFrames+12)
	})
}
