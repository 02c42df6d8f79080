package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// pgConn speaks as much of PostgreSQL's protocol, version 3.0, as a prepared
// INSERT needs, so that PostgreSQL gets its load from the same generator and
// as cheaply as the others.
type pgConn struct {
	*rawConn
	result pgAnswer
}

// dialPostgres connects as the user postgres, whom the cluster trusts.
func dialPostgres(addr string) (*pgConn, error) {
	conn, err := dialRaw(addr)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	c := &pgConn{rawConn: conn}
	startup := binary.BigEndian.AppendUint32(make([]byte, 4), 3<<16)
	startup = append(startup, "user\x00postgres\x00database\x00postgres\x00\x00"...)
	binary.BigEndian.PutUint32(startup, uint32(len(startup)))
	if err := c.perform(startup, &c.result); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// query runs a statement without a result.
func (c *pgConn) query(sql string) error {
	return c.perform(appendPGMessage(nil, 'Q', sql, "\x00"), &c.result)
}

// prepare names a statement "s".
func (c *pgConn) prepare(sql string) error {
	parse := appendPGMessage(nil, 'P', "s\x00", sql, "\x00\x00\x00")
	return c.perform(appendPGMessage(parse, 'S'), &c.result)
}

// appendPGMessage appends a message of one type and its fields.
func appendPGMessage(out []byte, kind byte, fields ...string) []byte {
	length := 4
	for _, f := range fields {
		length += len(f)
	}
	out = binary.BigEndian.AppendUint32(append(out, kind), uint32(length))
	for _, f := range fields {
		out = append(out, f...)
	}
	return out
}

// pgAnswer takes apart what PostgreSQL says until it is ready for the next query.
type pgAnswer struct {
	// tag is that of the last command, good as long as the bytes it came in.
	tag []byte
	// at is the length of the messages that were looked at, failure what they
	// said was wrong.
	at      int
	failure error
}

// answer implements answerer.
func (a *pgAnswer) answer(b []byte) (used int, err error) {
	if a.at == 0 {
		a.tag, a.failure = nil, nil
	}
	for len(b)-a.at >= 5 {
		kind, length := b[a.at], binary.BigEndian.Uint32(b[a.at+1:])
		if length < 4 || length > maxAnswer {
			return 0, fmt.Errorf("PostgreSQL sends a message %q of %d bytes", kind, length)
		}
		end := a.at + 1 + int(length)
		if end > len(b) {
			break
		}
		body := b[a.at+5 : end]
		a.at = end
		switch kind {
		case 'E':
			a.failure = fmt.Errorf("PostgreSQL: %s", bytes.ReplaceAll(body, []byte{0}, []byte{' '}))
			if bytes.Contains(body, []byte("VFATAL\x00")) {
				// It says no more and closes the connection.
				return 0, a.failure
			}
		case 'C':
			a.tag = bytes.TrimRight(body, "\x00")
		case 'R':
			if len(body) < 4 || binary.BigEndian.Uint32(body) != 0 {
				return 0, errors.New("PostgreSQL wants a password")
			}
		case 'Z':
			a.at = 0
			return end, a.failure
		}
	}
	return 0, nil
}

// pgInsert is the statement, a transaction by itself.
const pgInsert = "INSERT INTO checkpoints (job, sequence, body) VALUES ($1::text, $2::bigint, $3::jsonb)"

// dialPostgresInsert connects and prepares pgInsert.
func dialPostgresInsert(addr string) (*rawConn, error) {
	c, err := dialPostgres(addr)
	if err != nil {
		return nil, err
	}
	if err := c.prepare(pgInsert); err != nil {
		c.close()
		return nil, err
	}
	return c.rawConn, nil
}

// pgRows inserts the bodies of a job, one after the other.
type pgRows struct {
	job      []byte
	sequence int64
	// number and out are kept for their memory.
	number, out []byte
	result      pgAnswer
}

// begin starts a job.
func (r *pgRows) begin(job string) { r.job, r.sequence = []byte(job), 0 }

// insert returns the messages that insert the next body, good until the next call.
func (r *pgRows) insert(body []byte) []byte {
	r.sequence++
	r.number = strconv.AppendInt(r.number[:0], r.sequence, 10)
	// Bind: no portal name, the statement, all parameters as text, and so the results.
	out := append(r.out[:0], "B\x00\x00\x00\x00"+"\x00"+"s\x00"+"\x00\x00"+"\x00\x03"...)
	for _, p := range [...][]byte{r.job, r.number, body} {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(p))), p...)
	}
	out = append(out, 0, 0)
	binary.BigEndian.PutUint32(out[1:], uint32(len(out)-1))
	// Execute it without a limit of rows, then Sync.
	r.out = append(out, "E\x00\x00\x00\x09"+"\x00"+"\x00\x00\x00\x00"+"S\x00\x00\x00\x04"...)
	return r.out
}

// answer implements answerer: it wants one new row.
func (r *pgRows) answer(b []byte) (int, error) {
	used, err := r.result.answer(b)
	if used > 0 && err == nil && string(r.result.tag) != "INSERT 0 1" {
		err = fmt.Errorf("PostgreSQL answers %q to an INSERT", r.result.tag)
	}
	return used, err
}

// pgTask inserts bodies of one job.
type pgTask struct {
	pgRows
	template *template
}

// newPGTask connects to PostgreSQL, to insert bodies of size bytes.
func newPGTask(addr, job string, size int, writer uint32) (*link, error) {
	t, err := newTemplate(size, writer)
	if err != nil {
		return nil, err
	}
	conn, err := dialPostgresInsert(addr)
	if err != nil {
		return nil, err
	}
	task := &pgTask{template: t}
	task.begin(job)
	return &link{conn: conn, exchange: task}, nil
}

// next implements exchange.
func (t *pgTask) next() []byte { return t.insert(t.template.next().body) }
