package stream

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// An idle subscriber may cost 1 KB in all, with its places in the lists.
func TestSubscriberIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Subscriber{}); n >= 512 {
		t.Errorf("a subscriber takes %d bytes", n)
	}
}

func TestAllocationsOfTheHotPath(t *testing.T) {
	f := newHub(t, Options{Shards: 1})
	defer f.hub.Close()
	s, err := f.hub.Admit(from(0, false))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Cancel()
	var p parcel
	send := func() {
		for s.fill(&p, nil, batchBytes) {
			s.advance(&p, p.bytes)
		}
	}
	send() // the head
	sequence := uint64(0)
	json := make([]byte, 1000)
	publish := func() {
		sequence++
		f.hub.Publish(testOrganization, testJob, Checkpoint{ID: "c00000000000000000000001", Sequence: sequence, JSON: json})
	}
	for range 2 * maxFrames { // up to its usual size
		publish()
		send()
	}
	// The frame, its bytes, the view; the list of the recent frames now and then. A
	// publisher waits for nobody, so its subscriber may not be more behind than
	// they reach.
	if n := testing.AllocsPerRun(maxFrames/2, publish); n > 3 {
		t.Errorf("a publication takes %v allocations", n)
	}
	send()
	before := s.legs[0].next
	if n := testing.AllocsPerRun(1000, func() { publish(); send() }); n > 3 {
		t.Errorf("a publication with its delivery takes %v allocations", n)
	}
	if s.legs[0].next == before {
		t.Error("nothing was delivered")
	}
	s.legs[0].next -= 10
	if n := testing.AllocsPerRun(100, func() { send(); s.legs[0].next -= 10 }); n != 0 {
		t.Errorf("a delivery takes %v allocations", n)
	}
	if s.fill(&p, nil, 8<<10); len(p.frames) < 2 {
		t.Errorf("a backlog of ten goes in writes of %d", len(p.frames))
	}
}

// BenchmarkPublish is from Publish to what the last subscriber's client has
// read, sixteen checkpoints at a time.
func BenchmarkPublish(b *testing.B) {
	const backlog = 16
	// Both ends are in this process: 9,000 is what 20,000 descriptors allow.
	for _, subscribers := range []int{0, 1, 9_000} {
		b.Run(fmt.Sprintf("subscribers=%d", subscribers), func(b *testing.B) {
			f := newHub(b, Options{Heartbeat: time.Hour, StallTimeout: time.Hour})
			defer f.hub.Close()
			var received atomic.Int64
			var clients sync.WaitGroup
			for range subscribers {
				client, server := socketPair(b)
				f.attach(Subscription{}, server)
				clients.Go(func() {
					for buffer := make([]byte, 20<<10); ; {
						n, err := client.Read(buffer)
						if received.Add(int64(n)); err != nil {
							return
						}
					}
				})
			}
			c := Checkpoint{ID: "c00000000000000000000001", JSON: bytes.Repeat([]byte{'x'}, 1000)}
			wire := len(newFrame(&c, 0).wire)
			wait := func() {
				head := len(testHead) + len(heartbeatChunk)
				for received.Load() < int64(subscribers)*int64(head+int(c.Sequence)*wire) {
					time.Sleep(20 * time.Microsecond)
				}
			}
			wait()
			b.ReportAllocs()
			for b.Loop() {
				c.Sequence++
				if f.hub.Publish(testOrganization, testJob, c); c.Sequence%backlog == 0 {
					wait()
				}
			}
			wait()
			b.ReportMetric(float64(subscribers)*float64(c.Sequence)/b.Elapsed().Seconds(), "deliveries/s")
			f.hub.Close()
			clients.Wait()
		})
	}
}
