package upstream

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestFollowsAJobToItsEnd(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		goOn := make(chan struct{})
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send(": hello\n\n" + x.frames(1, 3))
				<-goOn
				x.add(1, "completed")
				w.send(x.frames(4, 4))
				w.send(completed(completeID+idOf(4), "completed"))
			}}
		}
		x.f.Want(followedJob)
		x.f.Want(followedJob)
		time.Sleep(10 * time.Second)
		x.has(t, 3)
		x.left(t, 1)
		if n := x.counted(t, "milepost_upstream_streams"); n != 1 {
			t.Errorf("%v streams are counted", n)
		}
		h := x.requests[0]
		if h.Get("Authorization") != "first" || h.Get("Accept") != "text/event-stream" || len(h["Last-Event-Id"]) != 0 {
			t.Errorf("the stream was asked for with %v", h)
		}
		close(goOn)
		x.has(t, 4, "complete completed after 4")
		x.left(t, 0)
		x.opened(t, 1)
		x.asked(t)
		if n := x.counted(t, "milepost_upstream_streams"); n != 0 {
			t.Errorf("%v streams are counted after the end", n)
		}
	})
}

func TestResumesAfterACut(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(5, "proceeding")
		x.open = func(attempt int, lastID string) reply {
			if attempt == 1 {
				// The fourth breaks off.
				return reply{body: func(w *writer) { w.send(x.frames(1, 3) + strings.TrimSuffix(x.frames(4, 4), "\n")) }}
			}
			return x.honest(attempt, lastID)
		}
		x.f.Want(followedJob)
		time.Sleep(time.Second)
		x.has(t, 5, "live", "complete completed after 5")
		x.opened(t, 2)
		x.asked(t)
		if id := x.requests[1].Get("Last-Event-ID"); id != idOf(3) {
			t.Errorf("the stream was resumed after %q", id)
		}
		if n := x.counted(t, "milepost_upstream_reconnects_total"); n != 1 {
			t.Errorf("%v reconnects are counted", n)
		}
	})
}

// TestUpstreamThatDoesNotKnowIDs replays from the start.
func TestUpstreamThatDoesNotKnowIDs(t *testing.T) {
	for name, sequence := range map[string]func(int) int{"numbered": nil, "not numbered": func(int) int { return -1 }} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.sequence = sequence
				x.add(6, "proceeding")
				x.open = func(attempt int, _ string) reply {
					if attempt < 4 {
						return reply{body: func(w *writer) { w.send(x.frames(1, 2*attempt)) }}
					}
					return x.honest(attempt, "")
				}
				x.f.Want(followedJob)
				time.Sleep(5 * time.Second)
				x.has(t, 6, "live", "live", "live", "complete completed after 6")
			})
		})
	}
}

func TestCheckpointsOutOfOrder(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(5, "proceeding")
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(2, 2) + x.frames(1, 1) + x.frames(5, 5) + x.frames(3, 4) + x.frames(3, 5))
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 5)
		x.opened(t, 1)
	})
}

func TestMessageThatIsNoCheckpointIsPassedOver(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(1, 1) + frameOf(idOf(2), `{"id":`) + frameOf(idOf(2), `"x"`) + "event: ping\ndata: x\n\n" + x.frames(3, 3))
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 3)
		x.asked(t, "1+100")
	})
}

// TestStreamInAnyForm: line ends and cuts are no matter.
func TestStreamInAnyForm(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r"} {
		t.Run(strconv.Quote(end), func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.add(4, "proceeding")
				x.open = func(int, string) reply {
					return reply{body: func(w *writer) {
						text := "\uFEFF" + x.frames(1, 4) + completed(completeID+idOf(4), "failed")
						for _, c := range []byte(strings.ReplaceAll(text, "\n", end)) {
							w.send(string([]byte{c}))
						}
					}}
				}
				x.f.Want(followedJob)
				x.has(t, 4, "complete failed after 4")
			})
		})
	}
}

func TestCheckpointOnSeveralLinesBecomesOne(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(1, "proceeding")
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send("data: " + strings.ReplaceAll(x.log[0], ",", " ,\ndata:   ") + "\n\n")
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 1)
	})
}

