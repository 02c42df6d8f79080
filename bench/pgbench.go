package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pgbenchScript is pgInsert in the language of pgbench. The body is a
// parameter, as with our own client; in the statement's text PostgreSQL would
// parse it once and for all.
var pgbenchScript = "\\set sequence :sequence + 1\n" +
	strings.NewReplacer("$1", "(:job::text || :client_id)", "$2", ":sequence", "$3", ":body").Replace(pgInsert) + ";\n"

// pgbench is PostgreSQL's own load generator, to see whether ours is fair to it.
type pgbench struct {
	program string
	server  *postgresServer
	// dir takes the script and what pgbench writes.
	dir string
}

// newPgbench prepares runs against a server.
func newPgbench(server *postgresServer, dir string) (*pgbench, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	program, err := exec.LookPath(filepath.Join(bin, "pgbench"))
	if err != nil {
		return nil, fmt.Errorf("pgbench: %w", errNoPeer)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	b := &pgbench{program, server, dir}
	return b, os.WriteFile(b.script(), []byte(pgbenchScript), 0o644)
}

// script is the path of the script.
func (b *pgbench) script() string { return filepath.Join(b.dir, "insert.sql") }

// measure makes one run in which each client inserts body into jobs of its own.
func (b *pgbench) measure(ctx context.Context, clients int, job string, body []byte, s span) (m measurement, err error) {
	host, port, err := net.SplitHostPort(b.server.addr)
	if err != nil {
		return m, err
	}
	prefix := filepath.Join(b.dir, job)
	length := s.warmup + s.duration + time.Second // the connections take their time
	cmd := exec.Command(b.program, "--no-vacuum", "--protocol=prepared", "--file="+b.script(),
		fmt.Sprintf("--client=%d", clients), fmt.Sprintf("--jobs=%d", runtime.NumCPU()), fmt.Sprintf("--time=%d", int(length.Seconds()+1)),
		"--define=job="+job, "--define=sequence=0", "--define=body="+string(body), "--log", "--log-prefix="+prefix,
		"--host="+host, "--port="+port, "--username=postgres", "postgres")
	cmd.Env = []string{"LC_ALL=C"}
	p, err := startProcess(cmd, prefix+".out", syscall.SIGINT)
	if err != nil {
		return m, err
	}
	// Its connections belong to the warm-up.
	from := time.Now().Add(s.warmup + time.Second)
	until := from.Add(s.duration)
	err = pause(ctx, time.Until(from))
	server, generator := treeCPU(b.server.pid()), treeCPU(p.pid())
	if err == nil {
		err = pause(ctx, time.Until(until))
	}
	m.Seconds = time.Since(from).Seconds()
	m.ServerCPU, m.GeneratorCPU = treeCPU(b.server.pid())-server, treeCPU(p.pid())-generator
	m.PSS = treePSS(b.server.pid())
	if err != nil {
		p.kill()
		return m, err
	}
	<-p.done
	if p.err != nil {
		return m, fmt.Errorf("pgbench: %w\n%s", p.err, p.output())
	}
	var latency histogram
	logs, err := filepath.Glob(prefix + ".[0-9]*")
	for _, log := range logs {
		if err := readPgbenchLog(log, from, until, &latency); err != nil {
			return m, err
		}
	}
	m.Requests = int64(latency.total)
	m.setLatency(&latency)
	return m, err
}

// readPgbenchLog adds to latency the transactions of a log that ended between
// from and until. A line holds the client, the transaction's number, its
// microseconds, the script's number, and the second and microsecond of its end.
func readPgbenchLog(path string, from, until time.Time, latency *histogram) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		var n [6]int64
		if len(fields) < len(n) {
			return fmt.Errorf("%s: cannot read %q", path, lines.Text())
		}
		for i := range n {
			if n[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
				return fmt.Errorf("%s: cannot read %q: %w", path, lines.Text(), err)
			}
		}
		if end := time.Unix(n[4], n[5]*1000); end.After(from) && end.Before(until) {
			latency.add(time.Duration(n[2]) * time.Microsecond)
		}
	}
	return lines.Err()
}
