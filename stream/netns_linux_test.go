//go:build netns

package stream

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A peer behind a network that drops everything sends no FIN and no reset.
// These tests need root: they make a network namespace with one link to it and
// cut the link.

// remote is a network namespace with a link to this one.
type remote struct {
	t     *testing.T
	name  string
	host  string // our end's address
	links [2]string
}

var remotes atomic.Int32

func newRemote(t *testing.T) *remote {
	// The kernel takes a namespace down in its own time: each has its own names.
	id := fmt.Sprintf("%d-%d", os.Getpid(), remotes.Add(1))
	r := &remote{t: t, name: "milepost-" + id, host: "198.18.77.1", links: [2]string{"mpa" + id, "mpb" + id}}
	r.ip("netns", "add", r.name)
	t.Cleanup(func() { r.ip("netns", "del", r.name) })
	r.ip("link", "add", r.links[0], "type", "veth", "peer", "name", r.links[1], "netns", r.name)
	t.Cleanup(func() { r.ip("link", "del", r.links[0]) })
	r.ip("addr", "add", r.host+"/24", "dev", r.links[0])
	r.ip("link", "set", r.links[0], "up")
	r.ip("-n", r.name, "addr", "add", "198.18.77.2/24", "dev", r.links[1])
	r.connect()
	return r
}

func (r *remote) ip(args ...string) {
	r.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		r.t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// connect and cut switch the far end of the link.
func (r *remote) connect() { r.ip("-n", r.name, "link", "set", r.links[1], "up") }
func (r *remote) cut()     { r.ip("-n", r.name, "link", "set", r.links[1], "down") }

// dial connects from inside the namespace.
func (r *remote) dial(address string) net.Conn {
	r.t.Helper()
	type dialed struct {
		conn net.Conn
		err  error
	}
	result := make(chan dialed)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		d := dialed{}
		var space *os.File
		if space, d.err = os.Open("/var/run/netns/" + r.name); d.err == nil {
			if d.err = unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); d.err == nil {
				d.conn, d.err = net.DialTimeout("tcp", address, 10*time.Second)
			}
			_ = space.Close()
		}
		result <- d
	}()
	d := <-result
	if d.err != nil {
		r.t.Fatal(d.err)
	}
	r.t.Cleanup(func() { _ = d.conn.Close() })
	return d.conn
}

func TestNetnsVanishedPeerIsGoneWithinTwoHeartbeats(t *testing.T) {
	const heartbeat = time.Second
	for _, traffic := range []bool{false, true} {
		t.Run(fmt.Sprintf("traffic=%v", traffic), func(t *testing.T) {
			onEngines(t, Options{Heartbeat: heartbeat, StallTimeout: 30 * time.Second}, func(t *testing.T, f *fixture) {
				r := newRemote(t)
				_ = f.ln.Close()
				var err error
				if f.ln, err = net.Listen("tcp", r.host+":0"); err != nil {
					t.Fatal(err)
				}
				before := measure(t)
				const peers = 20
				gone := make(chan time.Time, peers)
				for range peers {
					far := r.dial(f.ln.Addr().String())
					near, err := f.ln.Accept()
					if err != nil {
						t.Fatal(err)
					}
					f.attach(Subscription{OnClose: func() { gone <- time.Now() }}, near)
					if e, err := newReader(far).next(); err != nil || !e.comment {
						t.Fatal(e, err)
					}
				}
				stays := f.subscribe(Subscription{})
				r.cut()
				cut := time.Now()
				stop, stopped := make(chan struct{}), make(chan struct{})
				go func() {
					defer close(stopped)
					tick := time.NewTicker(heartbeat / 10)
					defer tick.Stop()
					for {
						select {
						case <-stop:
							return
						case <-tick.C:
						}
						if traffic {
							f.publish(testJob, 200, "")
						}
					}
				}()
				// A sweep of the event loop is a tenth of a heartbeat.
				const limit = 2*heartbeat + heartbeat/4
				for range peers {
					if d := (<-gone).Sub(cut); d > limit {
						t.Errorf("a vanished peer was kept for %v", d)
					}
				}
				close(stop)
				<-stopped
				if n := f.gauge("subscribers"); n != 1 {
					t.Errorf("the gauge shows %v subscribers, one is left", n)
				}
				if n := f.closed(ReasonClient); n != peers {
					t.Errorf("%v of %d vanished peers were counted", n, peers)
				}
				// The one that is there is not taken for one of them.
				f.publish(testJob, 200, "completed")
				last := uint64(len(f.log.all(testJob)))
				stays.expect(t, f.log, testJob, 1, last)
				stays.expectEvent(t, "complete", "completed")
				stays.expectEnd(t)
				_ = stays.conn.Close()
				// The far ends are the test's own.
				before.descriptors += peers
				before.expectBack(t, 2<<20)
			})
		})
	}
}

// A cut shorter than that is no end: what is lost on the way is sent again.
func TestNetnsShortCutLosesNothing(t *testing.T) {
	onEngines(t, Options{Heartbeat: 3 * time.Second, StallTimeout: 30 * time.Second}, func(t *testing.T, f *fixture) {
		r := newRemote(t)
		_ = f.ln.Close()
		var err error
		if f.ln, err = net.Listen("tcp", r.host+":0"); err != nil {
			t.Fatal(err)
		}
		far := r.dial(f.ln.Addr().String())
		near, err := f.ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f.attach(Subscription{}, near)
		_ = far.SetDeadline(time.Now().Add(patience))
		reader := newReader(far)
		if e, err := reader.next(); err != nil || !e.comment {
			t.Fatal(e, err)
		}
		r.cut()
		for range 50 {
			f.publish(testJob, 1000, "")
		}
		r.connect()
		f.publish(testJob, 1, "completed")
		reader.expect(t, f.log, testJob, 1, 51)
		reader.expectEvent(t, "complete", "completed")
	})
}
