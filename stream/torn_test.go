//go:build linux

package stream

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sizedLog is a log of checkpoints of 1 KB to 300 KB, as many as stored says.
// It makes their JSON when it is read.
type sizedLog struct {
	sizes  []int
	stored atomic.Uint64
}

func newSizedLog(n int) *sizedLog {
	l := &sizedLog{sizes: make([]int, n)}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range l.sizes {
		// As many between 1 and 10 KB as between 10 and 100.
		l.sizes[i] = int(1000 * math.Pow(300, random.Float64()))
	}
	return l
}

var sizedPad = bytes.Repeat([]byte{'p'}, 300_000)

func (l *sizedLog) checkpoint(n uint64) Checkpoint {
	c := Checkpoint{ID: fmt.Sprintf("c%023d", n), Sequence: n}
	c.JSON = fmt.Appendf(make([]byte, 0, l.sizes[n-1]+40), `{"sequence":%d,"pad":"`, n)
	c.JSON = append(append(c.JSON, sizedPad[:l.sizes[n-1]]...), `"}`...)
	if n == uint64(len(l.sizes)) {
		c.Ended = "completed"
	}
	return c
}

func (l *sizedLog) Tail(string, string) (Tail, error) {
	n := l.stored.Load()
	return Tail{Sequence: n, ID: fmt.Sprintf("c%023d", n)}, nil
}

func (l *sizedLog) Read(_ string, from uint64, visit func(Checkpoint) bool) error {
	for n := from; n <= l.stored.Load() && visit(l.checkpoint(n)); n++ {
	}
	return nil
}

// referenceReader reads as the reference client does: the event and the data
// under way are forgotten at each piece that the network gives; only the
// unfinished line is kept.
type referenceReader struct {
	line      []byte
	event     string
	data      []byte
	hasData   bool
	onMessage func(data []byte)
	onEvent   func(event string)
}

func (r *referenceReader) piece(b []byte) {
	r.event, r.data, r.hasData = "", nil, false
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			r.line = append(r.line, b...)
			return
		}
		line := b[:i]
		if len(r.line) > 0 {
			r.line = append(r.line, line...)
			line = r.line
		}
		b = b[i+1:]
		switch {
		case len(line) == 0 && r.hasData:
			if r.event == "" || r.event == "message" {
				r.onMessage(r.data)
			} else {
				r.onEvent(r.event)
			}
			r.event, r.data, r.hasData = "", nil, false
		case bytes.HasPrefix(line, []byte("event: ")):
			r.event = string(line[7:])
		case bytes.HasPrefix(line, []byte("data: ")):
			r.data, r.hasData = bytes.Clone(line[6:]), true
		}
		r.line = r.line[:0]
	}
}

// pieces gives what each read of a connection yields, without the chunks'
// framing: a piece ends where a read or a chunk does.
func pieces(conn net.Conn, buffer []byte, slow func(), f func([]byte)) error {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		one := make([]byte, 1)
		if _, err := conn.Read(one); err != nil {
			return err
		}
		head = append(head, one...)
	}
	var size []byte // of the chunk that begins
	left := 0       // of the chunk and its CRLF
	for {
		n, err := conn.Read(buffer)
		if n == len(buffer) {
			return fmt.Errorf("the client's own buffer of %d bytes cut the stream", n)
		}
		for b := buffer[:n]; len(b) > 0; {
			if left == 0 {
				size, b = append(size, b[0]), b[1:]
				if !bytes.HasSuffix(size, []byte("\r\n")) {
					continue
				}
				v, err := strconv.ParseInt(string(size[:len(size)-2]), 16, 32)
				if err != nil {
					return err
				}
				size, left = size[:0], int(v)+2
				continue
			}
			take := min(len(b), left)
			if body := min(take, max(left-2, 0)); body > 0 {
				f(b[:body])
			}
			left -= take
			b = b[take:]
		}
		if err != nil {
			return err
		}
		slow()
	}
}

func TestNoFrameIsTorn(t *testing.T) {
	const checkpoints = 10_000 / scale
	for _, client := range []struct {
		name            string
		segment, window int
	}{
		{"loopback", 0, 256 << 10},
		{"ethernet", 1448, 64 << 10},
	} {
		l := newSizedLog(checkpoints)
		t.Run(client.name, func(t *testing.T) {
			onEngines(t, Options{History: l, Heartbeat: time.Hour}, func(t *testing.T, f *fixture) {
				l.stored.Store(checkpoints / 2)
				conn, server := f.dialSegments(client.segment, client.window)
				f.attach(Subscription{}, server)
				var got atomic.Uint64
				read := make(chan struct{}, 1)
				var lost []string
				ends := 0
				r := referenceReader{
					onMessage: func(data []byte) {
						var n uint64
						if _, err := fmt.Sscanf(string(data[:min(len(data), 30)]), `{"sequence":%d`, &n); err != nil {
							t.Errorf("%.60q: %v", data, err)
						}
						if want := got.Load() + 1; n != want {
							lost = append(lost, fmt.Sprintf("%d to %d", want, n-1))
						}
						got.Store(n)
						select {
						case read <- struct{}{}:
						default:
						}
					},
					onEvent: func(name string) { ends++ },
				}
				var publisher sync.WaitGroup
				stop := make(chan struct{})
				defer publisher.Wait()
				defer close(stop)
				publisher.Go(func() {
					// Sometimes one at a time, sometimes ahead of the client.
					random := rand.New(rand.NewPCG(3, 4))
					ahead := uint64(0)
					for n := uint64(checkpoints/2 + 1); n <= checkpoints; n++ {
						for got.Load()+ahead+1 < n {
							select {
							case <-read:
							case <-stop:
								return
							}
						}
						if n%100 == 0 {
							ahead = random.Uint64N(30)
						}
						l.stored.Store(n)
						f.hub.Publish(testOrganization, testJob, l.checkpoint(n))
					}
				})
				random := rand.New(rand.NewPCG(5, 6))
				slow := func() {
					if random.IntN(50) == 0 {
						time.Sleep(time.Duration(random.IntN(2000)) * time.Microsecond) // a client that has other things to do
					}
				}
				if err := pieces(conn, make([]byte, 4<<20), slow, r.piece); err != io.EOF {
					t.Error(err)
				}
				if len(lost) > 0 || got.Load() != checkpoints {
					t.Errorf("lost %d: %s; the last is %d", len(lost), strings.Join(lost, ", "), got.Load())
				}
				if ends != 1 {
					t.Errorf("%d ends", ends)
				}
			})
		})
	}
}
