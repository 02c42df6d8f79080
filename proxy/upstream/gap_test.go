package upstream

import (
	"net/http"
	"testing"
	"time"
)

func TestHoleIsClosedFromTheListInPages(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(252, "proceeding")
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(1, 1) + x.frames(250, 252))
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 252)
		x.asked(t, "1+100", "101+100", "201+100")
		x.opened(t, 1)
		if h := x.requests[0]; h.Get("Authorization") != "first" {
			t.Errorf("the list was asked for with %v", h)
		}
	})
}

func TestPageThatIsTooLargeIsAskedForInParts(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(30, "proceeding")
		x.list = func(_, _, take int) *Answer {
			if take > 12 {
				return &Answer{}
			}
			return nil
		}
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(30, 30)); w.hold() }}
		}
		x.f.Want(followedJob)
		x.has(t, 30)
		x.asked(t, "0+100", "0+50", "0+25", "0+12", "12+12", "24+12")
	})
}

// TestListThatIsBehindTheStream: the hole cannot be closed yet, so the stream is
// opened again until it can.
func TestListThatIsBehindTheStream(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(4, "proceeding")
		x.list = func(request, skip, _ int) *Answer {
			if request <= 3 {
				return &Answer{Status: 200, Body: []byte(`{"data":{"checkpoints":[]},"meta":{"total":2}}`)}
			}
			return nil
		}
		x.open = func(attempt int, _ string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(1, 2) + x.frames(4, 4)); w.hold() }}
		}
		x.f.Want(followedJob)
		time.Sleep(10 * time.Second)
		x.has(t, 4, "live", "live", "live")
	})
}

// TestListThatLacksOneForAMoment is no list of numbers that are not dense.
func TestListThatLacksOneForAMoment(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(5, "proceeding")
		x.list = func(request, _, _ int) *Answer {
			if request == 1 {
				return &Answer{Status: 200, Body: []byte(`{"data":{"checkpoints":[` + x.log[2] + `,` + x.log[3] + `]},"meta":{"total":4}}`)}
			}
			return nil
		}
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(1, 1) + x.frames(5, 5)); w.hold() }}
		}
		x.f.Want(followedJob)
		time.Sleep(time.Second)
		x.has(t, 5, "live")
	})
}

// TestNumbersThatAreNotDense: the order counts.
func TestNumbersThatAreNotDense(t *testing.T) {
	for name, sequence := range map[string]func(int) int{
		"none": func(int) int { return -1 }, "from zero": func(n int) int { return n - 1 },
		"by tens": func(n int) int { return 10 * n }, "from a hundred": func(n int) int { return 99 + n },
		"all the same": func(int) int { return 1 },
	} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.sequence = sequence
				x.add(3, "proceeding")
				x.open = func(attempt int, _ string) reply {
					return reply{body: func(w *writer) {
						switch attempt % 3 {
						case 1:
							w.send(x.frames(1, 1))
						case 2: // passes over at least one
							x.add(2, "proceeding")
							n := x.length()
							w.send(x.frames(n, n))
						default: // repeats all
							n := x.length()
							w.send(x.frames(1, n))
							x.add(2, "proceeding")
							w.send(x.frames(n+1, n+2) + completed("", "completed"))
						}
					}}
				}
				x.f.Want(followedJob)
				time.Sleep(20 * time.Second)
				x.left(t, 0)
				x.copy.forget()
				x.has(t, x.length())
				if n := x.length(); n < 7 {
					t.Errorf("the test ended with %d checkpoints", n)
				}
			})
		})
	}
}

// TestUpstreamThatDoesNotReplay sends what is new only; the rest is in the list.
func TestUpstreamThatDoesNotReplay(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) { w.send(":\n\n"); w.hold() }}
		}
		x.f.Want(followedJob)
		time.Sleep(replayWait - 1)
		x.has(t, 0)
		time.Sleep(time.Nanosecond)
		x.has(t, 3)
		time.Sleep(30 * time.Second)
		x.asked(t, "0+100")
		x.opened(t, 1)
	})
}

func TestListThatIsNone(t *testing.T) {
	for name, bad := range map[string]*Answer{
		"an error":       {Status: 503, Header: http.Header{"Retry-After": {"1"}}},
		"no JSON":        {Status: 200, Body: []byte("<html>")},
		"no list":        {Status: 200, Body: []byte(`{"data":{}}`)},
		"no checkpoints": {Status: 200, Body: []byte(`{"data":{"checkpoints":[{"id":1}]}}`)},
		"too large":      {},
	} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.add(3, "proceeding")
				x.list = func(request, _, take int) *Answer {
					if request <= 2 || take == 1 && request < 20 {
						return bad
					}
					return nil
				}
				x.open = func(int, string) reply {
					return reply{body: func(w *writer) { w.send(x.frames(1, 1) + x.frames(3, 3)); w.hold() }}
				}
				x.f.Want(followedJob)
				time.Sleep(5 * time.Minute)
				x.copy.forget()
				x.has(t, 3)
			})
		})
	}
}

// TestPagesThatDoNotMoveOn: an upstream that ignores skip.
func TestPagesThatDoNotMoveOn(t *testing.T) {
	inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
		x.add(5, "proceeding")
		x.list = func(int, int, int) *Answer {
			return &Answer{Status: 200, Body: []byte(`{"data":{"checkpoints":[` + checkpointOf(1, 1, "init") + `]},"meta":{"total":1e3}}`)}
		}
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(1, 1) + x.frames(5, 5)); w.hold() }}
		}
		x.f.Want(followedJob)
		time.Sleep(time.Hour)
		x.left(t, 0)
		if n := len(x.pages); n == 0 || n > 200 {
			t.Errorf("the list was asked for %d times", n)
		}
	})
}
