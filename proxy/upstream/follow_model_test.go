package upstream

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// act is what the upstream of the model does on a stream.
type act struct {
	kind string
	n    int
}

// attempt is how the upstream of the model answers a request for the stream.
type attempt struct {
	status int // 0 is 200
	honour bool
	acts   []act
	reset  bool // else the end is clean
}

var (
	attempts = rapid.Custom(func(t *rapid.T) attempt {
		return attempt{
			status: rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 401, 404, 429, 500, 503, -1}).Draw(t, "status"),
			honour: rapid.Bool().Draw(t, "honour"),
			acts:   rapid.SliceOfN(acts, 0, 12).Draw(t, "acts"),
			reset:  rapid.Bool().Draw(t, "reset"),
		}
	})
	acts = rapid.Custom(func(t *rapid.T) act {
		return act{
			kind: rapid.SampledFrom([]string{
				"send", "send", "send", "add", "add", "skip", "repeat", "swap", "cut short", "wait",
				"comment", "garbage", "no checkpoint", "false complete", "stall",
			}).Draw(t, "act"),
			n: rapid.IntRange(1, 130).Draw(t, "n"),
		}
	})
)

// TestFollowersModel: an upstream that cuts, repeats, passes over, reorders and lies at
// random, and at last behaves. The copy ends with its exact list, each once and
// in order.
func TestFollowersModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		attempts := rapid.SliceOfN(attempts, 0, 8).Draw(r, "attempts")
		numbered := rapid.Bool().Draw(r, "numbered")
		behind := rapid.IntRange(0, 6).Draw(r, "lists that fail or are behind")
		have := rapid.IntRange(0, 5).Draw(r, "in the copy before")
		seed := rapid.Uint64().Draw(r, "seed")
		fault := ""
		// What is drawn is drawn: a bubble must not end by way of the model's panics.
		synctest.Test(t, func(t *testing.T) {
			fault = runModel(t, attempts, numbered, behind, have, seed)
		})
		if fault != "" {
			r.Fatal(fault)
		}
	})
}

func runModel(t *testing.T, attempts []attempt, numbered bool, behind, have int, seed uint64) string {
	x := newFollowing(t, FollowOptions{GiveUp: 24 * time.Hour})
	defer x.f.Close()
	x.copy.credentials = []string{"only"}
	if !numbered {
		x.sequence = func(int) int { return -1 }
	}
	x.add(have, "proceeding")
	for i := range have {
		c, err := located([]byte(x.log[i]))
		if err != nil {
			return err.Error()
		}
		c.Sequence, c.Located.Sequence = uint64(i)+1, uint64(i)+1
		x.copy.log = append(x.copy.log, c)
	}
	x.add(3, "proceeding")
	random := rand.New(rand.NewPCG(seed, 0))
	x.list = func(request, skip, take int) *Answer {
		if request > behind {
			return nil
		}
		switch random.IntN(3) {
		case 0:
			return &Answer{Status: http.StatusInternalServerError}
		case 1:
			return &Answer{Status: http.StatusOK, Body: fmt.Appendf(nil, `{"data":{"checkpoints":[]},"meta":{"total":%d}}`, skip)}
		}
		return &Answer{} // too large
	}
	x.open = func(n int, lastID string) reply {
		if n > len(attempts) {
			if n == len(attempts)+1 {
				x.add(1, "completed")
			}
			return x.honest(n, lastID)
		}
		return x.misbehave(attempts[n-1], lastID)
	}
	// Each false end is an end for the subscribers; others come.
	for range len(attempts) + 1 {
		x.f.Want(followedJob)
		time.Sleep(time.Hour)
		synctest.Wait()
		x.mu.Lock()
		done := len(x.attempts) > len(attempts)
		x.mu.Unlock()
		if done {
			break
		}
	}

	x.copy.mu.Lock()
	defer x.copy.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	var got []string
	for _, c := range x.copy.log {
		got = append(got, string(c.JSON))
	}
	if !slices.Equal(got, x.log) {
		return fmt.Sprintf("the copy has %d checkpoints of %d:\n%q\n%q", len(got), len(x.log), got, x.log)
	}
	said := x.copy.said
	want := fmt.Sprintf("complete completed after %d", len(x.log))
	if len(said) == 0 || said[len(said)-1] != want || slices.Contains(said, "diverged") || slices.Contains(said, "give up") {
		return fmt.Sprintf("the sink was told %q", said)
	}
	return ""
}

// misbehave answers as an attempt says.
func (x *following) misbehave(a attempt, lastID string) reply {
	switch {
	case a.status < 0:
		return reply{err: ErrBroken}
	case a.status > 0:
		return reply{status: a.status}
	}
	at := 0 // the place of the last that was sent
	if a.honour {
		at = after(lastID)
	}
	return reply{body: func(w *writer) {
		for _, act := range a.acts {
			n := x.length()
			upTo := min(at+act.n, n)
			switch act.kind {
			case "send":
				w.send(x.frames(at+1, upTo))
				at = upTo
			case "add":
				x.add(min(act.n, 5), "proceeding")
			case "skip":
				// Where no number shows what was passed over, it is in the list only as
				// long as nothing follows on this stream.
				if x.sequence == nil {
					at = upTo
				}
			case "repeat":
				w.send(x.frames(max(1, at-act.n), at))
			case "swap":
				if x.sequence == nil && at+2 <= n {
					w.send(x.frames(at+2, at+2) + x.frames(at+1, at+1))
					at += 2
				}
			case "cut short":
				if at < n {
					text := x.frames(at+1, at+1)
					w.send(text[:min(act.n, len(text)-1)])
					return
				}
			case "wait":
				w.wait(time.Duration(act.n) * 100 * time.Millisecond)
			case "comment":
				w.send(": c\n\n")
			case "garbage":
				w.send("\xff\x00 x\n\nretry: x\nid: \x00\n\ndata:\n\n")
			case "no checkpoint":
				w.send(frameOf("nonsense", `{"sequence":1}`))
			case "false complete":
				w.send(completed("", "completed"))
			case "stall":
				w.hold()
				return
			}
		}
	}}
}
