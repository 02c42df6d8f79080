package checkpoint

import (
	"bytes"
	"testing"
)

// benchBody is a body of about 110 KB: the messages of a trace, over and over.
func benchBody(t testing.TB) []byte {
	t.Helper()
	lines := traceLines(t, "short")
	body := lines[len(lines)-2]
	r := mustParse(t, body)
	list := r.lists[listMessages].at
	messages := bytes.TrimSuffix(list.of(body), []byte("]"))
	var b []byte
	b = append(b, body[:list.Start]...)
	b = append(b, messages...)
	for len(b) < 110_000 {
		b = append(append(b, ','), messages[1:]...)
	}
	b = append(b, ']')
	return append(b, body[list.End:]...)
}

func benchAssigned() Assigned {
	digest := []byte(`{"type":"expertDigest","id":"aaaaaaaaaaaaaaaaaaaaaaaa"}`)
	return Assigned{
		ID: "cccccccccccccccccccccccc", RunID: "rrrrrrrrrrrrrrrrrrrrrrrr", JobID: "jjjjjjjjjjjjjjjjjjjjjjjj",
		Sequence: 7, CreatedAt: testTime, Expert: digest, DelegateToExpert: digest, DelegatedByExpert: digest,
	}
}

func BenchmarkParseRequest(b *testing.B) {
	body := benchBody(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAndEncode(b *testing.B) {
	body := benchBody(b)
	a := benchAssigned()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ParseRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		r.Encode(a)
	}
}

func BenchmarkInspect(b *testing.B) {
	body := benchBody(b)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := inspect(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewID()
	}
}
