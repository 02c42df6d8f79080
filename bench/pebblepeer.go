package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// pebbleRun is one line on the standard input of the raw Pebble peer, which
// answers each with a line that holds a measurement. It ends with its input.
type pebbleRun struct {
	Goroutines int           `json:"goroutines"`
	Size       int           `json:"size"`
	Warmup     time.Duration `json:"warmup"`
	Duration   time.Duration `json:"duration"`
}

// runPebblePeer is the child's side.
func runPebblePeer(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench peer-pebble", flag.ContinueOnError)
	flags.SetOutput(progress)
	dir := flags.String("dir", "", "`DIR` of the database")
	if err := parseFlags(flags, args); err != nil {
		return err
	}
	o := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest,
		// With the default of 4 MiB it is half as fast.
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	// Values of this size are kept apart from the keys, which spares Pebble to
	// compress them again in each compaction: worth 20 to 50 % here.
	o.Experimental.ValueSeparationPolicy = func() pebble.ValueSeparationPolicy {
		return pebble.ValueSeparationPolicy{Enabled: true, MinimumSize: 4 << 10, MaxBlobReferenceDepth: 10}
	}
	db, err := pebble.Open(*dir, o)
	if err != nil {
		return fmt.Errorf("cannot open Pebble: %w", err)
	}
	writer := uint32(0)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var r pebbleRun
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("cannot read the run: %w", err)
		}
		loops := make([]loop, r.Goroutines)
		for i := range loops {
			writer++
			t, err := newTemplate(r.Size, writer)
			if err != nil {
				return err
			}
			loops[i] = repeat((&pebbleTask{db: db, template: t, key: fmt.Appendf(nil, "job-%020d-........", writer)}).do)
		}
		m := drive(ctx, loops, span{r.Warmup, r.Duration}, 0)
		// The writers are part of this process: all its CPU time is the peer's.
		m.ServerCPU, m.GeneratorCPU, m.PSS = m.GeneratorCPU, 0, treePSS(os.Getpid())
		if err := json.NewEncoder(out).Encode(m); err != nil {
			return err
		}
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("cannot close Pebble: %w", err)
	}
	return lines.Err()
}

// pebbleTask commits batches of one body each.
type pebbleTask struct {
	db       *pebble.DB
	template *template
	key      []byte
	sequence uint64
}

// do commits one batch.
func (t *pebbleTask) do() error {
	t.sequence++
	binary.BigEndian.PutUint64(t.key[len(t.key)-8:], t.sequence)
	b := t.db.NewBatch()
	if err := b.Set(t.key, t.template.next().body, nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}

// pebblePeer is the parent's side.
type pebblePeer struct {
	*process
	stdin   io.WriteCloser
	answers *bufio.Reader
}

// startPebblePeer starts the peer on the database directory dir.
func startPebblePeer(dir string) (*pebblePeer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "peer-pebble", "--dir", dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = write
	p, err := startProcess(cmd, dir+".log", syscall.SIGTERM)
	_ = write.Close()
	if err != nil {
		return nil, err
	}
	return &pebblePeer{process: p, stdin: stdin, answers: bufio.NewReader(read)}, nil
}

// end lets the peer close its database.
func (p *pebblePeer) end() error {
	_ = p.stdin.Close()
	<-p.done
	return nil
}

// measure makes one run in the child.
func (p *pebblePeer) measure(r pebbleRun) (measurement, error) {
	var m measurement
	if _, err := p.stdin.Write(append(mustJSON(r), '\n')); err != nil {
		return m, fmt.Errorf("the Pebble peer is gone: %w\n%s", err, p.output())
	}
	line, err := p.answers.ReadBytes('\n')
	if err != nil {
		return m, fmt.Errorf("the Pebble peer is gone: %w\n%s", err, p.output())
	}
	return m, json.Unmarshal(line, &m)
}
