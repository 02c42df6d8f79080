package terminal

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// quietServer answers without a network: the first stream stops in the middle
// of everything, the second brings the end.
type quietServer struct{ requests int }

func (q *quietServer) RoundTrip(r *http.Request) (*http.Response, error) {
	q.requests++
	body, feed := io.Pipe()
	first := q.requests == 1
	go func() {
		if !first {
			_, _ = io.WriteString(feed, frame(2)+complete)
			_ = feed.Close()
			return
		}
		_, _ = io.WriteString(feed, frame(1))
		for range 3 {
			time.Sleep(maxQuiet - time.Second) // of the bubble's clock
			_, _ = io.WriteString(feed, ":\n\n")
		}
	}()
	context.AfterFunc(r.Context(), func() { _ = feed.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: http.StatusOK, Body: body, Header: http.Header{}, Request: r}, nil
}

// A stream is alive as long as it brings comments; one that brings nothing is
// opened again.
func TestFollowLeavesASilentStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &quietServer{}
		c, err := NewClient("http://localhost", "k")
		if err != nil {
			t.Fatal(err)
		}
		c.http.Transport = server
		began, n := time.Now(), 0
		f := Follower{Client: c, Job: job}
		status, err := f.Run(t.Context(), func([]byte) error { n++; return nil })
		if err != nil || status != "completed" || n != 2 || server.requests != 2 {
			t.Errorf("%d checkpoints, status %q, %d requests: %v", n, status, server.requests, err)
		}
		took := time.Since(began)
		if least := 3*(maxQuiet-time.Second) + maxQuiet; took < least || took > least+maxWait {
			t.Errorf("left after %v, want about %v", took, least)
		}
	})
}

// Waits grow to their bound, differ by chance, and are as long as the server
// asks.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(b *Backoff, err error) time.Duration {
			began := time.Now()
			if err := b.Wait(t.Context(), err); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		var b Backoff
		for i := range 20 {
			want := min(firstWait<<min(i, 10), maxWait)
			if d := wait(&b, nil); d < want/2-1 || d > want {
				t.Errorf("wait %d took %v, want %v to %v", i+1, d, want/2, want)
			}
		}
		b.Reset()
		if d := wait(&b, nil); d > firstWait {
			t.Errorf("after a success: %v", d)
		}
		if d := wait(&b, &APIError{RetryAfter: 30 * time.Second}); d != 30*time.Second {
			t.Errorf("the server asks for 30s: %v", d)
		}
		if d := wait(&b, &APIError{RetryAfter: time.Hour}); d != time.Minute {
			t.Errorf("the server asks for an hour: %v", d)
		}
		b.least = 20 * time.Second
		if d := wait(&b, nil); d != b.least {
			t.Errorf("the stream asks for 20s: %v", d)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		cancel(enough)
		if err := b.Wait(ctx, nil); !errors.Is(err, enough) {
			t.Errorf("%v", err)
		}
	})
}

// A very long stream of comments is no event.
func TestCommentsAlone(t *testing.T) {
	if got, err := readAll(strings.NewReader(strings.Repeat(":\n\n", 10_000))); got != "" || !errors.Is(err, io.EOF) {
		t.Errorf("%q %v", got, err)
	}
}
