package upstream

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestCompleteIsHeldAgainstTheList(t *testing.T) {
	last := completeID + idOf(3)
	tests := []struct {
		name string
		// streamed of 3 checkpoints, before the complete event.
		streamed int
		complete string
		status   string // of the third
		said     []string
		pages    []string
	}{
		{"it names the last one", 3, completed(last, "failed"), "proceeding", []string{"complete failed after 3"}, nil},
		{"it names none", 3, completed("x", "failed"), "proceeding", []string{"complete failed after 3"}, []string{"3+100"}},
		{"it has no id", 3, completed("", "failed"), "proceeding", []string{"complete failed after 3"}, []string{"3+100"}},
		{"the end was passed over", 2, completed(last, "completed"), "completed", []string{"complete completed after 3"}, []string{"2+100"}},
		{"all was passed over", 0, completed("", "completed"), "completed", []string{"complete completed after 3"}, []string{"0+100"}},
		{"it has no status", 3, completed(last, ""), "stoppedByError", []string{"complete failed after 3"}, nil},
		{"it is malformed", 3, "id: " + last + "\nevent: complete\ndata: {\n\n", "completed", []string{"complete completed after 3"}, nil},
		{"it has no data", 3, "id: " + last + "\nevent: complete\ndata\n\n", "completed", []string{"complete completed after 3"}, nil},
		// The list has gone on, so what the stream says is of before.
		{"the job has gone on", 2, completed(completeID+idOf(1), "completed"), "proceeding",
			[]string{"live", "complete completed after 3"}, []string{"2+100", "3+100"}},
		{"it is of another job", 3, strings.ReplaceAll(completed(last, "completed"), followedJob, "other"), "proceeding", nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.add(2, "proceeding")
				x.add(1, test.status)
				x.open = func(attempt int, lastID string) reply {
					return reply{body: func(w *writer) {
						if attempt == 1 {
							w.send(x.frames(1, test.streamed))
						}
						w.send(test.complete)
						w.hold()
					}}
				}
				x.f.Want(followedJob)
				time.Sleep(900 * time.Millisecond)
				x.has(t, 3, test.said...)
				x.asked(t, test.pages...)
			})
		})
	}
}

func TestCompleteInAReconnect(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(4, "completed")
		x.open = func(attempt int, lastID string) reply {
			if attempt == 1 {
				return reply{body: func(w *writer) { w.send(x.frames(1, 2) + x.frames(4, 4)[:20]) }}
			}
			return reply{body: func(w *writer) { w.send(completed(completeID+idOf(4), "completed")) }}
		}
		x.f.Want(followedJob)
		time.Sleep(time.Second)
		x.has(t, 4, "live", "complete completed after 4")
		x.opened(t, 2)
	})
}

// TestNothingMoreToSend: 204 ends a job.
func TestNothingMoreToSend(t *testing.T) {
	nothing := func(int, string) reply { return reply{status: http.StatusNoContent} }
	t.Run("the status is what complete said before", func(t *testing.T) {
		inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
			x.add(2, "completed")
			x.open = func(attempt int, lastID string) reply {
				if attempt == 2 {
					return nothing(attempt, lastID)
				}
				return reply{body: func(w *writer) { w.send(x.frames(1, 2) + completed("", "exceededMaxSteps")) }}
			}
			x.f.sink = &wantingSink{copySink: x.copy, followers: x.f, wants: 1}
			x.f.Want(followedJob)
			x.has(t, 2, "complete exceededMaxSteps after 2", "complete exceededMaxSteps after 2")
			x.opened(t, 2)
		})
	})
	t.Run("a newcomer is told by the upstream", func(t *testing.T) {
		inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
			x.add(2, "completed")
			x.open = x.honest
			x.f.Want(followedJob)
			x.has(t, 2, "complete completed after 2")
			x.open = nothing
			x.f.Want(followedJob)
			x.has(t, 2, "complete completed after 2", "complete completed after 2")
			x.asked(t, "2+100", "1+1")
			x.left(t, 0)
			x.add(1, "proceeding")
			x.add(1, "stoppedByError")
			x.f.Want(followedJob)
			x.has(t, 4, "complete completed after 2", "complete completed after 2", "complete failed after 4")
		})
	})
	t.Run("a job without checkpoints has not ended", func(t *testing.T) {
		inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
			x.open = nothing
			x.f.Want(followedJob)
			time.Sleep(time.Hour)
			x.has(t, 0, "give up")
		})
	})
	t.Run("nor has it when a complete event says so", func(t *testing.T) {
		inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
			x.open = func(int, string) reply {
				return reply{body: func(w *writer) { w.send(completed("", "completed")) }}
			}
			x.f.Want(followedJob)
			time.Sleep(time.Hour)
			x.left(t, 0)
			if !x.copy.gaveUp() {
				t.Errorf("the sink was told %q", x.copy.said)
			}
		})
	})
	t.Run("the list does not have what the copy has", func(t *testing.T) {
		inFollowing(t, FollowOptions{GiveUp: time.Minute}, func(t *testing.T, x *following) {
			x.add(2, "completed")
			x.open = x.honest
			x.f.Want(followedJob)
			x.has(t, 2, "complete completed after 2")
			x.open = nothing
			x.list = func(int, int, int) *Answer {
				return &Answer{Status: 200, Body: []byte(`{"data":{"checkpoints":[]}}`)}
			}
			x.f.Want(followedJob)
			time.Sleep(time.Hour)
			x.has(t, 2, "complete completed after 2", "give up")
		})
	})
}

// TestNewcomerDuringTheEnd: who comes while the sink is told of the end gets an
// answer of the upstream's own.
func TestNewcomerDuringTheEnd(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(2, "completed")
		x.open = x.honest
		sink := &wantingSink{copySink: x.copy, followers: x.f, wants: 1}
		x.f.sink = sink
		x.f.Want(followedJob)
		x.has(t, 2, "complete completed after 2", "complete completed after 2")
		x.opened(t, 2)
		x.left(t, 0)
	})
}

// wantingSink wants the job again while it is told of its end.
type wantingSink struct {
	*copySink
	followers *Followers
	wants     int
}

func (s *wantingSink) again(job string) {
	if s.wants--; s.wants >= 0 {
		s.followers.Want(job)
	}
}

func (s *wantingSink) Complete(job, status string) {
	s.copySink.Complete(job, status)
	s.again(job)
}

func (s *wantingSink) GiveUp(job string) {
	s.copySink.GiveUp(job)
	s.again(job)
}
