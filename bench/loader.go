package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// loaderConnections post at once while a store is filled.
const loaderConnections = 64

// loader fills a server with checkpoints as fast as it takes them.
type loader struct {
	addr, key string
	// size of each body in bytes.
	size int
	// total checkpoints are posted, perJob to each job in turn.
	total, perJob int
	progress      func(done int)
}

// load posts the checkpoints to jobs, and checks that each job's sequences are
// those of its checkpoints, each once.
func (l loader) load(ctx context.Context, jobs []string) error {
	if len(jobs)*l.perJob < l.total {
		return fmt.Errorf("%d jobs of %d hold no %d checkpoints", len(jobs), l.perJob, l.total)
	}
	seen := make([]atomic.Bool, l.total)
	var next atomic.Int64
	var wg sync.WaitGroup
	failures := make([]error, loaderConnections)
	for c := range loaderConnections {
		wg.Go(func() { failures[c] = l.fill(ctx, jobs, uint32(c+1), &next, seen) })
	}
	wg.Wait()
	return errors.Join(failures...)
}

// fill is the work of one connection.
func (l loader) fill(ctx context.Context, jobs []string, writer uint32, next *atomic.Int64, seen []atomic.Bool) error {
	t, err := newTemplate(l.size, writer)
	if err != nil {
		return err
	}
	conn, err := dialRaw(l.addr)
	if err != nil {
		return err
	}
	defer conn.close()
	var request []byte
	for ctx.Err() == nil {
		i := int(next.Add(1)) - 1
		if i >= l.total {
			return nil
		}
		job := i / l.perJob
		request = append(append(request[:0], postHead(l.addr, l.key, jobs[job], l.size)...), t.next().body...)
		body, err := conn.ask(request)
		if err != nil {
			return fmt.Errorf("cannot post: %w", err)
		}
		sequence, err := numberAfter(body, `"sequence":`)
		if err != nil {
			return err
		}
		place := job*l.perJob + int(sequence) - 1
		if sequence < 1 || sequence > int64(l.perJob) || place >= l.total || seen[place].Swap(true) {
			return fmt.Errorf("job %s: sequence %d is wrong or was given before", jobs[job], sequence)
		}
		if l.progress != nil && (i+1)%100_000 == 0 {
			l.progress(i + 1)
		}
	}
	return context.Cause(ctx)
}
