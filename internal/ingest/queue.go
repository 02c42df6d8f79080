package ingest

import "sync"

// queue holds events between who reads them and who posts them, up to a number
// of bytes, so that a slow server does not hold up the runtime at once.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	events  []*Event
	bytes   int64
	limit   int64
	ended   bool // no more will be put
	refused bool // no more will be taken
	lost    int  // events that nobody took
}

func newQueue(limit int64) *queue {
	q := &queue{limit: limit}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// put adds an event, after there is room for it; one that is larger than the
// limit needs the queue empty. It reports false if nobody takes events any
// more.
func (q *queue) put(e *Event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.refused && len(q.events) > 0 && q.bytes+e.size() > q.limit {
		q.changed.Wait()
	}
	if q.refused {
		q.lost++
		return false
	}
	q.events = append(q.events, e)
	q.bytes += e.size()
	q.changed.Broadcast()
	return true
}

// take returns the next event, nil after the last.
func (q *queue) take() *Event {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.events) == 0 && !q.ended {
		q.changed.Wait()
	}
	if len(q.events) == 0 {
		return nil
	}
	e := q.events[0]
	q.events[0] = nil
	q.events = q.events[1:]
	q.bytes -= e.size()
	q.changed.Broadcast()
	return e
}

// end says that no more will be put.
func (q *queue) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	q.changed.Broadcast()
}

// refuse says that no more will be taken, and drops what is left.
func (q *queue) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = true
	q.lost += len(q.events)
	q.events, q.bytes = nil, 0
	q.changed.Broadcast()
}
