package proxy

import (
	"bufio"
	"io"
	"net/http"
	"testing"
)

// repeat returns a function that sends one hot GET on a connection of its own
// and reads the answer, without allocations of its own.
func repeat(a *api, size int) func() {
	_, id := a.post(jobID, sized(size))
	request := []byte(head("GET", collection(jobID)+id, keyA, ""))
	l := a.dial()
	// The first answer tells the length of all, for the Date's is always the same.
	if _, err := l.Write(request); err != nil {
		a.t.Fatal(err)
	}
	counted := &counter{r: l}
	r, err := http.ReadResponse(bufio.NewReader(counted), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		a.t.Fatal(err)
	}
	answer := make([]byte, counted.n)
	return func() {
		if _, err := l.Write(request); err != nil {
			a.t.Fatal(err)
		}
		if _, err := io.ReadFull(l.Conn, answer); err != nil {
			a.t.Fatal(err)
		}
	}
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func BenchmarkHotGet(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1KB", 100}, {"4KB", 4 << 10}, {"64KB", 64 << 10}} {
		b.Run(c.name, func(b *testing.B) {
			do := repeat(start(b, nil), c.size)
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
}
