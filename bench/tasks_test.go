package main

import (
	"context"
	"strings"
	"testing"
)

func TestTasksOverBothDrivers(t *testing.T) {
	const connections, each = 20, 30
	const job = "j00000000000000000000000"
	for _, c := range []struct {
		name string
		open func(s *stub, n int) (*link, error)
	}{
		{"posts", func(s *stub, n int) (*link, error) {
			return newWriteTask(s.Listener.Addr().String(), stubKey, newID(newRand(7, uint64(n))), 4<<10, uint32(n+1), true)
		}},
		{"recorded jobs", func(s *stub, n int) (*link, error) {
			return newMilepostJobs(subject{addr: s.Listener.Addr().String(), key: stubKey}, n, 7)
		}},
		{"lists", func(s *stub, n int) (*link, error) {
			return newListTask(s.Listener.Addr().String(), stubKey, collectionPath(job)+"?take=2&skip=1", 2, 3)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
				s := newStub(t)
				l := loader{addr: s.Listener.Addr().String(), key: stubKey, size: minTemplate(), perJob: 3, total: 3}
				if err := l.load(t.Context(), []string{job}); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				links, err := openers(connections, func() (*link, error) { return nil, nil })()
				if err != nil {
					t.Fatal(err)
				}
				allDone := after(connections, cancel)
				for n := range links {
					if links[n], err = c.open(s, n); err != nil {
						t.Fatal(err)
					}
					links[n].exchange = &observed{exchange: links[n].exchange, whole: after(each, allDone)}
				}
				o := runLinks(ctx, loops, links, hourLong())
				if o.errors != 0 || o.latency.total < connections*each {
					t.Errorf("%d answers, %d errors: %v", o.latency.total, o.errors, o.err)
				}
			})
		})
	}
}

func TestTasksFindWhatIsWrong(t *testing.T) {
	const job = "j00000000000000000000000"
	altered := func(change func(n int, created map[string]any)) *stub {
		s := newStub(t)
		s.altering(change)
		return s
	}
	skip := altered(func(n int, created map[string]any) {
		if n == 3 {
			created["sequence"] = 4
		}
	})
	changed := altered(func(n int, created map[string]any) { created["status"] = "completed" })
	for _, c := range []struct {
		name   string
		open   func() (*link, error)
		errors int64
		says   string
	}{
		{"a gap in the sequences", func() (*link, error) {
			return newWriteTask(skip.Listener.Addr().String(), stubKey, job, 4<<10, 1, true)
		}, 2, "sequence is 4, not 3"},
		{"another checkpoint", func() (*link, error) {
			return newWriteTask(changed.Listener.Addr().String(), stubKey, job, 4<<10, 1, true)
		}, maxTaskErrors, `status is "completed"`},
		{"another key", func() (*link, error) {
			return newWriteTask(changed.Listener.Addr().String(), "other", job, 4<<10, 1, true)
		}, maxTaskErrors, "status 401"},
		{"another page", func() (*link, error) {
			return newListTask(skip.Listener.Addr().String(), stubKey, collectionPath(job)+"?take=2", 7, 6)
		}, maxTaskErrors, "begins with sequence 1, not 7"},
		{"another total", func() (*link, error) {
			return newListTask(skip.Listener.Addr().String(), stubKey, collectionPath(job)+"?take=2", 1, 6000)
		}, maxTaskErrors, "the total is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x, err := c.open()
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			x.exchange = &observed{exchange: x.exchange, whole: after(50, cancel)}
			o := runLinks(ctx, linkLoops, []*link{x}, hourLong())
			if o.errors != c.errors || !strings.Contains(o.err.Error(), c.says) {
				t.Errorf("%d errors, not %d: %v", o.errors, c.errors, o.err)
			}
		})
	}
}
