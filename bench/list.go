package main

import (
	"context"
	"fmt"
	"io"
)

const (
	listTotal = 100_200
	listDeep  = 100_000
	// listConnections read at once: enough to keep the server busy, few enough
	// that the latency is that of a page.
	listConnections = 4
)

// runList is `bench list`.
func runList(ctx context.Context, args []string, out, progress io.Writer) error {
	s := newScenario(ctx, "list", 9, progress)
	s.allowTarget()
	return s.runOn(args, out, measureLists)
}

// measureLists compares the first page of a long job with a deep one. The
// server is started anew in between: what it wrote last, the deep page, would
// still be in its memory.
func measureLists(s *scenario, server subject) error {
	total, deep := listTotal, listDeep
	if s.smoke {
		total, deep = 700, 500
	}
	job := newID(newRand(randomSeed(), 0))
	s.say("posting %d checkpoints to one job", total)
	l := loader{addr: server.addr, key: server.key, size: minTemplate(), perJob: total, total: total}
	if err := l.load(s.ctx, []string{job}); err != nil {
		return err
	}
	server, err := s.restartSubject(server)
	if err != nil {
		return err
	}
	for _, take := range []int{10, 100} {
		page := func(skip int) func() ([]*link, error) {
			return openers(listConnections, func() (*link, error) {
				path := fmt.Sprintf("%s?take=%d&skip=%d", collectionPath(job), take, skip)
				return newListTask(server.addr, server.key, path, skip+1, total)
			})
		}
		deepName := fmt.Sprintf("skip=%d", deep)
		all, err := s.interleave(fmt.Sprintf("list, take=%d, %d connections", take, listConnections), []system{
			driven("skip=0", server.pid, page(0)),
			driven(deepName, server.pid, page(deep)),
		})
		if err != nil {
			return err
		}
		s.report.compareAtMost(all, deepName, "skip=0", "p50", measurement.p50, 1.3)
		s.report.compareAtMost(all, deepName, "skip=0", "time for a page", measurement.secondsEach, 1.3)
	}
	return nil
}

// listTask reads one page again and again.
type listTask struct {
	request      []byte
	http         httpAnswer
	first, total int64
}

// newListTask connects to addr, to read the page at path, which must begin with
// the sequence first and name the total.
func newListTask(addr, key, path string, first, total int) (*link, error) {
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, err
	}
	return &link{conn: conn, exchange: &listTask{
		request: getRequest(addr, key, path), first: int64(first), total: int64(total),
	}}, nil
}

// next implements exchange.
func (t *listTask) next() []byte { return t.request }

// answer implements answerer.
func (t *listTask) answer(b []byte) (int, error) {
	used, err := t.http.answer(b)
	if used == 0 {
		return 0, err
	}
	return used, t.page()
}

// page checks the page.
func (t *listTask) page() error {
	if err := t.http.ok(); err != nil {
		return err
	}
	if n, err := numberAfter(t.http.body, `"sequence":`); err != nil || n != t.first {
		return fmt.Errorf("the page begins with sequence %d, not %d (%v)", n, t.first, err)
	}
	if n, err := numberAfter(t.http.body, `"total":`); err != nil || n != t.total {
		return fmt.Errorf("the total is %d, not %d (%v)", n, t.total, err)
	}
	return nil
}
