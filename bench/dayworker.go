package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

// dayWorker makes requests one after another.
type dayWorker struct {
	day       *dayLoad
	publisher *publisher
	jobs      []int
	// ids are the checkpoints of each job in order; the first has the sequence
	// firstEvent-1.
	ids      map[int][]string
	rng      *rand.Rand
	requests [dayKinds]dayCount
}

// maxDayErrors ends a worker: a server that refuses everything is not hammered.
const maxDayErrors = 10

// work makes requests until the given time. With a rate, each has its time,
// from which its latency counts, whether or not the one before was answered.
func (w *dayWorker) work(ctx context.Context, begin, from, until time.Time, workers int) {
	interval := time.Duration(0)
	due := begin
	if w.day.Rate > 0 {
		interval = time.Duration(float64(time.Second) * float64(workers) / w.day.Rate)
		due = begin.Add(time.Duration(w.rng.Int64N(int64(interval) + 1)))
	}
	for failed := int64(0); due.Before(until) && failed < maxDayErrors; {
		if interval > 0 && pause(ctx, time.Until(due)) != nil {
			return
		}
		if ctx.Err() != nil {
			return
		}
		kind := w.day.shares.pick(w.rng)
		err := w.request(kind, w.jobs[w.rng.IntN(len(w.jobs))], due)
		w.requests[kind].add(time.Since(due), err, !due.Before(from))
		if err != nil {
			failed++
			if kind == dayWrite || errors.Is(err, os.ErrDeadlineExceeded) {
				// What its jobs hold is not known any more; and what hangs once is not
				// waited for again.
				return
			}
		}
		if interval > 0 {
			due = due.Add(interval)
		} else {
			due = time.Now()
		}
	}
}

// request makes one request on a job and checks its answer.
func (w *dayWorker) request(kind dayKind, job int, due time.Time) error {
	d := w.day
	ids, last := w.ids[job], int64(d.last[job])
	switch kind {
	case dayWrite:
		// An event that was sent may arrive, whatever the answer says.
		d.last[job]++
		m := marker{job: uint32(job), sequence: d.last[job], sent: due.Sub(d.swarm.origin)}
		id, err := w.publisher.publish(d.topics[job], m, d.payload)
		w.ids[job] = append(ids, id)
		return err
	case dayGet:
		n := w.rng.IntN(len(ids))
		body, err := w.publisher.conn.ask(getRequest(d.system.addr, d.key, collectionPath(d.topics[job])+ids[n]))
		if err != nil {
			return err
		}
		if sequence, err := numberAfter(body, `"sequence":`); err != nil || sequence != int64(n+firstEvent-1) || !bytes.Contains(body, []byte(ids[n])) {
			return fmt.Errorf("GET of sequence %d gives %d (%v)", n+firstEvent-1, sequence, err)
		}
		return nil
	case dayList:
		body, err := w.publisher.conn.ask(getRequest(d.system.addr, d.key, collectionPath(d.topics[job])+"?take=10&skip=0&order=desc"))
		if err != nil {
			return err
		}
		first, err := numberAfter(body, `"sequence":`)
		total, totalErr := numberAfter(body, `"total":`)
		if err = errors.Join(err, totalErr); err != nil || first != last || total != last {
			return fmt.Errorf("a list begins with %d of %d, not with %d (%v)", first, total, last, err)
		}
		return nil
	default:
		// A dashboard that opens the job and has seen all but the last few.
		n := max(0, len(ids)-1-w.rng.IntN(10))
		return d.catchUp(job, ids[n], uint32(n+firstEvent), uint32(last))
	}
}

// catchUp opens a stream from after the checkpoint with the id after on and
// reads the events from next to last; none if there are none.
func (d *dayLoad) catchUp(job int, after string, next, last uint32) error {
	c, err := dialRaw(d.system.addr)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.conn.SetDeadline(time.Now().Add(progressTimeout)); err != nil {
		return err
	}
	if _, err := c.conn.Write(d.system.subscribe(d.topics[job], after)); err != nil {
		return err
	}
	stream := sseStream{verify: true}
	var wrong error
	got := func(m marker) {
		if wrong == nil && (m.sequence != next || m.job != uint32(job)) {
			wrong = fmt.Errorf("a stream has event %d of job %d in place of %d of %d", m.sequence, m.job, next, job)
		}
		next++
	}
	for !stream.begun || next <= last {
		n, err := c.conn.Read(c.buf)
		if err != nil {
			return fmt.Errorf("a stream broke: %w", err)
		}
		if err := stream.feed(c.buf[:n], got); err != nil {
			return err
		}
		if wrong != nil {
			return wrong
		}
		if stream.ended {
			return errEnded
		}
	}
	return nil
}
