//go:build !race

package proxy

// With the race detector a sync.Pool drops at random what it is given, so that
// nothing can be said about allocations.

import (
	"runtime"
	"runtime/debug"
	"testing"

	"milepost/cache"
)

// A hot GET allocates nothing, from the request's first byte to the answer's
// last, whichever way its body is sent.
func TestHotGetAllocatesNothing(t *testing.T) {
	a := start(t, nil)
	for _, size := range []int{100, 4 << 10, 64 << 10, 600 << 10} {
		do := repeat(a, size)
		if got := testing.AllocsPerRun(200, do); got > 0 {
			t.Errorf("%d bytes: %v allocations", size, got)
		}
	}
}

// allocated returns how many bytes one call of do allocates, on the average of n.
// No collection empties a pool meanwhile.
func allocated(n int, do func()) int64 {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var before, after runtime.MemStats
	do()
	runtime.ReadMemStats(&before)
	for range n {
		do()
	}
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc-before.TotalAlloc) / int64(n)
}

// To compress an answer takes memory for what comes out, none for the compressor.
func TestCodedAnswersMakeNoCompressor(t *testing.T) {
	const size, rounds, most = 30 << 10, 50, 32 << 10
	a := start(t, nil)
	plain := allocated(rounds, poster(a, size, ""))
	for c := cache.Zstd; c <= cache.Gzip; c++ {
		if got := allocated(rounds, poster(a, size, codingNames[c])) - plain; got > most {
			t.Errorf("%s: a POST allocates %d bytes more than a plain one, want at most %d", codingNames[c], got, most)
		}
		var ids []string
		for range rounds + 1 {
			_, id := a.post(jobID, sized(size))
			ids = append(ids, id)
		}
		l, next := a.dial(), 0
		got := allocated(rounds, func() {
			l.send(head("GET", collection(jobID)+ids[next], keyA, "Accept-Encoding: "+codingNames[c]+"\r\n"))
			l.skip(codingNames[c])
			next++
		})
		if got > most {
			t.Errorf("%s: a first GET allocates %d bytes, want at most %d", codingNames[c], got, most)
		}
	}
}

// What a page is counted for is what its compressor holds.
func TestCoderMemory(t *testing.T) {
	text := noisy(1, 1<<20)
	live := func() int64 {
		// Pools are emptied by the second collection.
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for c := cache.Zstd; c <= cache.Gzip; c++ {
		before := live()
		coder, err := takeCoder(c)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(text); i += 10 << 10 {
			if _, err := coder.Write(text[i:min(i+10<<10, len(text))]); err != nil {
				t.Fatal(err)
			}
			coder.out.Reset()
		}
		held := live() - before - int64(coder.out.Cap())
		if held > coderMemory[c] || held < coderMemory[c]/2 {
			t.Errorf("%s: a compressor holds %d bytes, counted are %d", codingNames[c], held, coderMemory[c])
		}
		runtime.KeepAlive(coder)
	}
}
