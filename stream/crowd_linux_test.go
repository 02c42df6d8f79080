package stream

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// wires is a job's log as the stream's bytes, to hold what a client reads
// against.
type wires struct {
	bytes []byte
	ends  []int // of each checkpoint's frame; ends[0] is 0
}

func newWires(all []Checkpoint) *wires {
	w := &wires{ends: []int{0}}
	for i := range all {
		w.bytes = append(w.bytes, newFrame(&all[i], 0).wire...)
		w.ends = append(w.ends, len(w.bytes))
	}
	last := all[len(all)-1]
	if last.Ended != "" {
		w.bytes = append(w.bytes, chunk(nil, fmt.Sprintf("id: %s%s\nevent: complete\ndata: {\"status\":%q,\"expertJobId\":%q}\n\n",
			completePrefix, last.ID, last.Ended, testJob), false)...)
		w.bytes = append(w.bytes, terminator...)
	}
	return w
}

// follow reads a stream after a sequence, up to the end of a checkpoint or,
// with to 0, of all.
func (w *wires) follow(c net.Conn, after, to uint64, buffer []byte) error {
	head := append([]byte(testHead), heartbeatChunk...)
	got := make([]byte, len(head))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, head) {
		return fmt.Errorf("the head came as %q, %w", got, err)
	}
	if to == 0 {
		return w.rest(c, after, buffer)
	}
	want := w.bytes[w.ends[after]:w.ends[to]]
	for len(want) > 0 {
		n, err := c.Read(buffer[:min(len(buffer), len(want))])
		if !bytes.Equal(buffer[:n], want[:n]) {
			return fmt.Errorf("after %d, %d bytes before the end of %d: what came is not the log", after, len(want), to)
		}
		if want = want[n:]; err != nil {
			return fmt.Errorf("after %d: %d bytes are missing: %w", after, len(want), err)
		}
	}
	return nil
}

// rest reads a stream from the end of a checkpoint on to its own end.
func (w *wires) rest(c net.Conn, after uint64, buffer []byte) error {
	for want := w.bytes[w.ends[after]:]; ; {
		n, err := c.Read(buffer)
		if n > len(want) || !bytes.Equal(buffer[:n], want[:n]) {
			return fmt.Errorf("after %d, %d bytes before the end: what came is not the log", after, len(want))
		}
		if want = want[n:]; err != nil {
			if err == io.EOF && len(want) == 0 {
				return nil
			}
			return fmt.Errorf("after %d: %d bytes are missing: %w", after, len(want), err)
		}
	}
}

// resources is what a process holds.
type resources struct {
	heap                    int64
	goroutines, descriptors int
}

func measure(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	runtime.GC() // the first one's finalizers have run
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return resources{int64(m.HeapAlloc), runtime.NumGoroutine(), len(open)}
}

// expectBack waits until what was taken has been given back.
func (before resources) expectBack(t *testing.T, slack int64) {
	t.Helper()
	var after resources
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		after = measure(t)
		if after.heap <= before.heap+slack && after.goroutines <= before.goroutines && after.descriptors <= before.descriptors {
			return
		}
	}
	t.Errorf("after all have left there is %+v, at the start it was %+v", after, before)
}

