package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// deepCheckEvery is how often an answer is decoded and compared whole; between,
// its status and sequence are checked, which costs next to nothing.
const deepCheckEvery = 256

// writeTask posts to one job, on a connection of its own.
type writeTask struct {
	conn     *rawConn
	template *template
	head     int
	request  []byte
	check    *checker
	sent     int
	// dense wants the next sequence; without it the job has other writers.
	dense bool
	last  int64
}

// newWriteTask returns a task that posts bodies of size bytes to job at addr.
func newWriteTask(addr, key, job string, size int, writer uint32, dense bool) (*writeTask, error) {
	t, err := newTemplate(size, writer)
	if err != nil {
		return nil, err
	}
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, err
	}
	head := postHead(addr, key, job, size)
	return &writeTask{
		conn: conn, template: t, head: len(head), request: append(head, t.body...),
		check: newChecker(job, true), dense: dense,
	}, nil
}

// close implements task.
func (t *writeTask) close() { t.conn.close() }

// do implements task.
func (t *writeTask) do() error {
	r := t.template.next()
	copy(t.request[t.head:], r.body)
	body, err := t.conn.ask(t.request)
	if err != nil {
		return err
	}
	sequence, err := numberAfter(body, `"sequence":`)
	if err != nil {
		return err
	}
	if t.dense && sequence != t.last+1 {
		err = fmt.Errorf("sequence is %d, not %d", sequence, t.last+1)
	}
	t.last = sequence
	if t.sent%deepCheckEvery == 0 {
		t.check.next = sequence
		if _, fault := t.check.check(r, 200, body); fault != nil {
			return fault
		}
	}
	t.sent++
	return err
}

// numberAfter finds name in body and reads the whole number behind it. The
// texts of a template hold no quotes, so the name is found as a property only.
func numberAfter(body []byte, name string) (int64, error) {
	i := bytes.Index(body, []byte(name))
	if i < 0 {
		return 0, fmt.Errorf("no %s in %s", name, excerpt(body))
	}
	digits := body[i+len(name):]
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	return strconv.ParseInt(string(digits[:n]), 10, 64)
}

// readTask repeats GETs whose answers are known.
type readTask struct {
	conn *rawConn
	// gets are asked in turn, from next on.
	gets       []knownGet
	next, sent int
}

// knownGet is a GET and the status and body of its answer.
type knownGet struct {
	request []byte
	status  int
	want    []byte
}

// newReadTask returns a task that asks addr for gets, from the one with the
// index first on.
func newReadTask(addr string, gets []knownGet, first int) (*readTask, error) {
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, err
	}
	return &readTask{conn: conn, gets: gets, next: first % len(gets)}, nil
}

// close implements task.
func (t *readTask) close() { t.conn.close() }

// do implements task.
func (t *readTask) do() error {
	g := &t.gets[t.next]
	if t.next++; t.next == len(t.gets) {
		t.next = 0
	}
	status, body, err := t.conn.roundTrip(g.request)
	switch {
	case err != nil:
		return err
	case status != g.status:
		return fmt.Errorf("status %d, not %d: %s", status, g.status, excerpt(body))
	case len(body) != len(g.want):
		return fmt.Errorf("a body of %d bytes, not %d", len(body), len(g.want))
	case t.sent%deepCheckEvery == 0 && !bytes.Equal(body, g.want):
		return fmt.Errorf("the body differs from what was stored: %s", excerpt(body))
	}
	t.sent++
	return nil
}

// openers returns a function that opens n tasks, for one run.
func openers(n int, open func() (task, error)) func() ([]task, error) {
	return func() ([]task, error) {
		var tasks []task
		for range n {
			t, err := open()
			if err != nil {
				return tasks, err
			}
			tasks = append(tasks, t)
		}
		return tasks, nil
	}
}

// closeAll closes tasks.
func closeAll(tasks []task) {
	for _, t := range tasks {
		t.close()
	}
}
