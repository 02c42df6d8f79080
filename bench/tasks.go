package main

import (
	"bytes"
	"fmt"
	"strconv"
)

// deepCheckEvery is how often an answer is decoded and compared whole; between,
// its status and sequence are checked, which costs next to nothing.
const deepCheckEvery = 256

// writeTask posts to one job, over a connection of its own.
type writeTask struct {
	template *template
	head     int
	request  []byte
	// posted is what the request holds.
	posted request
	http   httpAnswer
	check  *checker
	sent   int
	// dense wants the next sequence; without it the job has other writers.
	dense bool
	last  int64
}

// newWriteTask connects to addr, to post bodies of size bytes to job.
func newWriteTask(addr, key, job string, size int, writer uint32, dense bool) (*link, error) {
	t, err := newTemplate(size, writer)
	if err != nil {
		return nil, err
	}
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, err
	}
	head := postHead(addr, key, job, size)
	return &link{conn: conn, exchange: &writeTask{
		template: t, head: len(head), request: append(head, t.body...),
		check: newChecker(job, true), dense: dense,
	}}, nil
}

// next implements exchange.
func (t *writeTask) next() []byte {
	t.posted = t.template.next()
	copy(t.request[t.head:], t.posted.body)
	return t.request
}

// answer implements answerer.
func (t *writeTask) answer(b []byte) (int, error) {
	used, err := t.http.answer(b)
	if used == 0 {
		return 0, err
	}
	return used, t.created()
}

// created checks the answer to a POST.
func (t *writeTask) created() error {
	if err := t.http.ok(); err != nil {
		return err
	}
	sequence, err := numberAfter(t.http.body, `"sequence":`)
	if err != nil {
		return err
	}
	if t.dense && sequence != t.last+1 {
		err = fmt.Errorf("sequence is %d, not %d", sequence, t.last+1)
	}
	t.last = sequence
	if t.sent%deepCheckEvery == 0 {
		t.check.next = sequence
		if _, fault := t.check.check(t.posted, 200, t.http.body); fault != nil {
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
	// gets are asked in turn; asked is the one whose answer is awaited.
	gets  []knownGet
	turn  int
	asked *knownGet
	http  httpAnswer
	// taken counts the right answers.
	taken int
}

// knownGet is a GET and the status and body of its answer.
type knownGet struct {
	request []byte
	status  int
	want    []byte
}

// newReadTask connects to addr, to ask for gets, from the one with the index
// first on.
func newReadTask(addr string, gets []knownGet, first int) (*link, error) {
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, err
	}
	return &link{conn: conn, exchange: &readTask{gets: gets, turn: first % len(gets)}}, nil
}

// next implements exchange.
func (t *readTask) next() []byte {
	t.asked = &t.gets[t.turn]
	if t.turn++; t.turn == len(t.gets) {
		t.turn = 0
	}
	return t.asked.request
}

// answer implements answerer.
func (t *readTask) answer(b []byte) (int, error) {
	used, err := t.http.answer(b)
	if used == 0 {
		return 0, err
	}
	g, body := t.asked, t.http.body
	switch {
	case t.http.status != g.status:
		err = fmt.Errorf("status %d, not %d: %s", t.http.status, g.status, excerpt(body))
	case len(body) != len(g.want):
		err = fmt.Errorf("a body of %d bytes, not %d", len(body), len(g.want))
	case t.taken%deepCheckEvery == 0 && !bytes.Equal(body, g.want):
		err = fmt.Errorf("the body differs from what was stored: %s", excerpt(body))
	default:
		t.taken++
	}
	return used, err
}
