package proxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"milepost/cache"
)

// What many compress at the same time comes back as it was: no compressor serves
// two at once, and none keeps anything of what it had before.
func TestCodersAreNotShared(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j, size := range []int{1, minCoded + 1, 200 << 10, 30 << 10, 2 << 20, 8 << 10} {
				want := bytes.Repeat(fmt.Appendf(nil, "%d/%d, ", i, j), size/5+1)
				for c := cache.Zstd; c <= cache.Gzip; c++ {
					got, err := encodeBody(want, c)
					if err != nil {
						t.Error(err)
						return
					}
					if plain, err := decoded(codingNames[c], got); err != nil || !bytes.Equal(plain, want) {
						t.Errorf("%s: %d bytes came back as %d others: %v", codingNames[c], size, len(plain), err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// A compressor that is given back holds on to nothing large.
func TestCodersKeepNoLargeBuffers(t *testing.T) {
	for c := cache.Zstd; c <= cache.Gzip; c++ {
		coder, err := takeCoder(c)
		if err != nil {
			t.Fatal(err)
		}
		coder.out.Grow(2 * maxPooledBody)
		coder.put()
		if got := coder.out.Cap(); got > maxPooledBody {
			t.Errorf("%s: a buffer of %d bytes is kept", codingNames[c], got)
		}
	}
}

// The coded answer to a POST is not kept, that to a GET is.
func TestOnlyReadsKeepCodedAnswers(t *testing.T) {
	a := start(t, nil)
	for c := cache.Zstd; c <= cache.Gzip; c++ {
		r := a.do("POST", collection(jobID), keyA, sized(4<<10), "Accept-Encoding", codingNames[c])
		b, err := decoded(codingNames[c], r.body)
		if err != nil || r.StatusCode != 200 || r.Header.Get("Content-Encoding") != codingNames[c] {
			t.Fatalf("%d %v: %v", r.StatusCode, r.Header, err)
		}
		var v struct {
			Data struct{ Checkpoint struct{ ID string } }
		}
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		id := v.Data.Checkpoint.ID
		kept := func(coding cache.Coding) bool { return a.cache.Hot([]byte(jobID), []byte(id), coding) != nil }
		if !kept(cache.Identity) || kept(c) {
			t.Errorf("after the POST, kept plain: %t, in %s: %t", kept(cache.Identity), codingNames[c], kept(c))
		}
		got := a.do("GET", collection(jobID)+id, keyA, nil, "Accept-Encoding", codingNames[c])
		if plain, err := decoded(codingNames[c], got.body); err != nil || !bytes.Equal(plain, b) {
			t.Errorf("%s: GET gives %d bytes, POST gave %d: %v", codingNames[c], len(plain), len(b), err)
		}
		if !kept(c) {
			t.Errorf("after the GET, the answer in %s is not kept", codingNames[c])
		}
	}
}

// poster returns a function that posts a checkpoint of about n bytes on a
// connection of its own and reads the answer, in a coding.
func poster(a *api, n int, coding string) func() {
	request := sized(n)
	all := head("POST", collection(jobID), keyA, fmt.Sprintf("Accept-Encoding: %s\r\nContent-Length: %d\r\n", coding, len(request))) + string(request)
	l := a.dial()
	return func() {
		l.send(all)
		l.skip(coding)
	}
}

// skip reads an answer that must be in a coding.
func (l *line) skip(coding string) {
	r, err := http.ReadResponse(l.reader, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		l.t.Fatal(err)
	}
	if r.StatusCode != 200 || r.Header.Get("Content-Encoding") != coding {
		l.t.Fatalf("%d %v", r.StatusCode, r.Header)
	}
}

func BenchmarkCodedPost(b *testing.B) {
	for _, coding := range codingNames {
		b.Run("coding="+coding, func(b *testing.B) {
			post := poster(start(b, nil), 30<<10, coding)
			post()
			b.ReportAllocs()
			for b.Loop() {
				post()
			}
		})
	}
}

func BenchmarkListPage(b *testing.B) {
	for _, coding := range codingNames {
		b.Run("coding="+coding, func(b *testing.B) {
			a := start(b, nil)
			for range 100 {
				a.post(jobID, sized(10<<10))
			}
			request := head("GET", collection(jobID)+"?take=100", keyA, "Accept-Encoding: "+coding+"\r\n")
			l := a.dial()
			b.ReportAllocs()
			for b.Loop() {
				l.send(request)
				l.skip(coding)
			}
		})
	}
}
