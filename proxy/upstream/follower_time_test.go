package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// between fails unless a time is within bounds, both included.
func between(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v instead of %v to %v", what, got, low, high)
	}
}

func TestPausesDoubleUpToTheBound(t *testing.T) {
	inFollowing(t, FollowOptions{MaxBackoff: 5 * time.Second, GiveUp: time.Hour}, func(t *testing.T, x *following) {
		x.open = func(int, string) reply { return reply{err: ErrRefused} }
		x.f.Want(followedJob)
		time.Sleep(time.Hour - 1)
		x.has(t, 0)
		longest, times := time.Duration(0), x.times()
		for i := 1; i < len(times); i++ {
			pause := times[i].Sub(times[i-1])
			between(t, "pause", pause, 0, min(firstBackoff<<min(i-1, 10), 5*time.Second))
			longest = max(longest, pause)
		}
		between(t, "the longest", longest, 4*time.Second, 5*time.Second)
		time.Sleep(time.Nanosecond)
		x.has(t, 0, "give up")
		x.left(t, 0)
	})
}

// TestGivesUpOnTime, and begins anew when the job is wanted again.
func TestGivesUpOnTime(t *testing.T) {
	inFollowing(t, FollowOptions{GiveUp: 10 * time.Minute}, func(t *testing.T, x *following) {
		x.add(1, "proceeding")
		x.open = func(attempt int, lastID string) reply {
			if attempt == 1 {
				return reply{body: func(w *writer) { w.send(x.frames(1, 1)); w.wait(30 * time.Second) }}
			}
			return reply{err: ErrRefused}
		}
		x.f.Want(followedJob)
		time.Sleep(10*time.Minute + 30*time.Second - 1)
		x.has(t, 1)
		time.Sleep(time.Nanosecond)
		x.has(t, 1, "give up")
		x.left(t, 0)
		x.open = x.honest
		x.f.Want(followedJob)
		x.has(t, 1, "give up", "complete completed after 1")
	})
}

func TestNewcomerWhileItIsGivenUp(t *testing.T) {
	inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
		x.open = func(int, string) reply { return reply{err: ErrRefused} }
		x.f.sink = &wantingSink{copySink: x.copy, followers: x.f, wants: 1}
		x.f.Want(followedJob)
		time.Sleep(2*time.Minute - 1)
		x.has(t, 0, "give up")
		time.Sleep(time.Nanosecond)
		x.has(t, 0, "give up", "give up")
		x.left(t, 0)
	})
}

// TestStreamThatComesAndGoes: one that lasts, or brings something, begins the
// count anew; others do not.
func TestStreamThatComesAndGoes(t *testing.T) {
	tests := map[string]struct {
		body    func(x *following, attempt int) func(w *writer)
		givesUp bool
	}{
		"lasting": {func(*following, int) func(*writer) {
			return func(w *writer) { w.send(":\n"); w.wait(5 * time.Second) }
		}, false},
		"bringing checkpoints": {func(x *following, attempt int) func(*writer) {
			return func(w *writer) { x.add(1, "proceeding"); w.send(x.frames(attempt, attempt)) }
		}, false},
		"short": {func(*following, int) func(*writer) {
			return func(w *writer) { w.send(":\n"); w.wait(900 * time.Millisecond) }
		}, true},
		"repeating": {func(x *following, _ int) func(*writer) {
			return func(w *writer) { w.send(x.frames(1, 1)) }
		}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
				if name == "repeating" {
					x.add(1, "proceeding")
				}
				x.open = func(attempt int, _ string) reply { return reply{body: test.body(x, attempt)} }
				x.f.Want(followedJob)
				time.Sleep(5 * time.Minute)
				want := 1
				if test.givesUp {
					want = 0
				}
				x.left(t, want)
			})
		})
	}
}

func TestQuietStreamIsCut(t *testing.T) {
	inFollowing(t, FollowOptions{Idle: 45 * time.Second}, func(t *testing.T, x *following) {
		x.add(1, "proceeding")
		x.open = func(attempt int, lastID string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(after(lastID)+1, 1))
				for range 3 {
					if w.wait(44 * time.Second) {
						w.send(":\n")
					}
				}
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		time.Sleep((3*44+45)*time.Second - 1)
		x.has(t, 1)
		x.opened(t, 1)
		time.Sleep(1 + firstBackoff)
		x.has(t, 1, "live")
		x.opened(t, 2)
	})
}

