package checkpoint

import (
	"fmt"
	"testing"
)

// The sizes of body that are measured: what the usual step posts, and what a
// long conversation does.
const (
	smallBench = 8_000
	largeBench = 110_000
)

// benchBody is a body of about size bytes, the messages of a trace over and
// over.
func benchBody(t testing.TB, size int) []byte {
	t.Helper()
	lines := traceLines(t, "short")
	body := lines[len(lines)-2]
	r := mustParse(t, body)
	list := &r.lists[listMessages]
	parts := r.parts[list.from:list.to]
	end := list.at.End - 1 // before the bracket
	b := append(make([]byte, 0, size+len(body)), body[:end]...)
	for i := 0; len(b)+len(body)-end < size; i++ {
		b = append(append(b, ','), parts[i%len(parts)].of(body)...)
	}
	return append(b, body[end:]...)
}

func benchAssigned() Assigned {
	digest := []byte(`{"type":"expertDigest","id":"aaaaaaaaaaaaaaaaaaaaaaaa"}`)
	return Assigned{
		ID: "cccccccccccccccccccccccc", RunID: "rrrrrrrrrrrrrrrrrrrrrrrr", JobID: "jjjjjjjjjjjjjjjjjjjjjjjj",
		Sequence: 7, CreatedAt: testTime, Expert: digest, DelegateToExpert: digest, DelegatedByExpert: digest,
	}
}

// benchBodies runs f for a body of each size.
func benchBodies(b *testing.B, f func(body []byte) error) {
	for _, size := range []int{smallBench, largeBench} {
		body := benchBody(b, size)
		b.Run(fmt.Sprintf("%dB", len(body)), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if err := f(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseRequest(b *testing.B) {
	benchBodies(b, func(body []byte) error {
		_, err := ParseRequest(body)
		return err
	})
}

func BenchmarkParseAndEncode(b *testing.B) {
	a := benchAssigned()
	benchBodies(b, func(body []byte) error {
		r, err := ParseRequest(body)
		if err == nil {
			r.Encode(a)
		}
		return err
	})
}

func BenchmarkInspect(b *testing.B) {
	benchBodies(b, func(body []byte) error {
		_, err := inspect(body)
		return err
	})
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}