func TestHugeEvent(t *testing.T) {
	const size = 20 << 20
	inFollowing(t, FollowOptions{MaxEvent: size + 1000}, func(t *testing.T, x *following) {
		x.log = append(x.log, strings.Replace(checkpointOf(1, 1, "proceeding"), "[]", `["`+strings.Repeat("x", size)+`"]`, 1))
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(1, 1)); w.hold() }}
		}
		x.f.Want(followedJob)
		x.has(t, 1)
	})
}

func TestEventBeyondTheBound(t *testing.T) {
	inFollowing(t, FollowOptions{MaxEvent: 500}, func(t *testing.T, x *following) {
		x.add(2, "proceeding")
		x.log[1] = strings.Replace(x.log[1], "[]", `["`+strings.Repeat("x", 500)+`"]`, 1)
		x.open = func(_ int, lastID string) reply {
			return reply{body: func(w *writer) { w.send(x.frames(after(lastID)+1, 2)); w.hold() }}
		}
		x.f.Want(followedJob)
		time.Sleep(time.Hour)
		x.left(t, 0)
		if !x.copy.gaveUp() {
			t.Errorf("the sink was told %q", x.copy.said)
		}
		x.copy.forget()
		x.has(t, 1)
	})
}

func TestJobMadeAnewUpstream(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		x.open = func(attempt int, lastID string) reply {
			if attempt == 1 {
				return reply{body: func(w *writer) { w.send(x.frames(1, 3)) }}
			}
			if attempt == 2 {
				// The job has two others now.
				x.mu.Lock()
				x.log = []string{checkpointOf(11, 1, "proceeding"), checkpointOf(12, 2, "proceeding")}
				x.mu.Unlock()
			}
			return reply{body: func(w *writer) {
				for _, c := range x.log {
					w.send(frameOf("", c))
				}
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		time.Sleep(time.Second)
		x.has(t, 2, "live", "diverged", "live")
	})
}

// TestSinkThatFailed: the copy is asked again how far it is.
func TestSinkThatFailed(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(3, "proceeding")
		x.copy.putError = errors.New("no room")
		x.open = x.honest
		x.f.Want(followedJob)
		time.Sleep(time.Second)
		x.has(t, 3, "live", "complete completed after 3")
		if ids := x.requests[1]["Last-Event-Id"]; len(ids) != 0 {
			t.Errorf("resumed after %q, which the copy does not have", ids)
		}
	})
}

// TestWriteThatWasPassedOnIsNoHole: it was put into the copy by another way.
func TestWriteThatWasPassedOnIsNoHole(t *testing.T) {
	inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
		x.add(4, "proceeding")
		goOn := make(chan struct{})
		x.open = func(int, string) reply {
			return reply{body: func(w *writer) {
				w.send(x.frames(1, 1))
				<-goOn
				w.send(x.frames(3, 4) + x.frames(2, 2))
				w.hold()
			}}
		}
		x.f.Want(followedJob)
		x.has(t, 1)
		c, err := located([]byte(x.log[1]))
		if err != nil {
			t.Fatal(err)
		}
		c.Sequence = 2
		if err := x.copy.Put(followedJob, c); err != nil {
			t.Fatal(err)
		}
		close(goOn)
		x.has(t, 4)
		x.asked(t)
	})
}

func TestAnswerThatIsNoStream(t *testing.T) {
	for name, first := range map[string]reply{
		"500":            {status: 500},
		"a redirect":     {status: 302},
		"429":            {status: 429, header: http.Header{"Retry-After": {"nonsense"}}},
		"HTML":           {header: http.Header{"Content-Type": {"text/html"}}},
		"no type":        {header: http.Header{}},
		"an error":       {err: ErrRefused},
		"an empty body":  {},
		"an error event": {body: func(w *writer) { w.send(`event: error` + "\n" + `data: {"type":"shutting_down"}` + "\n\n"); w.hold() }},
		"a bad error":    {body: func(w *writer) { w.send("event: error\ndata: {\n\n"); w.hold() }},
	} {
		t.Run(name, func(t *testing.T) {
			inFollowing(t, FollowOptions{}, func(t *testing.T, x *following) {
				x.add(2, "proceeding")
				x.open = func(attempt int, lastID string) reply {
					if attempt == 1 {
						return first
					}
					return x.honest(attempt, lastID)
				}
				x.f.Want(followedJob)
				time.Sleep(time.Second)
				x.has(t, 2, "live", "complete completed after 2")
				x.opened(t, 2)
			})
		})
	}
}
