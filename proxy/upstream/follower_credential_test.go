package upstream

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// used are the credentials of the attempts.
func (x *following) used() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	var used []string
	for _, h := range x.requests {
		used = append(used, h.Get("Authorization"))
	}
	return used
}

func TestAnotherCredentialTakesOver(t *testing.T) {
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound} {
		inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
			x.add(3, "proceeding")
			x.copy.credentials = []string{"first", "second", "third"}
			x.open = func(attempt int, lastID string) reply {
				switch attempt {
				case 1:
					return reply{body: func(w *writer) { w.send(x.frames(1, 2)) }}
				case 2, 3:
					return reply{status: status}
				}
				return x.honest(attempt, lastID)
			}
			x.f.Want(followedJob)
			time.Sleep(firstBackoff)
			x.has(t, 3, "refused first", "refused second", "live", "complete completed after 3")
			if used := x.used(); !slices.Equal(used, []string{"first", "first", "second", "third"}) {
				t.Errorf("%d: %q were used", status, used)
			}
			for i := 2; i < 4; i++ {
				between(t, "pause", x.attempts[i].Sub(x.attempts[i-1]), 0, 0)
			}
			if x.requests[3].Get("Last-Event-ID") != idOf(2) {
				t.Errorf("resumed with %v", x.requests[3])
			}
		})
	}
}

func TestListThatRefuses(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		x.copy.credentials = []string{"first", "second"}
		x.list = func(request, _, _ int) *Answer {
			if request == 1 {
				return &Answer{Status: http.StatusNotFound}
			}
			return nil
		}
		x.open = func(_ int, lastID string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(after(lastID)+1, 1) + x.frames(3, 3))
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 3, "refused first", "live")
	})
}

// TestListOfAJobWithoutCheckpoints: the stream of a job that is not there yet may
// be open, while its list is 404.
func TestListOfAJobWithoutCheckpoints(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.list = func(int, int, int) *Answer { return &Answer{Status: http.StatusNotFound} }
		x.open = func(int, string) reply { return reply{body: func(w *writer) { w.hold() }} }
		x.f.Want(followedJob)
		time.Sleep(10 * time.Second)
		x.has(t, 0)
		x.asked(t, "0+100")
		x.opened(t, 1)
	})
}

// TestDeletedJob: nobody has a credential any more, so the upstream is left
// alone until somebody comes.
func TestDeletedJob(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.copy.credentials = []string{"first", "second"}
		x.open = func(int, string) reply { return reply{status: http.StatusNotFound} }
		x.f.Want(followedJob)
		time.Sleep(9 * time.Minute)
		x.has(t, 0, "refused first", "refused second")
		x.opened(t, 2)
		x.left(t, 1)
		// A newcomer's credential is used at once.
		x.copy.mu.Lock()
		x.copy.credentials = []string{"new"}
		x.copy.mu.Unlock()
		x.open = func(int, string) reply { return reply{body: func(w *writer) { w.hold() }} }
		x.f.Want(followedJob)
		x.has(t, 0, "refused first", "refused second", "live")
		x.opened(t, 3)
	})
}

func TestNobodyHasACredential(t *testing.T) {
	inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
		x.copy.credentials = nil
		x.f.Want(followedJob)
		time.Sleep(time.Minute)
		x.has(t, 0, "give up")
		x.opened(t, 0)
		x.left(t, 0)
	})
}

func TestNoAuthorizationIsACredential(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.copy.credentials = []string{""}
		x.open = func(int, string) reply { return reply{body: func(w *writer) { w.hold() }} }
		x.f.Want(followedJob)
		synctest.Wait()
		x.opened(t, 1)
		if _, sent := x.requests[0]["Authorization"]; sent {
			t.Errorf("sent %v", x.requests[0])
		}
	})
}

// TestRefusalsInARowAreNoStorm: one credential that stays, or very many.
func TestRefusalsInARowAreNoStorm(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = string(rune('A' + i))
	}
	for name, credentials := range map[string][]string{"one's own": {"only"}, "many": many} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.copy.credentials = credentials
				x.open = func(int, string) reply { return reply{status: http.StatusUnauthorized} }
				x.f.Want(followedJob)
				time.Sleep(time.Minute)
				if n := len(x.used()); n < 10 || n > 60 {
					t.Errorf("%d attempts in a minute", n)
				}
			})
		})
	}
}
