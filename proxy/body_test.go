package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"milepost/internal/checkpoint"
	"milepost/internal/config"
)

// The memory of a body is used again by the next: what was answered and kept
// must not change with it, however bodies of all sizes come.
func TestBodiesDoNotShowInEachOther(t *testing.T) {
	a := start(t, nil)
	var wg sync.WaitGroup
	for writer := range 8 {
		wg.Go(func() {
			job := checkpoint.NewID()
			var want []string
			for n := range 12 {
				size := []int{10, 3000, 9000, 70_000, 300_000}[(writer+n)%5]
				text := strings.Repeat(fmt.Sprintf("%d-%d ", writer, n), size/4)
				post := body(func(c, _ map[string]any) { c["messages"] = []any{text} })
				got, id := a.post(job, post)
				if !bytes.Contains(got, []byte(text)) {
					t.Errorf("writer %d: the answer to %d has another's text", writer, n)
				}
				want = append(want, id+"\n"+string(got))
			}
			for _, w := range want {
				id, json, _ := strings.Cut(w, "\n")
				r := a.do("GET", collection(job)+id, keyA, nil)
				if r.StatusCode != 200 || !bytes.Contains(r.body, []byte(json)) {
					t.Errorf("writer %d: %s reads back differently from its answer", writer, id)
				}
			}
		})
	}
	wg.Wait()
}

// A body in chunks is taken up to the limit and not beyond.
func TestBodyInChunksIsLimited(t *testing.T) {
	post := body(func(c, _ map[string]any) { c["messages"] = []any{strings.Repeat("x", 50_000)} })
	a := start(t, func(c *config.Config) { c.Server.MaxBody = config.Size(len(post)) })
	for extra, code := range []int{200, 413} {
		// A reader of unknown length makes the client send chunks.
		sent := io.MultiReader(strings.NewReader(strings.Repeat(" ", extra)), bytes.NewReader(post))
		req, err := http.NewRequest("POST", a.base+collection(jobID), sent)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+keyA)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != code {
			t.Errorf("%d bytes more than the limit: %d %.200s, want %d", extra, resp.StatusCode, got, code)
		}
	}
}