// TestSlowSinkIsNoQuietStream: nobody read, so nothing can have come.
func TestSlowSinkIsNoQuietStream(t *testing.T) {
	inFollowing(t, FollowOptions{Idle: 45 * time.Second}, func(t *testing.T, x *following) {
		x.add(5, "proceeding")
		x.copy.putTakes = time.Hour
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				for n := range 5 {
					w.send(x.frames(n+1, n+1))
				}
				w.beat()
			}}
		}
		x.f.Want(followedJob)
		time.Sleep(6 * time.Hour)
		x.has(t, 5)
		x.opened(t, 1)
	})
}

func TestHonoursWhatTheUpstreamAsksFor(t *testing.T) {
	for name, first := range map[string]reply{
		"retry": {body: func(w *writer) { w.send("retry: 2000\n\n") }},
		"retry before an error": {body: func(w *writer) {
			w.send("retry: 2000\n\nevent: error\ndata: {}\n\n")
		}},
		"Retry-After": {status: 503, header: http.Header{"Retry-After": {"2"}}},
	} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.open = func(attempt int, _ string) reply {
					if attempt == 1 {
						return first
					}
					return reply{body: func(w *writer) { w.hold() }}
				}
				x.f.Want(followedJob)
				time.Sleep(10 * time.Second)
				x.opened(t, 2)
				times := x.times()
				between(t, "pause", times[1].Sub(times[0]), 2*time.Second, 2500*time.Millisecond)
			})
		})
	}
}

func TestLinger(t *testing.T) {
	live := func(x *following) {
		x.add(1, "proceeding")
		x.open = func(_ int, lastID string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(after(lastID)+1, 1))
				w.beat()
			}}
		}
	}
	for _, linger := range []time.Duration{0, 30 * time.Second} {
		t.Run(fmt.Sprint(linger), func(t *testing.T) {
			inFollowing(t, FollowOptions{Linger: linger}, func(t *testing.T, x *following) {
				live(x)
				x.f.Want(followedJob)
				time.Sleep(time.Minute)
				x.f.Leave(followedJob)
				x.f.Leave(followedJob)
				if linger > 0 {
					time.Sleep(linger - 1)
					x.left(t, 1)
					time.Sleep(time.Nanosecond)
				}
				x.left(t, 0)
				x.has(t, 1)
				x.opened(t, 1)
			})
		})
	}
	t.Run("wanted again in time", func(t *testing.T) {
		inFollowing(t, FollowOptions{Linger: 30 * time.Second}, func(t *testing.T, x *following) {
			live(x)
			x.f.Want(followedJob)
			for range 3 {
				x.f.Leave(followedJob)
				time.Sleep(29 * time.Second)
				x.f.Want(followedJob)
			}
			time.Sleep(time.Hour)
			x.left(t, 1)
			x.opened(t, 1)
		})
	})
	t.Run("wanted again while it closes", func(t *testing.T) {
		inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
			live(x)
			x.copy.putTakes = time.Second // during which it cannot close
			x.f.Want(followedJob)
			synctest.Wait()
			x.f.Leave(followedJob)
			synctest.Wait()
			x.f.Want(followedJob)
			time.Sleep(time.Hour)
			x.left(t, 1)
			x.has(t, 1)
			x.opened(t, 2)
		})
	})
	t.Run("of a job that nobody wanted", func(t *testing.T) {
		inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
			x.f.Leave(followedJob)
			x.left(t, 0)
		})
	})
}

// TestCloseWaitsForAll in whatever they do; the bubble does not end before.
func TestCloseWaitsForAll(t *testing.T) {
	for name, first := range map[string]reply{
		"reading":     {body: func(w *writer) { w.hold() }},
		"in a pause":  {err: errors.New("broken")},
		"in the sink": {body: func(w *writer) { w.send(frameOf(idOf(1), checkpointOf(1, 1, "init"))); w.hold() }},
		"at an event": {body: func(w *writer) {
			for n := range 3 {
				w.send(frameOf(idOf(n+1), checkpointOf(n+1, n+1, "init")))
			}
			w.hold()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.copy.putTakes = time.Second
				x.open = func(int, string) reply { return first }
				x.f.Want(followedJob)
				synctest.Wait()
				x.f.Close()
				if len(x.f.jobs) != 0 {
					t.Error("a follower is left")
				}
				x.f.Want(followedJob)
				x.left(t, 0)
				x.opened(t, 1)
			})
		})
	}
}
