package store

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"milepost/internal/checkpoint"
)

// benchJobs are written to in turn, as by so many runtimes at once.
const benchJobs = 64

// benchText is prose of a small vocabulary, which packs about as real text does.
func benchText(rng *rand.Rand, size int) []byte {
	const vocabulary = 400
	b := []byte{'"'}
	for len(b) < size-1 {
		word := rng.IntN(vocabulary) * rng.IntN(vocabulary) / vocabulary
		for n := range 2 + word*7%9 {
			b = append(b, 'a'+byte((word+n*word/7)%26))
		}
		b = append(b, ' ')
	}
	return append(b[:size-1], '"')
}

// benchDocuments returns checkpoints of 8 KB that repeat nothing of each other.
func benchDocuments(n int) []checkpoint.Document {
	rng := rand.New(rand.NewPCG(1, 2))
	docs := make([]checkpoint.Document, n)
	for i := range docs {
		docs[i] = document(fmt.Sprintf("step %d", i),
			string(benchText(rng, 6000)), string(benchText(rng, 400)), string(benchText(rng, 1500)))
	}
	return docs
}

// BenchmarkAppend is what the store does for a checkpoint of 8 KB of new
// content, without a disk.
func BenchmarkAppend(b *testing.B) {
	o := testOptions(vfs.NewMem())
	o.MemTable, o.AppendMemory, o.BlockCache = 0, 0, 0
	s, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	docs := benchDocuments(1024)
	jobs := make([]string, benchJobs)
	for i := range jobs {
		jobs[i] = checkpoint.NewID()
	}
	b.SetBytes(int64(len(docs[0].JSON)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := add(s, jobs[i%benchJobs], checkpoint.NewID(), docs[i%len(docs)], nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPlan cuts and packs the same checkpoints.
func BenchmarkPlan(b *testing.B) {
	docs := benchDocuments(64)
	w := new(scratch)
	b.SetBytes(int64(len(docs[0].JSON)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		makePlan(w, docs[i%len(docs)], nil, 0)
	}
}
