package store

import (
	"container/list"
	"sync"

	"milepost/internal/checkpoint"
)

// lines is a bounded memory of the last checkpoint of each line, least recently
// written first out. It only saves time: without it parts are found by hash.
type lines struct {
	mu    sync.Mutex
	limit int64
	size  int64
	order *list.List // of *lineEntry, most recently written in front
	byKey map[lineKey]*list.Element
}

type lineKey struct {
	job  string
	line checkpoint.Line
}

type lineEntry struct {
	key  lineKey
	line *line
}

func newLines(limit int64) *lines {
	return &lines{limit: limit, order: list.New(), byKey: make(map[lineKey]*list.Element)}
}

// get returns the line's last checkpoint, or nil. What it returns is never
// changed, so it may be used after a later put.
func (l *lines) get(job string, of checkpoint.Line) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byKey[lineKey{job, of}]; e != nil {
		return e.Value.(*lineEntry).line
	}
	return nil
}

func (l *lines) put(job string, of checkpoint.Line, v *line) {
	key := lineKey{job, of}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.byKey[key]; e != nil {
		l.remove(e)
	}
	if v.cost() > l.limit {
		return
	}
	l.byKey[key] = l.order.PushFront(&lineEntry{key, v})
	for l.size += v.cost(); l.size > l.limit; {
		l.remove(l.order.Back())
	}
}

// drop forgets all lines of a job.
func (l *lines) drop(job string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, e := range l.byKey {
		if key.job == job {
			l.remove(e)
		}
	}
}

func (l *lines) remove(e *list.Element) {
	entry := l.order.Remove(e).(*lineEntry)
	delete(l.byKey, entry.key)
	l.size -= entry.line.cost()
}