// TestCrowd lets thousands come and go during thousands of writes, a tenth of
// them with full socket buffers.
func TestCrowd(t *testing.T) {
	const (
		subscribers = 2000 / scale
		stalled     = subscribers / 10
		writes      = 5000 / scale
		rounds      = 100
		size        = 300 * scale // as many bytes with fewer writes
	)
	onEngines(t, Options{StallTimeout: time.Hour, Heartbeat: time.Hour, Buffer: 4 << 20}, func(t *testing.T, f *fixture) {
		planned := newFakeLog()
		for n := range writes {
			ended := ""
			if n == writes-1 {
				ended = "completed"
			}
			planned.put(testJob, size, ended)
		}
		log := planned.all(testJob)
		w := newWires(log)
		before := measure(t)
		random := rand.New(rand.NewPCG(7, 8))
		var clients, left sync.WaitGroup
		join := func(after, to uint64, read bool) (conn net.Conn) {
			conn, server := f.dial()
			left.Add(1)
			f.attach(Subscription{OnClose: left.Done, Jobs: []Position{{Organization: testOrganization, Job: testJob, After: after, Completed: false}}}, server)
			if read {
				clients.Go(func() {
					if err := w.follow(conn, after, to, make([]byte, 8<<10)); err != nil {
						t.Error(err)
					}
					_ = conn.Close()
				})
			}
			return conn
		}
		var full []net.Conn
		for range stalled {
			full = append(full, join(0, 0, false))
		}
		published := uint64(0)
		for range rounds {
			for range writes / rounds {
				f.log.mu.Lock()
				f.log.jobs[jobKey{testOrganization, testJob}] = log[:published+1]
				f.log.mu.Unlock()
				f.hub.Publish(testOrganization, testJob, log[published])
				published++
			}
			for range (subscribers - stalled) / rounds {
				after := random.Uint64N(published)
				to := uint64(0)
				if random.IntN(4) == 0 && published < writes { // leaves on the way
					to = after + 1 + random.Uint64N(writes-after)
				}
				join(after, to, true)
			}
		}
		clients.Wait()
		peak := measure(t)
		held := peak.heap - before.heap
		t.Logf("with %d stalled ones, each %d MB behind: %d KB of heap, %d goroutines, %d descriptors more",
			stalled, len(w.bytes)>>20, held>>10, peak.goroutines-before.goroutines, peak.descriptors-before.descriptors)
		if limit := f.hub.opts.Buffer*2 + stalled*(64<<10) + 8<<20; held > limit {
			t.Errorf("%d bytes of heap are held, more than %d", held, limit)
		}
		// That a client has closed is noticed a moment later.
		for deadline := time.Now().Add(patience); f.gauge("subscribers") != stalled || f.gauge("subscribers_behind") != stalled; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("the gauges show %v subscribers, %v behind, %d are left", f.gauge("subscribers"), f.gauge("subscribers_behind"), stalled)
			}
		}
		for _, conn := range full {
			clients.Go(func() {
				if err := w.follow(conn, 0, 0, make([]byte, 8<<10)); err != nil {
					t.Error("stalled: ", err)
				}
				_ = conn.Close()
			})
		}
		clients.Wait()
		left.Wait()
		clear(full)
		f.expectNobody(t)
		before.expectBack(t, 2<<20)
	})
}

// TestThousandsBehindAtOnce resumes them all at the same time: history is read
// a bounded number of times, and nobody is served at the others' cost.
func TestThousandsBehindAtOnce(t *testing.T) {
	const (
		subscribers = 2000 / scale
		stored      = 500
		behind      = 50
		live        = 20
	)
	onEngines(t, Options{Heartbeat: time.Hour}, func(t *testing.T, f *fixture) {
		for range stored {
			f.log.put(testJob, 5000, "")
		}
		after := newFakeLog()
		for n := range stored + live {
			ended := ""
			if n == stored+live-1 {
				ended = "failed"
			}
			after.put(testJob, 5000, ended)
		}
		w := newWires(after.all(testJob))
		admitted := make([]*Subscriber, subscribers)
		for i := range admitted {
			o := from(stored-behind, false)
			o.Head = []byte(testHead)
			var err error
			if admitted[i], err = f.hub.Admit(o); err != nil {
				t.Fatal(err)
			}
		}
		conns, servers := make([]net.Conn, subscribers), make([]net.Conn, subscribers)
		for i := range conns {
			conns[i], servers[i] = f.dial()
		}
		var clients sync.WaitGroup
		caughtUp := make(chan int, subscribers)
		for i, c := range conns {
			clients.Go(func() {
				buffer := make([]byte, 16<<10)
				if err := w.follow(c, stored-behind, stored, buffer); err != nil {
					t.Error(err)
				}
				caughtUp <- i
				if err := w.rest(c, stored, buffer); err != nil {
					t.Error(err)
				}
			})
		}
		for i, s := range admitted {
			if err := s.Attach(servers[i]); err != nil {
				t.Fatal(err)
			}
		}
		for range subscribers {
			<-caughtUp
		}
		// 250 KB are one block; a few more are read by those who take their part
		// of it in several writes while it is dropped or read again.
		if n := f.log.readsSoFar(); n > 8 {
			t.Errorf("%d subscribers caused %d reads of history", subscribers, n)
		}
		for n := range live {
			ended := ""
			if n == live-1 {
				ended = "failed"
			}
			f.publish(testJob, 5000, ended)
		}
		clients.Wait()
	})
}
