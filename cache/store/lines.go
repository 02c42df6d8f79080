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
	byJob map[string]*list.List // of *lineEntry, in the same order
}

type lineKey struct {
	job  string
	line checkpoint.Line
}

type lineEntry struct {
	key  lineKey
	line *line
	// ofJob is its place in the job's list.
	ofJob *list.Element
}

func newLines(limit int64) *lines {
	return &lines{limit: limit, order: list.New(), byKey: make(map[lineKey]*list.Element), byJob: make(map[string]*list.List)}
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
	switch e := l.byKey[key]; {
	case v.cost() > l.limit && e != nil:
		l.remove(e)
	case v.cost() > l.limit:
	case e != nil:
		entry := e.Value.(*lineEntry)
		l.size += v.cost() - entry.line.cost()
		entry.line = v
		l.order.MoveToFront(e)
		l.byJob[job].MoveToFront(entry.ofJob)
	default:
		if l.byJob[job] == nil {
			l.byJob[job] = list.New()
		}
		entry := &lineEntry{key: key, line: v}
		entry.ofJob = l.byJob[job].PushFront(entry)
		l.byKey[key] = l.order.PushFront(entry)
		l.size += v.cost()
	}
	for e := l.order.Back(); e != nil && l.size > l.limit; e = l.order.Back() {
		l.remove(e)
	}
}

// drop forgets all lines of a job.
func (l *lines) drop(job string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for of := l.byJob[job]; of != nil && of.Len() > 0; {
		l.remove(l.byKey[of.Front().Value.(*lineEntry).key])
	}
}

// recent returns the last checkpoints of the lines of a job that were written
// last, at most max of them.
func (l *lines) recent(job string, max int) (recent []*line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	of := l.byJob[job]
	if of == nil {
		return nil
	}
	for e := of.Front(); e != nil && len(recent) < max; e = e.Next() {
		recent = append(recent, e.Value.(*lineEntry).line)
	}
	return recent
}

func (l *lines) remove(e *list.Element) {
	entry := l.order.Remove(e).(*lineEntry)
	delete(l.byKey, entry.key)
	of := l.byJob[entry.key.job]
	if of.Remove(entry.ofJob); of.Len() == 0 {
		delete(l.byJob, entry.key.job)
	}
	l.size -= entry.line.cost()
}
