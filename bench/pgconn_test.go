package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// Answers of PostgreSQL.
const (
	pgReady    = "Z\x00\x00\x00\x05I"
	pgWelcome  = "R\x00\x00\x00\x08\x00\x00\x00\x00" + "S\x00\x00\x00\x09a\x00bc\x00" + pgReady
	pgParsed   = "1\x00\x00\x00\x04" + pgReady
	pgInserted = "2\x00\x00\x00\x04" + "C\x00\x00\x00\x0fINSERT 0 1\x00" + pgReady
	pgRefused  = "2\x00\x00\x00\x04" + "E\x00\x00\x00\x1eSERROR\x00VERROR\x00Mdisk full\x00\x00" + pgReady
	pgShutdown = "E\x00\x00\x00\x1cSFATAL\x00VFATAL\x00Mstopped\x00\x00"
	pgPassword = "R\x00\x00\x00\x08\x00\x00\x00\x03"
)

func TestPostgresAnswersAreTakenApartWhereverTheyAreCut(t *testing.T) {
	var a pgAnswer
	for _, x := range []struct{ wire, tag, fault string }{
		{pgWelcome, "", ""}, {pgParsed, "", ""}, {pgInserted, "INSERT 0 1", ""}, {pgRefused, "", "disk full"}, {pgInserted, "INSERT 0 1", ""},
	} {
		for cut := range len(x.wire) {
			if used, err := a.answer([]byte(x.wire[:cut])); used != 0 || err != nil {
				t.Fatalf("%q is taken for %d bytes, %v", x.wire[:cut], used, err)
			}
			used, err := a.answer([]byte(x.wire))
			if used != len(x.wire) || string(a.tag) != x.tag && cut < len(x.wire)-len(pgReady) {
				t.Fatalf("%q cut at %d: %d bytes, tag %q", x.wire, cut, used, a.tag)
			}
			if (err != nil) != (x.fault != "") || err != nil && !strings.Contains(err.Error(), x.fault) {
				t.Fatalf("%q cut at %d: %v", x.wire, cut, err)
			}
		}
	}
}

func TestPostgresMayEndTheConnection(t *testing.T) {
	for wire, says := range map[string]string{
		pgShutdown: "stopped", pgPassword: "password", "R\x00\x00\x00\x04": "password",
		"Z\x00\x00\x00\x03": "a message", "D\x7f\xff\xff\xff": "a message",
	} {
		var a pgAnswer
		if used, err := a.answer([]byte(wire)); used != 0 || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is taken for %d bytes, %v", wire, used, err)
		}
	}
}

// readPGMessage reads a message of a client.
func readPGMessage(r io.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[1:])-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}

// boundParameters reads the parameters of a Bind message for the statement s.
func boundParameters(body []byte) ([]string, error) {
	rest, ok := bytes.CutPrefix(body, []byte("\x00s\x00\x00\x00"))
	if !ok || len(rest) < 2 {
		return nil, fmt.Errorf("a Bind begins with %q", body)
	}
	n := binary.BigEndian.Uint16(rest)
	rest = rest[2:]
	var all []string
	for range n {
		if len(rest) < 4 || len(rest)-4 < int(binary.BigEndian.Uint32(rest)) {
			return nil, errors.New("a parameter is cut off")
		}
		length := binary.BigEndian.Uint32(rest)
		all = append(all, string(rest[4:4+length]))
		rest = rest[4+length:]
	}
	if string(rest) != "\x00\x00" {
		return nil, fmt.Errorf("a Bind ends with %q", rest)
	}
	return all, nil
}

// servePostgres is a server that takes the prepared INSERT and answers the nth
// (from 0) with what insert returns.
func servePostgres(conn io.ReadWriter, insert func(n int, parameters []string) string) error {
	in := bufio.NewReader(conn)
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		return err
	}
	startup := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	if _, err := io.ReadFull(in, startup); err != nil {
		return err
	}
	if string(startup) != "\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00" {
		return fmt.Errorf("the start is %q", startup)
	}
	answer := pgWelcome
	var got []byte
	for n := 0; ; {
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
		got = got[:0]
		var parameters []string
		for kind := byte(0); kind != 'S'; got = append(got, kind) {
			var body []byte
			var err error
			if kind, body, err = readPGMessage(in); err != nil {
				return err
			}
			switch {
			case kind == 'B':
				if parameters, err = boundParameters(body); err != nil {
					return err
				}
			case kind == 'P' && string(body) != "s\x00"+pgInsert+"\x00\x00\x00":
				return fmt.Errorf("Parse is %q", body)
			case kind == 'E' && string(body) != "\x00\x00\x00\x00\x00":
				return fmt.Errorf("Execute is %q", body)
			}
		}
		switch string(got) {
		case "PS":
			answer = pgParsed
		case "BES":
			answer = insert(n, parameters)
			n++
		default:
			return fmt.Errorf("the messages are %q", got)
		}
	}
}

func TestPostgresIsLoadedAsTheOthersAre(t *testing.T) {
	const job, size, times = "j00000000000000000000000", 4 << 10, 50
	underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
		var served error
		addr := scripted(t, func(conn *net.TCPConn) {
			served = servePostgres(conn, func(n int, parameters []string) string {
				if len(parameters) != 3 || parameters[0] != job || parameters[1] != fmt.Sprint(n+1) || len(parameters[2]) != size {
					return pgRefused
				}
				return pgInserted
			})
		})
		x, err := newPGTask(addr, job, size, 1)
		if err != nil {
			t.Fatal(err, served)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		x.exchange = &observed{exchange: x.exchange, whole: after(times, cancel)}
		o := runLinks(ctx, loops, []*link{x}, hourLong())
		if o.errors != 0 || o.latency.total != times {
			t.Errorf("%d rows, %d errors: %v", o.latency.total, o.errors, o.err)
		}
	})
}

func TestWhatPostgresRefusesIsCounted(t *testing.T) {
	const inserted = "C\x00\x00\x00\x0fINSERT 0 0\x00" + pgReady
	for _, c := range []struct {
		name, answer string
		errors       int64
		says         string
	}{
		{"an error", pgRefused, maxTaskErrors, "disk full"},
		{"no row", inserted, maxTaskErrors, `"INSERT 0 0" to an INSERT`},
		{"the end", pgShutdown, 1, "stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			underDrivers(t, func(t *testing.T, loops func([]*link) []loop) {
				addr := scripted(t, func(conn *net.TCPConn) {
					// It ends with the connection.
					_ = servePostgres(conn, func(int, []string) string { return c.answer })
				})
				x, err := newPGTask(addr, "j00000000000000000000000", 4<<10, 1)
				if err != nil {
					t.Fatal(err)
				}
				o := runLinks(t.Context(), loops, []*link{x}, hourLong())
				if o.errors != c.errors || o.latency.total != 0 || !strings.Contains(o.err.Error(), c.says) {
					t.Errorf("%d errors, %d rows: %v", o.errors, o.latency.total, o.err)
				}
			})
		})
	}
}
