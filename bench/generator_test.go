package main

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// knownLoad is a fan-out of events at a rate from the stub, in which every
// subscriber gets the events from firstEvent on.
func knownLoad(t *testing.T, s *streamStub, c fanoutCase, length time.Duration) (fanoutRun, *fanoutLoad) {
	t.Helper()
	x := milepostSystem(s.Listener.Addr().String(), stubKey, 0)
	if err := x.learnOverhead("j00000000000000000000000"); err != nil {
		t.Fatal(err)
	}
	load := &fanoutLoad{fanoutCase: c, system: x, span: span{0, length}}
	r, err := load.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, load
}

func TestGeneratorReportsExactlyWhatTheServerDidWrong(t *testing.T) {
	// Each of 8 subscribers is due 250 events. Of its frames, every 100th is
	// dropped, the 30th comes twice, and the 50th and 51st are swapped.
	const subscribers, events = 8, 250
	s := newStreamStub(t)
	var held sync.Map
	s.alter = func(n, i int, frame string) []string {
		switch {
		case i%100 == 0:
			return nil
		case i == 30:
			return []string{frame, frame}
		case i == 50:
			held.Store(n, frame)
			return nil
		case i == 51:
			before, _ := held.Load(n)
			return []string{frame, before.(string)}
		}
		return []string{frame}
	}
	r, _ := knownLoad(t, s, fanoutCase{Jobs: 1, Subscribers: subscribers, Size: 2 << 10, Backlog: 5, Rate: 500}, events/5*2*time.Millisecond)
	want := faults{Lost: 2 * subscribers, Doubled: subscribers, Disordered: subscribers}
	if r.Faults != want || r.Events != events {
		t.Errorf("found %+v in %d events, not %+v", r.Faults, r.Events, want)
	}
	if got := r.Faults.String(); got != "16 lost, 8 doubled, 8 out of order" {
		t.Errorf("it says %q", got)
	}
}

func TestDrippingSubscribersAreCheckedAndHoldUpNobody(t *testing.T) {
	s := newStreamStub(t)
	r, load := knownLoad(t, s, fanoutCase{Jobs: 1, Subscribers: 6, Size: 2 << 10, Backlog: 1, Rate: 50, Dripping: 2}, 400*time.Millisecond)
	if r.errors() > 0 {
		t.Fatalf("%s %s", r.Faults, r.Error)
	}
	// The two that drip are not among those that are waited for and timed.
	if r.Events != 20 || r.Deliveries != 4*20 {
		t.Errorf("%d events, %d deliveries", r.Events, r.Deliveries)
	}
	dripped := 0
	for _, reader := range load.swarm.readers {
		for _, sub := range reader.subscribers {
			if sub.drips && sub.stream.begun {
				dripped++
			}
		}
	}
	if dripped != 2 {
		t.Errorf("%d dripping subscribers have a stream, not 2", dripped)
	}

	// One whose padding is changed is found out, however slowly it is read: the
	// first subscriber compares, and it is one that drips.
	s = newStreamStub(t)
	s.alter = func(n, i int, frame string) []string {
		at := strings.Index(frame, markerMagic) + markerLength + 1
		return []string{frame[:at] + "#" + frame[at+1:]}
	}
	r, _ = knownLoad(t, s, fanoutCase{Jobs: 1, Subscribers: 2, Size: 2 << 10, Backlog: 1, Rate: 50, Dripping: 1}, 2*time.Second)
	if r.Faults.Failed == 0 || !strings.Contains(r.Error, "is not the one that was published") {
		t.Errorf("%+v %s", r.Faults, r.Error)
	}
}

func TestWrkSummary(t *testing.T) {
	const good = "Running 2s test @ http://127.0.0.1:1/\n  2 threads and 64 connections\n  155000 requests in 2.01s, 650.00MB read\nRequests/sec:  77114.43\n"
	m, err := parseWrk(good)
	if err != nil || m.Requests != 155000 || m.Seconds != 2.01 || m.Errors != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	m, err = parseWrk(good + "  Non-2xx or 3xx responses: 12\n")
	if err != nil || m.Errors == 0 {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := parseWrk("unable to connect"); err == nil {
		t.Error("a failure is read as a result")
	}
}
