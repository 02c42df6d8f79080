package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// pgConn speaks as much of PostgreSQL's protocol, version 3.0, as a prepared
// INSERT needs, so that PostgreSQL gets its load from the same generator and
// as cheaply as the others.
type pgConn struct {
	conn net.Conn
	buf  []byte
	out  []byte
	sent int
}

// dialPostgres connects as the user postgres, whom the cluster trusts.
func dialPostgres(addr string) (*pgConn, error) {
	conn, err := net.DialTimeout("tcp", addr, requestTimeout)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to PostgreSQL: %w", err)
	}
	c := &pgConn{conn: conn, buf: make([]byte, 0, 8<<10)}
	startup := binary.BigEndian.AppendUint32(nil, 3<<16)
	startup = append(startup, "user\x00postgres\x00database\x00postgres\x00\x00"...)
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(len(startup)+4))
	c.out = append(c.out, startup...)
	if _, err := c.exchange(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// close ends the connection; the server notices.
func (c *pgConn) close() { _ = c.conn.Close() }

// message appends a message of one type and its fields.
func (c *pgConn) message(kind byte, fields ...[]byte) {
	length := 4
	for _, f := range fields {
		length += len(f)
	}
	c.out = append(c.out, kind)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(length))
	for _, f := range fields {
		c.out = append(c.out, f...)
	}
}

// query runs a statement without a result.
func (c *pgConn) query(sql string) error {
	c.out = c.out[:0]
	c.message('Q', []byte(sql), []byte{0})
	_, err := c.exchange()
	return err
}

// prepare names a statement "s".
func (c *pgConn) prepare(sql string) error {
	c.out = c.out[:0]
	c.message('P', []byte("s\x00"), []byte(sql), []byte{0, 0, 0})
	c.message('S')
	_, err := c.exchange()
	return err
}

// insert runs the prepared statement and wants one new row.
func (c *pgConn) insert(parameters ...[]byte) error {
	c.out = c.out[:0]
	bind := []byte{0, 's', 0, 0, 0} // no portal name, the statement, all parameters as text
	bind = binary.BigEndian.AppendUint16(bind, uint16(len(parameters)))
	fields := [][]byte{bind}
	for _, p := range parameters {
		fields = append(fields, binary.BigEndian.AppendUint32(nil, uint32(len(p))), p)
	}
	c.message('B', append(fields, []byte{0, 0})...)
	c.message('E', []byte{0, 0, 0, 0, 0})
	c.message('S')
	tag, err := c.exchange()
	if err == nil && tag != "INSERT 0 1" {
		err = fmt.Errorf("PostgreSQL answers %q to an INSERT", tag)
	}
	return err
}

// exchange sends what was gathered and reads until the server is ready for the
// next query. It returns the tag of the last command.
func (c *pgConn) exchange() (string, error) {
	if c.sent%64 == 0 {
		if err := c.conn.SetDeadline(time.Now().Add(requestTimeout)); err != nil {
			return "", err
		}
	}
	c.sent++
	if _, err := c.conn.Write(c.out); err != nil {
		return "", err
	}
	tag, pending := "", c.buf[:0]
	var failure error
	for {
		for len(pending) >= 5 {
			kind, length := pending[0], int(binary.BigEndian.Uint32(pending[1:]))+1
			if len(pending) < length {
				break
			}
			body := pending[5:length]
			pending = pending[length:]
			switch kind {
			case 'E':
				failure = fmt.Errorf("PostgreSQL: %s", bytes.ReplaceAll(body, []byte{0}, []byte{' '}))
			case 'C':
				tag = string(bytes.TrimRight(body, "\x00"))
			case 'R':
				if binary.BigEndian.Uint32(body) != 0 {
					return "", errors.New("PostgreSQL wants a password")
				}
			case 'Z':
				return tag, failure
			}
		}
		rest := copy(c.buf[:cap(c.buf)], pending)
		if rest == cap(c.buf) {
			return "", errors.New("a message of PostgreSQL is too long")
		}
		n, err := c.conn.Read(c.buf[rest:cap(c.buf)])
		if err != nil {
			if failure != nil {
				return "", failure
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		pending = c.buf[:rest+n]
	}
}

// pgInsert is the statement, a transaction by itself.
const pgInsert = "INSERT INTO checkpoints (job, sequence, body) VALUES ($1::text, $2::bigint, $3::jsonb)"

// pgTask inserts bodies of one job.
type pgTask struct {
	conn     *pgConn
	template *template
	job      []byte
	sequence int64
	number   []byte
}

// newPGTask returns a task that inserts bodies of size bytes.
func newPGTask(addr, job string, size int, writer uint32) (*pgTask, error) {
	t, err := newTemplate(size, writer)
	if err != nil {
		return nil, err
	}
	conn, err := dialPostgres(addr)
	if err != nil {
		return nil, err
	}
	if err := conn.prepare(pgInsert); err != nil {
		conn.close()
		return nil, err
	}
	return &pgTask{conn: conn, template: t, job: []byte(job)}, nil
}

// close implements task.
func (t *pgTask) close() { t.conn.close() }

// do implements task.
func (t *pgTask) do() error {
	t.sequence++
	t.number = strconv.AppendInt(t.number[:0], t.sequence, 10)
	return t.conn.insert(t.job, t.number, t.template.next().body)
}
